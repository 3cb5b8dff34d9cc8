"""Where the tokens of a text stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases._encode import kept_places
from tunesmith.bases._tokens import TokenizedDataset
from tunesmith.errors import BaseModelError
from tunesmith.types import Inputs

__all__ = ["TokenPlaces", "find_places"]


@dataclass(frozen=True, slots=True)
class TokenPlaces:
    """Where the tokens of one example stand in its texts.

    Attributes:
        fields: int64 [length], which of the example's texts a token is of; -1 for those that the
            base puts around the texts.
        starts, ends: int64 [length], in characters of that text. Several tokens may be of one
            character, where the base reads bytes.
    """

    fields: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def find_places(
    tokenizer: Any, inputs: Sequence[Inputs], tokens: TokenizedDataset
) -> list[TokenPlaces]:
    """Where the tokens of n examples stand.

    Args:
        tokenizer: that made `tokens` of `inputs`.

    Raises:
        BaseModelError: the tokenizer does not tell.
    """
    columns = [list(column) for column in zip(*inputs, strict=True)]
    whole = tokenizer(*columns, truncation=False, verbose=False, return_attention_mask=False)
    if whole.encodings is None:
        raise _untold()
    return [_of(whole.encodings[i], _ids(tokens, i)) for i in range(len(inputs))]


def _of(encoding: Any, ids: NDArray[np.int32]) -> TokenPlaces:
    owners = encoding.sequence_ids
    kept = np.arange(len(owners))
    if len(owners) > len(ids):
        kept = kept_places(owners, len(ids))
    if not len(kept):  # an empty text, of which a token had to be made
        return TokenPlaces(np.full(len(ids), -1), *np.zeros((2, len(ids)), dtype=np.int64))
    if not np.array_equal(np.asarray(encoding.ids)[kept], ids):
        raise _untold()
    offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)[kept]
    fields = np.array([-1 if owner is None else owner for owner in owners], dtype=np.int64)
    return TokenPlaces(fields[kept], offsets[:, 0], offsets[:, 1])


def _ids(tokens: TokenizedDataset, place: int) -> NDArray[np.int32]:
    return tokens.ids[tokens.offsets[place] : tokens.offsets[place + 1]]


def _untold() -> BaseModelError:
    return BaseModelError(
        "its tokenizer does not tell where tokens stand in a text",
        mend="choose the method leave-one-out, which needs no tokens",
    )
