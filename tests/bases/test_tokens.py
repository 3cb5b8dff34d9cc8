"""Texts as flat arrays of ids: the tokenizer's own output, cut, filled up and counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import TEXTS, tiny_tokenizer
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from tunesmith.bases import load_tokenizer, tokenize
from tunesmith.errors import BaseModelError

TOKENIZERS = {kind: tiny_tokenizer(kind) for kind in ("wordpiece", "bytes", "unigram")}
for _tokenizer in TOKENIZERS.values():
    _tokenizer.pad_token = _tokenizer.pad_token or _tokenizer.eos_token
WORDPIECE = TOKENIZERS["wordpiece"]


def own_ids(tokenizer: Any, *texts: str) -> list[int]:
    ids: list[int] = tokenizer(*texts)["input_ids"]
    return ids


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_ids_are_the_tokenizers_own(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    texts = [*TEXTS[:4], "card", "where is it?"]
    tokens = tokenize(tokenizer, [(text,) for text in texts], 512)
    assert len(tokens) == len(texts)
    for place, text in enumerate(texts):
        start, end = tokens.offsets[place : place + 2]
        assert tokens.ids[start:end].tolist() == own_ids(tokenizer, text)
    assert tokens.ids.dtype == np.int32
    assert tokens.lengths.tolist() == tokens.full_lengths.tolist()


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_datasets_one_behind_the_other(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    inputs = [(text,) for text in TEXTS[:5]]
    whole = tokenize(tokenizer, inputs, 16)
    joined = whole.take(np.arange(2)).followed_by(whole.take(np.arange(2, 5)))
    for name in ("ids", "offsets", "full_lengths", "lengths"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    for name, values in whole.arrays(np.array([4, 0, 2])).items():
        np.testing.assert_array_equal(joined.arrays(np.array([4, 0, 2]))[name], values)


class OwnCalls(PreTrainedTokenizerFast):
    """Stands for the families that do something to a text before their backend gets it."""

    def _encode_plus(self, text: Any, *rest: Any, **options: Any) -> Any:
        return super()._encode_plus(
            [one.replace("karte", "card") for one in text], *rest, **options
        )


def test_a_tokenizer_with_calls_of_its_own_is_asked_itself() -> None:
    tokenizer = OwnCalls(
        tokenizer_object=WORDPIECE.backend_tokenizer,
        **{f"{name}_token": getattr(WORDPIECE, f"{name}_token") for name in ("pad", "unk", "cls")},
        model_input_names=WORDPIECE.model_input_names,
    )
    inputs = [("my card",), ("card " * 40,), ("",)]
    plain = tokenize(WORDPIECE, inputs, 16)
    own = tokenize(tokenizer, [(text.replace("card", "karte"),) for (text,) in inputs], 16)
    assert plain.types is not None
    assert own.types is not None
    for name in ("ids", "types", "offsets", "full_lengths"):
        assert getattr(own, name).tolist() == getattr(plain, name).tolist()


def test_a_slow_tokenizer() -> None:
    tokenizer = ByT5Tokenizer()
    inputs = [("card", "my parcel"), ("card " * 9, "my parcel " * 9), ("", "")]
    tokens = tokenize(tokenizer, inputs, 16)
    for place, texts in enumerate(inputs):
        start, end = tokens.offsets[place : place + 2]
        cut = tokenizer(*texts, truncation="longest_first", max_length=16)["input_ids"]
        assert tokens.ids[start:end].tolist() == cut
        assert tokens.full_lengths[place] == len(own_ids(tokenizer, *texts))


class Asked(Sequence[tuple[str]]):
    """Counts how many texts are asked for at a time."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self.most = 0

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, index: Any) -> Any:
        assert isinstance(index, slice)
        places = range(self.num_rows)[index]
        self.most = max(self.most, len(places))
        return [(f"card {place % 7}",) for place in places]


