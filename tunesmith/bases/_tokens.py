"""Texts as token ids, held flat: one array of ids, and where each example starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases._safety import check_folder
from tunesmith.errors import BaseModelError
from tunesmith.types import Inputs

if TYPE_CHECKING:
    import torch

__all__ = ["TokenBatch", "TokenizedDataset", "load_tokenizer", "tokenize"]

TokenBatch = dict[str, "torch.Tensor"]
_CHUNK = 4096
_MIN_VOCABULARY = 10
_TOKENIZER_MEND = "the folder needs tokenizer.json, or the vocabulary files of its family"


@dataclass(frozen=True, slots=True)
class TokenizedDataset:
    """n examples as token ids.

    Attributes:
        ids: int32 [total tokens], all examples one behind the other.
        types: int8 [total tokens], which of two texts a token is of; None where the base has no use
            for it.
        offsets: int64 [n + 1]; example i is `ids[offsets[i]:offsets[i + 1]]`.
        full_lengths: int64 [n], tokens before anything was cut.
        unknown_share: share of tokens that the base does not know.
        pad_id: the id that fills up short examples.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8] | None
    offsets: NDArray[np.int64]
    full_lengths: NDArray[np.int64]
    unknown_share: float
    pad_id: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each example."""
        return np.diff(self.offsets)

    def batch(self, indices: NDArray[np.int64]) -> TokenBatch:
        """The examples at `indices`, filled up on the right to the longest: int64 [b, length].

        `attention_mask` is absent where nothing had to be filled up: attention is faster without.
        """
        import torch

        lengths = self.lengths[indices]
        longest = int(lengths.max())
        columns = np.arange(longest)
        real = columns[None, :] < lengths[:, None]
        places = np.minimum(self.offsets[indices][:, None] + columns[None, :], len(self.ids) - 1)
        batch: TokenBatch = {
            "input_ids": torch.from_numpy(
                np.where(real, self.ids[places], self.pad_id).astype(np.int64)
            )
        }
        if self.types is not None:
            types = np.where(real, self.types[places], 0).astype(np.int64)
            batch["token_type_ids"] = torch.from_numpy(types)
        if not real.all():
            batch["attention_mask"] = torch.from_numpy(real.astype(np.int64))
        return batch


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, filling up on the right, with a token to fill up with.

    Raises:
        BaseModelError: there is none that can be opened, or the folder is not safe to open.
    """
    from transformers import AutoTokenizer

    check_folder(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise BaseModelError(
            f"its tokenizer cannot be opened ({str(error).splitlines()[0][:200]})",
            where=str(folder),
            mend=_TOKENIZER_MEND,
        ) from error
    # Without its files transformers makes a tokenizer up, to which every word is unknown.
    if len(tokenizer) < len(tokenizer.all_special_tokens) + _MIN_VOCABULARY:
        raise BaseModelError(
            "its tokenizer has no vocabulary", where=str(folder), mend=_TOKENIZER_MEND
        )
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
    if tokenizer.pad_token is None:
        raise BaseModelError("its tokenizer has no token to fill up with", where=str(folder))
    return tokenizer


def tokenize(tokenizer: Any, inputs: Sequence[Inputs], max_length: int) -> TokenizedDataset:
    """Turns n examples of one or two texts into ids, each cut to `max_length` tokens."""
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.int8]] = []
    full_lengths: list[int] = []
    unknown = total = 0
    for start in range(0, len(inputs), _CHUNK):
        columns = [list(column) for column in zip(*inputs[start : start + _CHUNK], strict=True)]
        encoded = _encode(tokenizer, columns, max_length)
        full_lengths += encoded["full_length"]
        for own in encoded["input_ids"]:
            # A base without special tokens turns an empty text into nothing; it must be something.
            row = np.array(own or [tokenizer.pad_token_id], dtype=np.int32)
            ids.append(row)
            total += len(row)
            if tokenizer.unk_token_id is not None and tokenizer.unk_token != tokenizer.eos_token:
                unknown += int((row == tokenizer.unk_token_id).sum())
        types += [np.array(own or [0], dtype=np.int8) for own in encoded.get("token_type_ids", [])]
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in ids], out=offsets[1:])
    return TokenizedDataset(
        ids=np.concatenate(ids) if ids else np.zeros(0, np.int32),
        types=np.concatenate(types) if types else None,
        offsets=offsets,
        full_lengths=np.array(full_lengths, dtype=np.int64),
        unknown_share=unknown / max(total, 1),
        pad_id=int(tokenizer.pad_token_id),
    )


def _encode(tokenizer: Any, columns: list[list[Any]], max_length: int) -> dict[str, list[Any]]:
    """The tokenizer's lists for each example, cut, and how long each of them was.

    Fast tokenizers are not asked to cut: they build every piece that is cut off as well, and of two
    texts every pair of pieces, which takes seconds for one pair of long texts.
    """
    whole = tokenizer(*columns, truncation=False, verbose=False)
    encoded = {name: list(whole[name]) for name in ("input_ids", "token_type_ids") if name in whole}
    lengths = [len(own) for own in whole["input_ids"]]
    for i, length in enumerate(lengths):
        if length <= max_length:
            continue
        if whole.is_fast:
            kept = _kept(whole.sequence_ids(i), max_length)
            short = {name: np.asarray(rows[i])[kept].tolist() for name, rows in encoded.items()}
        else:
            texts = [column[i] for column in columns]
            short = tokenizer(*texts, truncation="longest_first", max_length=max_length)
        for name, rows in encoded.items():
            rows[i] = short[name]
    return {**encoded, "full_length": lengths}


def _kept(owners: Sequence[int | None], max_length: int) -> NDArray[np.int64]:
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
