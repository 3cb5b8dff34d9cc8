"""Texts as token ids, held flat: one array of ids, and where each example starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases._encode import TokenPiece, encode, in_chunks
from tunesmith.bases._safety import check_folder
from tunesmith.bases._token_cache import TokenCache, cache_key
from tunesmith.errors import BaseModelError
from tunesmith.types import Inputs

if TYPE_CHECKING:
    import torch

__all__ = ["TokenBatch", "TokenizedDataset", "gathered", "load_tokenizer", "tokenize"]

TokenBatch = dict[str, "torch.Tensor"]
_NOTHING: TokenPiece = {
    "ids": np.zeros(0, np.int32),
    **dict.fromkeys(("lengths", "full_lengths", "unknown"), np.zeros(0, np.int64)),
}
_MIN_VOCABULARY = 10
_TOKENIZER_MEND = "the folder needs tokenizer.json, or the vocabulary files of its family"


@dataclass(frozen=True)
class TokenizedDataset:
    """n examples as token ids, in memory or mapped from the disk.

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

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each example."""
        return np.diff(self.offsets)

    def take(self, indices: NDArray[np.int64]) -> TokenizedDataset:
        """The examples at `indices`, in that order and in memory; `unknown_share` is of all n."""
        lengths = self.lengths[indices]
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        moved = np.repeat(self.offsets[indices] - offsets[:-1], lengths)
        places = np.arange(offsets[-1]) + moved
        return replace(
            self,
            ids=self.ids[places],
            types=None if self.types is None else self.types[places],
            offsets=offsets,
            full_lengths=self.full_lengths[indices],
        )

    def followed_by(self, other: TokenizedDataset) -> TokenizedDataset:
        """These examples and another dataset's of the same tokenizer, in memory."""
        types = None
        if self.types is not None and other.types is not None:
            types = np.concatenate([self.types, other.types])
        return replace(
            self,
            ids=np.concatenate([self.ids, other.ids]),
            types=types,
            offsets=np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            full_lengths=np.concatenate([self.full_lengths, other.full_lengths]),
        )

    def batch(self, indices: NDArray[np.int64]) -> TokenBatch:
        """`arrays` as tensors of torch."""
        import torch

        return {name: torch.from_numpy(value) for name, value in self.arrays(indices).items()}

    def arrays(self, indices: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The examples at `indices`, filled up on the right to the longest: int64 [b, length].

        `attention_mask` is absent where nothing had to be filled up: attention is faster without.
        """
        starts = self.offsets[indices]
        lengths = self.lengths[indices]
        columns = np.arange(int(lengths.max()))
        real = columns[None, :] < lengths[:, None]
        places = np.minimum(starts[:, None] + columns[None, :], len(self.ids) - 1)
        arrays = {"input_ids": np.where(real, self.ids[places], self.pad_id).astype(np.int64)}
        if self.types is not None:
            arrays["token_type_ids"] = np.where(real, self.types[places], 0).astype(np.int64)
        if not real.all():
            arrays["attention_mask"] = real.astype(np.int64)
        return arrays


def gathered(rows: Sequence[tuple[TokenizedDataset, int]]) -> TokenizedDataset:
    """Single examples of several tokenised datasets of one tokenizer, as one, in their order."""
    first, _ = rows[0]
    spans = [(tokens, tokens.offsets[place], tokens.offsets[place + 1]) for tokens, place in rows]
    types = [tokens.types[start:end] for tokens, start, end in spans if tokens.types is not None]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([end - start for _, start, end in spans], out=offsets[1:])
    return replace(
        first,
        ids=np.concatenate([tokens.ids[start:end] for tokens, start, end in spans]),
        types=np.concatenate(types) if types else None,
        offsets=offsets,
        full_lengths=np.array([tokens.full_lengths[place] for tokens, place in rows]),
    )


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


def tokenize(
    tokenizer: Any,
    inputs: Sequence[Inputs],
    max_length: int,
    *,
    cache: TokenCache | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> TokenizedDataset:
    """Turns n examples of one or two texts into ids, each cut to `max_length` tokens.

    Args:
        tokenizer: from `load_tokenizer`.
        inputs: the texts; some thousand examples are asked for at a time.
        max_length: in tokens, those that the base puts around a text included.
        cache: where the ids of large data are looked for, and kept: a million examples then lie on
            the disk and not in memory. None writes nothing.
        on_rows: is told of every so many examples done.
    """
    told = on_rows or (lambda _: None)
    if cache is None or len(inputs) < cache.fewest_rows:
        return _of_arrays(_joined(_pieces(tokenizer, inputs, max_length, told)), tokenizer)
    key = cache_key(tokenizer, inputs, max_length)
    arrays = cache.find(key)
    if arrays is not None:
        told(len(inputs))
    else:
        arrays = cache.add(key, _pieces(tokenizer, inputs, max_length, told))
    if arrays is None:
        arrays = _joined(_pieces(tokenizer, inputs, max_length, lambda _: None))
    return _of_arrays(arrays, tokenizer)


def _pieces(
    tokenizer: Any, inputs: Sequence[Inputs], max_length: int, told: Callable[[int], None]
) -> Iterator[TokenPiece]:
    for chunk in in_chunks(inputs):
        yield encode(tokenizer, chunk, max_length)
        told(len(chunk))


def _joined(pieces: Iterable[TokenPiece]) -> TokenPiece:
    parts = list(pieces) or [_NOTHING]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_arrays(arrays: TokenPiece, tokenizer: Any) -> TokenizedDataset:
    offsets = np.zeros(len(arrays["lengths"]) + 1, dtype=np.int64)
    np.cumsum(arrays["lengths"], out=offsets[1:])
    return TokenizedDataset(
        ids=arrays["ids"],
        types=arrays.get("types"),
        offsets=offsets,
        full_lengths=arrays["full_lengths"],
        unknown_share=int(arrays["unknown"].sum()) / max(len(arrays["ids"]), 1),
        pad_id=int(tokenizer.pad_token_id),
    )