def test_few_texts_are_in_memory_at_a_time() -> None:
    inputs, told = Asked(10_000), list[int]()
    tokens = tokenize(WORDPIECE, inputs, 16, on_rows=told.append)
    assert len(tokens) == sum(told) == 10_000
    assert inputs.most < 5000
    assert max(told) == inputs.most


def test_pairs_carry_their_types() -> None:
    tokens = tokenize(WORDPIECE, [("my card", "the parcel is broken"), ("a", "b")], 64)
    plain = WORDPIECE("my card", "the parcel is broken")
    assert tokens.types is not None
    assert tokens.ids[: tokens.offsets[1]].tolist() == plain["input_ids"]
    assert tokens.types[: tokens.offsets[1]].tolist() == plain["token_type_ids"]
    assert set(plain["token_type_ids"]) == {0, 1}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_long_texts_are_cut_and_counted_whole(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    long, short = "card " * 100, "card"
    tokens = tokenize(tokenizer, [(short,), (long,), (short,)], 16)
    assert tokens.lengths.max() == tokens.lengths[1] == 16
    assert tokens.full_lengths[1] == len(own_ids(tokenizer, long)) > 100
    assert tokens.lengths[0] == tokens.lengths[2] == tokens.full_lengths[0]
    # What the tokenizer puts around a text stays there.
    assert tokens.ids[tokens.offsets[1]] == own_ids(tokenizer, long)[0]
    assert tokens.ids[tokens.offsets[2] - 1] == own_ids(tokenizer, long)[-1] or kind == "bytes"


def test_of_a_pair_the_longer_text_is_cut() -> None:
    tokens = tokenize(WORDPIECE, [("card", "parcel " * 90), ("parcel " * 90, "card")], 16)
    card = WORDPIECE.convert_tokens_to_ids("card")
    assert tokens.lengths.tolist() == [16, 16]
    assert (tokens.batch(np.array([0, 1]))["input_ids"] == card).sum(dim=1).tolist() == [1, 1]


NUM_WORDS = st.integers(0, 40)


@given(st.sampled_from(sorted(TOKENIZERS)), NUM_WORDS, NUM_WORDS, st.integers(4, 40))
def test_cutting_is_the_tokenizers_own(kind: str, left: int, right: int, max_length: int) -> None:
    tokenizer = TOKENIZERS[kind]
    pair = ("card " * left, "parcel " * right)
    for texts in (pair, pair[:1]):
        tokens = tokenize(tokenizer, [texts], max_length)
        columns = [[text] for text in texts]
        own = tokenizer(*columns, truncation="longest_first", max_length=max_length)
        assert tokens.ids.tolist() == (own["input_ids"][0] or [tokenizer.pad_token_id])
        if kind == "wordpiece":
            assert tokens.types is not None
            assert tokens.types.tolist() == own["token_type_ids"][0]


def test_a_pair_of_long_texts_is_cut_soon() -> None:
    started = time.process_time()
    tokens = tokenize(WORDPIECE, [("card " * 20_000, "parcel " * 20_000)], 16)
    assert tokens.full_lengths[0] == 40_003
    assert time.process_time() - started < 5  # minutes where the tokenizer itself cuts


def test_cutting_leaves_no_mark_on_later_calls() -> None:
    tokenize(WORDPIECE, [("card " * 100,)], 8)
    assert tokenize(WORDPIECE, [("card " * 100,)], 512).lengths[0] == 102


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_an_empty_text_is_something(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    tokens = tokenize(tokenizer, [("",), ("card",), ("",)], 16)
    assert (tokens.lengths >= 1).all()
    if kind == "bytes":
        assert tokens.ids[0] == tokenizer.pad_token_id
    assert (tokens.types is not None) == (kind == "wordpiece")
    assert tokens.types is None or len(tokens.types) == len(tokens.ids)


def test_no_texts_are_no_tokens() -> None:
    tokens = tokenize(WORDPIECE, [], 16)
    assert len(tokens) == 0
    assert tokens.unknown_share == 0


def test_unknown_tokens_are_counted() -> None:
    english, chinese = (
        tokenize(WORDPIECE, [(text,)], 64).unknown_share
        for text in ("where is my card", "我的包裹在哪里")
    )
    assert english == 0
    assert chinese == pytest.approx(7 / 9)  # seven characters between [CLS] and [SEP]
    assert tokenize(TOKENIZERS["bytes"], [("我的包裹在哪里",)], 64).unknown_share == 0


def test_batches_are_filled_up_on_the_right() -> None:
    tokens = tokenize(WORDPIECE, [("card",), ("where is my card",), ("parcel",)], 16)
    batch = tokens.batch(np.array([1, 0]))
    assert batch["input_ids"].shape == (2, 6)
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]
    assert batch["input_ids"][1].tolist() == [*own_ids(WORDPIECE, "card"), 0, 0, 0]
    assert batch["token_type_ids"].sum() == 0


def test_even_batches_need_no_mask() -> None:
    tokens = tokenize(WORDPIECE, [("card",), ("where is my card",), ("parcel",)], 16)
    assert "attention_mask" not in tokens.batch(np.array([2, 0]))
    assert "attention_mask" not in tokens.batch(np.array([1]))


WORDS = st.lists(st.sampled_from(["card", "where", "你", "?", "zq"]), max_size=12).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=8), st.integers(4, 12), st.randoms())
def test_any_batch_holds_the_rows_asked_for(texts: list[str], max_length: int, random: Any) -> None:
    tokens = tokenize(WORDPIECE, [(text,) for text in texts], max_length)
    order = np.array(random.sample(range(len(texts)), random.randint(1, len(texts))))
    batch = tokens.batch(order)
    for row, place in zip(batch["input_ids"].tolist(), order, strict=True):
        cut = WORDPIECE(texts[place], truncation=True, max_length=max_length)["input_ids"]
        assert row == cut + [WORDPIECE.pad_token_id] * (len(row) - len(cut))
    mask = batch.get("attention_mask")
    lengths = tokens.lengths[order]
    assert (mask is None) == (len(set(lengths)) == 1)
    assert mask is None or mask.sum(dim=1).tolist() == lengths.tolist()


