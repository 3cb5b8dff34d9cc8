"""What every runtime must hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tunesmith.errors import DataError
from tunesmith.runtimes import Runtime
from tunesmith.types import Inputs

__all__ = ["RuntimeContract"]

_WORDS = ("card", "delivery", "refund", "late", "password", "broken", "invoice", "parcel", "help")


class RuntimeContract:
    """Give a fixture `runtime`; `tolerance` is the largest difference of a score by batching."""

    tolerance = 1e-4

    @pytest.fixture
    def inputs(self, runtime: Runtime) -> list[Inputs]:
        generator = np.random.default_rng(0)
        texts = [
            [" ".join(generator.choice(_WORDS, size)) for size in generator.integers(1, 60, 12)]
            for _ in runtime.task.fields
        ]
        return list(zip(*texts, strict=True))

    def test_is_a_runtime(self, runtime: Runtime) -> None:
        assert isinstance(runtime, Runtime)
        assert runtime.name
        assert len(runtime.version) == 12

    def test_answers_in_order_alone_or_together(
        self, runtime: Runtime, inputs: list[Inputs]
    ) -> None:
        together = runtime.outputs(inputs).scores
        assert together is not None
        assert together.shape == (len(inputs), runtime.task.head.size)
        for place, one in enumerate(inputs):
            alone = runtime.outputs([one]).scores
            assert alone is not None
            assert np.abs(alone[0] - together[place]).max() <= self.tolerance

    def test_states_make_the_scores_alone_or_together(
        self, runtime: Runtime, inputs: list[Inputs]
    ) -> None:
        together = runtime.outputs(inputs).states
        if runtime.embedding_size is None:
            return  # it may have states that did not pass the gate
        assert together is not None
        assert together.shape == (len(inputs), runtime.embedding_size)
        assert np.isfinite(together).all()
        for place, one in enumerate(inputs):
            alone = runtime.outputs([one]).states
            assert alone is not None
            assert np.abs(alone[0] - together[place]).max() <= self.tolerance

    def test_rows_of_several_calls_share_a_run(
        self, runtime: Runtime, inputs: list[Inputs]
    ) -> None:
        first, second = runtime.tokenize(inputs[:5]), runtime.tokenize(inputs[5:])
        assert [*first.full_lengths, *second.full_lengths] == runtime.count_tokens(inputs)
        assert (first.lengths <= runtime.max_length).all()
        mixed = runtime.run([(second, 2), (first, 4), (first, 0)]).scores
        alone = runtime.outputs([inputs[7], inputs[4], inputs[0]]).scores
        assert mixed is not None
        assert alone is not None
        assert np.abs(mixed - alone).max() <= self.tolerance

    def test_same_call_same_answer(self, runtime: Runtime, inputs: list[Inputs]) -> None:
        first, second = runtime.outputs(inputs).scores, runtime.outputs(inputs).scores
        assert first is not None
        assert second is not None
        assert np.array_equal(first, second)

    def test_long_and_odd_texts_are_answered(self, runtime: Runtime) -> None:
        width = len(runtime.task.fields)
        for text in (
            "word " * 5000,
            "",
            " ",
            "\u4f60\u597d",
            "\U0001f600" * 50,
            "\x00",
            "a" * 9999,
        ):
            scores = runtime.outputs([(text,) * width]).scores
            assert scores is not None
            assert np.isfinite(scores).all()

    def test_counts_tokens_before_the_cut(self, runtime: Runtime) -> None:
        width = len(runtime.task.fields)
        short, long = runtime.count_tokens([("word",) * width, ("word " * 5000,) * width])
        assert short < runtime.max_length < long

    def test_threads_do_not_disturb_each_other(
        self, runtime: Runtime, inputs: list[Inputs]
    ) -> None:
        alone = [runtime.predict([list(one)])[0] for one in inputs]
        with ThreadPoolExecutor(4) as pool:
            at_once = list(pool.map(lambda one: runtime.predict([list(one)])[0], inputs))
        assert at_once == alone

    def test_lanes_answer_as_one_call_does(self, runtime: Runtime, inputs: list[Inputs]) -> None:
        alone = runtime.outputs(inputs).scores
        assert alone is not None
        tokens = runtime.tokenize(inputs)
        num = runtime.open_lanes()
        assert num >= 1

        def ask(place: int) -> float:
            scores = runtime.run([(tokens, place)], beside=num > 1).scores
            assert scores is not None
            return float(np.abs(scores[0] - alone[place]).max())

        with ThreadPoolExecutor(num) as pool:
            gaps = list(pool.map(ask, [*range(len(inputs))] * 3))
        assert max(gaps) <= self.tolerance
        runtime.close_lanes()
        again = runtime.outputs(inputs).scores
        assert again is not None
        assert np.array_equal(again, alone)

    def test_no_items_no_answers(self, runtime: Runtime) -> None:
        assert runtime.predict([]) == []

    def test_refuses_what_is_no_text(self, runtime: Runtime) -> None:
        with pytest.raises(DataError):
            runtime.predict([{"no such field": 1}])
