"""Texts to token ids, some thousand rows at a time, as flat arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases._plain_tokenizer import PlainTokenizer
from tunesmith.types import Inputs

__all__ = ["TokenPiece", "encode", "in_chunks", "kept_places"]

TokenPiece: TypeAlias = dict[str, NDArray[Any]]
"""What is known of n rows in turn: "ids" int32 and "types" int8 (absent where the base has no use
for them) of all tokens one behind the other; "lengths" int32 [n] and "full_lengths" int64 [n], in
tokens after and before cutting; "unknown" int64 [1], how many tokens the base does not know."""

_CALLS = ("__call__", "_encode_plus", "_batch_encode_plus", "_switch_to_input_mode")
_Lists: TypeAlias = dict[str, list[list[int]]]
_ROWS_AT_ONCE = 4096


def in_chunks(inputs: Sequence[Inputs]) -> Iterator[Sequence[Inputs]]:
    """The inputs, some thousand at a time."""
    for start in range(0, len(inputs), _ROWS_AT_ONCE):
        yield inputs[start : start + _ROWS_AT_ONCE]


def encode(tokenizer: Any, inputs: Sequence[Inputs], max_length: int) -> TokenPiece:
    """The ids of n rows of one or two texts, each cut to `max_length` tokens.

    Fast tokenizers are not asked to cut: they build every piece that is cut off as well, and of two
    texts every pair of pieces, which takes seconds for one pair of long texts.
    """
    columns = [list(column) for column in zip(*inputs, strict=True)]
    lists, encodings = _whole(tokenizer, columns)
    full_lengths = np.fromiter(map(len, lists["input_ids"]), np.int64, len(inputs))
    for i in np.flatnonzero(full_lengths > max_length).tolist():
        if encodings is not None:
            kept = kept_places(encodings[i].sequence_ids, max_length)
            short = {name: np.asarray(rows[i])[kept].tolist() for name, rows in lists.items()}
        else:
            texts = [column[i] for column in columns]
            short = tokenizer(*texts, truncation="longest_first", max_length=max_length)
        for name, rows in lists.items():
            rows[i] = short[name]
    # A base without special tokens turns an empty text into nothing; it must be something.
    for i in np.flatnonzero(full_lengths == 0).tolist():
        for name, rows in lists.items():
            rows[i] = [tokenizer.pad_token_id if name == "input_ids" else 0]
    ids = np.fromiter(chain.from_iterable(lists["input_ids"]), np.int32)
    piece: TokenPiece = {
        "ids": ids,
        "lengths": np.fromiter(map(len, lists["input_ids"]), np.int32, len(inputs)),
        "full_lengths": full_lengths,
        "unknown": np.array([_num_unknown(tokenizer, ids)], dtype=np.int64),
    }
    if "token_type_ids" in lists:
        types = chain.from_iterable(lists["token_type_ids"])
        piece["types"] = np.fromiter(types, np.int8, len(ids))
    return piece


def _whole(tokenizer: Any, columns: list[list[Any]]) -> tuple[_Lists, Sequence[Any] | None]:
    """The tokenizer's lists for each row, nothing cut, and a fast tokenizer's own encodings."""
    names = ("input_ids", "token_type_ids")
    if _has_standard_calls(tokenizer):
        # What is left out here costs Python as long again as the tokenizer itself takes: masks,
        # places of characters, and dictionaries of lists for each row.
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = tokenizer.split_special_tokens
        texts = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        encodings = backend.encode_batch_fast(texts)
        lists = {"input_ids": [one.ids for one in encodings]}
        if "token_type_ids" in tokenizer.model_input_names:
            lists["token_type_ids"] = [one.type_ids for one in encodings]
        return lists, encodings
    whole = tokenizer(*columns, truncation=False, verbose=False, return_attention_mask=False)
    return {name: list(whole[name]) for name in names if name in whole}, whole.encodings


def _has_standard_calls(tokenizer: Any) -> bool:
    """Whether the tokenizer does no more with a text than its backend; some families do."""
    if isinstance(tokenizer, PlainTokenizer):
        return True
    from transformers import PreTrainedTokenizerFast

    own = type(tokenizer)
    return isinstance(tokenizer, PreTrainedTokenizerFast) and all(
        getattr(own, name, None) is getattr(PreTrainedTokenizerFast, name, None) for name in _CALLS
    )


def _num_unknown(tokenizer: Any, ids: NDArray[np.int32]) -> int:
    if tokenizer.unk_token_id is None or tokenizer.unk_token == tokenizer.eos_token:
        return 0
    return int(np.count_nonzero(ids == tokenizer.unk_token_id))


def kept_places(owners: Sequence[int | None], max_length: int) -> NDArray[np.int64]:
    """The places of the tokens that stay when the longer of two texts is cut first.

    Args:
        owners: for each token the text that it is of, 0 or 1; None for those around the texts.
    """
    numbers = np.array([-1 if owner is None else owner for owner in owners])
    around, *texts = (np.flatnonzero(numbers == number) for number in (-1, 0, 1))
    room = max(max_length - len(around), 0)
    shorter, longer = sorted(texts, key=len)
    few = min(len(shorter), room // 2)
    return np.sort(np.concatenate([around, shorter[:few], longer[: room - few]]))