@pytest.mark.parametrize("places", [[2, 0, 2], [1], []])
def test_some_examples_of_many(places: list[int]) -> None:
    texts = [("card", "where"), ("where is my card", "zq"), ("parcel " * 40, "card")]
    taken = tokenize(WORDPIECE, texts, 16).take(np.array(places, dtype=np.int64))
    alone = tokenize(WORDPIECE, [texts[place] for place in places], 16)
    assert len(taken) == len(places)
    for name in ("ids", "offsets", "lengths", "full_lengths"):
        assert getattr(taken, name).tolist() == getattr(alone, name).tolist()
    assert taken.types is not None
    assert taken.types.tolist() == ([] if alone.types is None else alone.types.tolist())


def test_the_tokenizer_fills_up_on_the_right(spoilt: Path) -> None:
    left = tiny_tokenizer("bytes")
    left.padding_side = left.truncation_side = "left"
    left.save_pretrained(str(spoilt))
    tokenizer = load_tokenizer(spoilt)
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("right", "right")
    assert tokenizer.pad_token == tokenizer.eos_token


@pytest.mark.parametrize("content", [None, "", "{}", '{"version": "1.0", "model": 3}'])
def test_a_missing_or_broken_tokenizer_is_refused(spoilt: Path, content: str | None) -> None:
    file = spoilt / "tokenizer.json"
    if content is None:
        file.unlink()
        (spoilt / "tokenizer_config.json").unlink()
    else:
        file.write_text(content)
    with pytest.raises(BaseModelError, match="tokenizer"):
        load_tokenizer(spoilt)


def test_a_missing_vocabulary_is_refused(spoilt: Path) -> None:
    (spoilt / "tokenizer.json").unlink()
    with pytest.raises(BaseModelError, match="tokenizer"):
        load_tokenizer(spoilt)
