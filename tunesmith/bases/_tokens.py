"""Texts as token ids, held flat: one array of ids, and where each example starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import BaseModelError
from tunesmith.types import Inputs

if TYPE_CHECKING:
    import torch

__all__ = ["TokenBatch", "TokenizedDataset", "load_tokenizer", "tokenize"]

TokenBatch = dict[str, "torch.Tensor"]
_CHUNK = 4096


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
        BaseModelError: there is none that can be opened.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise BaseModelError(
            f"its tokenizer cannot be opened ({str(error).splitlines()[0][:200]})",
            where=str(folder),
            mend="the folder needs tokenizer.json, or the vocabulary files of its family",
        ) from error
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
        whole = tokenizer(*columns, truncation=False, verbose=False)
        cut = [i for i, own in enumerate(whole["input_ids"]) if len(own) > max_length]
        full_lengths += [len(own) for own in whole["input_ids"]]
        encoded = {
            name: list(whole[name]) for name in ("input_ids", "token_type_ids") if name in whole
        }
        if cut:
            short = tokenizer(
                *[[column[i] for i in cut] for column in columns],
                truncation="longest_first",
                max_length=max_length,
            )
            for name, rows in encoded.items():
                for place, i in enumerate(cut):
                    rows[i] = short[name][place]
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
