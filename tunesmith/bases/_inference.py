"""Running a classifier over many examples without training it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.bases._batches import sorted_batches
from tunesmith.bases._classifier import Classifier

if TYPE_CHECKING:
    from tunesmith.bases._tokens import TokenBatch

__all__ = ["TokenSource", "extract_features", "score", "score_features"]


class TokenSource(Protocol):
    """n tokenised examples that batches are taken of: `TokenizedDataset`, `PrefixCache`."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each example."""
        ...

    def batch(self, indices: NDArray[np.int64]) -> TokenBatch:
        """The examples at `indices`, filled up on the right to the longest."""
        ...


def score(
    model: Classifier,
    tokens: TokenSource,
    *,
    on_rows: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """The scores of n examples, float32 [n, labels], in their order."""
    return _run(model, model, model.head.out_features, tokens, on_rows)


def extract_features(
    model: Classifier,
    tokens: TokenSource,
    *,
    on_rows: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """The pooled states of n examples, float32 [n, hidden], in their order."""
    return _run(model, model.features, model.head.in_features, tokens, on_rows)


def score_features(
    model: Classifier, tokens: TokenSource
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scores [n, labels] and pooled states [n, hidden] of n examples, float32, in one go."""

    def both(batch: TokenBatch) -> torch.Tensor:
        states = model.features(batch)
        return torch.cat([model.head(states), states], dim=1)

    size = model.head.out_features
    found = _run(model, both, size + model.head.in_features, tokens, None)
    return found[:, :size], found[:, size:]


def _run(
    model: Classifier,
    call: Callable[[TokenBatch], torch.Tensor],
    width: int,
    tokens: TokenSource,
    on_rows: Callable[[int], None] | None,
) -> NDArray[np.float32]:
    results = np.empty((len(tokens), width), dtype=np.float32)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for indices in sorted_batches(tokens.lengths):
            batch = {name: value.to(device) for name, value in tokens.batch(indices).items()}
            results[indices] = call(batch).cpu().numpy()
            if on_rows is not None:
                on_rows(len(indices))
    model.train(was_training)
    return results
