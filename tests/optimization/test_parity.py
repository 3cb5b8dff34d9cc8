"""The gate: small differences pass, and each fault that a runtime could have is caught."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tunesmith.bases import PlainTokenizer, TokenizedDataset, tokenize
from tunesmith.bundles import Bundle, RuntimeFacts
from tunesmith.errors import ConfigError, DataError
from tunesmith.optimization import Parity, Tolerances, judge_parity, quantize_static
from tunesmith.recipes import Optimized
from tunesmith.runtimes import Runtime, load, open_runtime
from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Estimate, Inputs, Outputs

TASK = TextClassification((Field("text"),), ("a", "b", "c"))
SEVERAL = MultiLabelClassification((Field("text"),), ("a", "b", "c"))


def scores(rows: int = 400, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    generator = np.random.default_rng(seed)
    return (4 * generator.standard_normal((rows, 3))).astype(np.float32)


def judge(found: Any, task: Any = TASK, alone: Any = None, **changes: Any) -> Parity:
    own = Outputs(scores=found)
    single = own if alone is None else Outputs(scores=alone)
    return judge_parity(task, Outputs(scores=scores()), own, single, Tolerances(), **changes)


@pytest.mark.parametrize("task", [TASK, SEVERAL])
def test_the_same_answers_pass(task: Any) -> None:
    parity = judge(scores(), task)
    assert parity.verified
    assert (parity.agreement, parity.largest_difference, parity.batch_difference) == (1, 0, 0)
    assert json.loads(json.dumps(parity.as_dict()))["refused_for"] == []


@pytest.mark.parametrize("task", [TASK, SEVERAL])
def test_noise_of_rounding_passes_and_more_does_not(task: Any) -> None:
    noise = scores(seed=1)
    assert judge(scores() + 0.001 * noise, task).verified
    refused = judge(scores() + 0.3 * noise, task)
    assert not refused.verified
    assert any("agrees on" in reason for reason in refused.refused_for)
    assert any("a probability differs" in reason for reason in refused.refused_for)


def test_what_is_no_number_is_refused() -> None:
    broken = scores()
    broken[7] = np.nan
    assert not judge(broken).verified


def test_an_answer_that_depends_on_the_batch_is_refused() -> None:
    parity = judge(scores(), alone=scores()[:64] + np.array([0, 0.5, 0], np.float32))
    assert [reason for reason in parity.refused_for if "in a batch" in reason]


def test_a_drop_is_refused_and_a_gain_is_not() -> None:
    worse, better = Estimate(-0.004, -0.01, 0.0), Estimate(0.004, 0.0, 0.01)
    assert judge(scores(), change=worse, metric="accuracy").refused_for == (
        "drops by 0.40 points, more than 0.3",
    )
    assert judge(scores(), change=better, metric="accuracy").verified


@pytest.mark.parametrize("name", ["min_agreement", "max_difference", "max_drop"])
def test_tolerances_that_make_no_sense(name: str) -> None:
    with pytest.raises(ConfigError, match="must be between 0 and"):
        Tolerances(**{name: -0.1})


# Faults, planted in a real graph or its tokenizer.


@pytest.fixture
def compare(optimized: Optimized, labelled_csv: Path) -> Callable[[Runtime], Parity]:
    """The gate as `optimize` asks it, for a runtime of the optimised bundle."""
    bundle = optimized.bundle
    lines = labelled_csv.read_text(encoding="utf-8").splitlines()[1:]
    inputs: list[Inputs] = [(line.split(",")[0],) for line in lines]
    reference = load(bundle, "torch-fp32").outputs(inputs)

    def judged(runtime: Runtime) -> Parity:
        parts = [runtime.outputs([one]).scores for one in inputs[:32]]
        return judge_parity(
            bundle.task,
            reference,
            runtime.outputs(inputs),
            Outputs(scores=np.concatenate([part for part in parts if part is not None])),
            Tolerances(),
        )

    return judged


@pytest.fixture
def spoil(optimized: Optimized, tmp_path: Path) -> Callable[..., Runtime]:
    """A runtime whose graph was changed."""
    bundle = optimized.bundle

    def changed(change: Callable[[onnx.ModelProto], None], name: str = "onnx-fp32") -> Runtime:
        facts = facts_of(bundle, name)
        model = onnx.load(str(bundle.path / str(facts.file)))
        change(model)
        onnx.save(model, str(tmp_path / "model.onnx"))
        return opened(bundle, name, tmp_path / "model.onnx")

    return changed


def facts_of(bundle: Bundle, name: str) -> RuntimeFacts:
    assert bundle.manifest.runtimes is not None
    return bundle.manifest.runtimes.kept[name]


def opened(bundle: Bundle, name: str, file: Path) -> Runtime:
    assert bundle.manifest.runtimes is not None
    return open_runtime(
        bundle, name, facts_of(bundle, name), file, bundle.manifest.runtimes.tokenizer
    )


def head_of(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [one for one in model.graph.initializer if "head" in one.name]


def test_without_a_fault_it_passes(
    compare: Callable[[Runtime], Parity], spoil: Callable[..., Runtime]
) -> None:
    assert compare(spoil(lambda model: None)).verified


def test_labels_in_another_order(
    compare: Callable[[Runtime], Parity], spoil: Callable[..., Runtime]
) -> None:
    def shuffle(model: onnx.ModelProto) -> None:
        for one in head_of(model):
            values = np.roll(numpy_helper.to_array(one), 1, axis=0)
            one.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), one.name))

    assert compare(spoil(shuffle)).agreement < 0.5


def test_a_head_that_was_never_fitted(
    compare: Callable[[Runtime], Parity], spoil: Callable[..., Runtime]
) -> None:
    def randomise(model: onnx.ModelProto) -> None:
        for one in head_of(model):
            values = np.random.default_rng(0).normal(0, 0.02, list(one.dims)).astype(np.float32)
            one.CopyFrom(numpy_helper.from_array(values, one.name))

    assert not compare(spoil(randomise)).verified


def test_filled_up_on_the_wrong_side(
    compare: Callable[[Runtime], Parity],
    spoil: Callable[..., Runtime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = TokenizedDataset.arrays

    def left(self: TokenizedDataset, indices: Any) -> Any:
        arrays = right(self, indices)
        lengths = self.lengths[indices]
        for values in arrays.values():
            for row, length in enumerate(lengths):
                values[row] = np.roll(values[row], values.shape[1] - length)
        return arrays

    runtime = spoil(lambda model: None)
    monkeypatch.setattr(TokenizedDataset, "arrays", left)
    parity = compare(runtime)
    assert not parity.verified
    assert parity.batch_difference > 0.02


def test_a_vocabulary_that_was_cut(
    compare: Callable[[Runtime], Parity], optimized: Optimized, tmp_path: Path
) -> None:
    bundle = optimized.bundle
    copy = Bundle(shutil.copytree(bundle.path, tmp_path / "copy"), bundle.manifest)
    file = copy.model_path / "tokenizer.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    kept = list(values["model"]["vocab"].items())[:40]
    values["model"]["vocab"] = dict(kept)
    file.write_text(json.dumps(values), encoding="utf-8")
    # Whoever seals such a bundle; one whose file was changed later would not be read at all.
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    sealed = bundle.manifest.sealed({**bundle.manifest.files, "model/tokenizer.json": digest})
    copy = Bundle(copy.path, sealed)
    runtime = opened(copy, "onnx-fp32", bundle.path / str(facts_of(bundle, "onnx-fp32").file))
    assert not compare(runtime).verified


@pytest.mark.parametrize("texts", [[""] * 100, ["the same text"] * 100, []])
def test_rows_that_no_ranges_can_be_found_on(
    optimized: Optimized, tmp_path: Path, texts: list[str]
) -> None:
    bundle = optimized.bundle
    source = bundle.path / str(facts_of(bundle, "onnx-fp32").file)
    with pytest.raises(DataError, match="too few to find"):
        quantize_static(source, tmp_path / "none.onnx", batches(bundle, texts), reduce_range=False)
    assert not (tmp_path / "none.onnx").exists()


def test_ranges_that_fit_no_text(
    compare: Callable[[Runtime], Parity], spoil: Callable[..., Runtime]
) -> None:
    def narrow(model: onnx.ModelProto) -> None:
        scales = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
        assert scales
        for one in model.graph.initializer:
            if one.name in scales:
                values = numpy_helper.to_array(one) * np.float32(0.02)
                one.CopyFrom(numpy_helper.from_array(np.asarray(values), one.name))

    assert not compare(spoil(narrow, "onnx-int8-static")).verified


def batches(bundle: Bundle, texts: list[str]) -> list[Any]:
    assert bundle.manifest.runtimes is not None
    facts = bundle.manifest.runtimes.tokenizer
    assert facts is not None
    plain = PlainTokenizer.load(bundle, facts)
    tokens = tokenize(plain, [(text,) for text in texts], 64)

    def each() -> Iterator[Any]:
        for place in range(len(tokens)):
            arrays = tokens.arrays(np.array([place]))
            yield {**arrays, "attention_mask": np.ones_like(arrays["input_ids"])}

    return list(each())
