"""What the frozen layers make of each training text, computed once and kept on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.bases._batches import sorted_batches
from tunesmith.bases._classifier import Classifier
from tunesmith.bases._layers import layers_of, names_in_order
from tunesmith.bases._suffix import entering_name
from tunesmith.bases._tokens import TokenBatch, TokenizedDataset

__all__ = ["PrefixCache"]

_TRIAL_ROWS = 8
_TOLERANCE = 1e-4
_HALF_TOLERANCE = 2e-3


class PrefixCache:
    """Tokenised texts that bring the states with which they enter the first trained layer.

    `Classifier.features` runs only the layers from there on for batches of it. It stands in for the
    `TokenizedDataset` that it was built of.
    """

    def __init__(self, tokens: TokenizedDataset, start: int, states: NDArray[Any]) -> None:
        """Use `build`.

        Args:
            tokens: the n texts.
            start: the first layer that is trained, counted from 0.
            states: [total tokens, hidden], what enters that layer, as `tokens.ids` holds its ids.
        """
        self._tokens = tokens
        self._start = start
        self._states = states

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each example."""
        return self._tokens.lengths

    @property
    def dtype(self) -> np.dtype[Any]:
        """float16, or float32 where that would be too coarse."""
        return self._states.dtype

    def batch(self, indices: NDArray[np.int64]) -> TokenBatch:
        """As `TokenizedDataset.batch`, with the states as well: [b, length, hidden]."""
        batch = self._tokens.batch(indices)
        places, real = _places(self._tokens, indices)
        states = np.zeros((*real.shape, self._states.shape[1]), self._states.dtype)
        states[real] = self._states[places[real]]
        batch[entering_name(self._start)] = torch.from_numpy(states)
        return batch

    @classmethod
    def build(
        cls,
        model: Classifier,
        tokens: TokenizedDataset,
        num_layers: int,
        folder: Path,
        limit_bytes: int,
    ) -> PrefixCache | None:
        """Runs the layers before the last `num_layers` over all texts, and keeps what they give.

        Before that it is tried on a few texts whether the last layers, given the states alone, come
        to the same: T5's layers need what its first one hands on. The same texts decide whether
        float16 is fine enough to keep them in.

        Args:
            model: the classifier, in whatever precision it is to be trained.
            folder: where the file is put. It has no name, and its space is free when the cache is
                not used any more, or the process ends.
            limit_bytes: the most that the file may take.

        Returns:
            The cache; None where nothing is frozen, where it would not be the same, or where there
            is no room.

        Raises:
            BaseModelError: see `layers_of`.
        """
        start = len(layers_of(model)) - num_layers
        if start <= 0 or not len(tokens) or _trains_before(model, start):
            return None
        shape = (int(tokens.offsets[-1]), model.head.in_features)
        for dtype in _fitting_types(model, tokens, start):
            if shape[0] * shape[1] * dtype.itemsize > limit_bytes:
                return None
            states = _reserve(folder, shape, dtype)
            if states is None:
                return None
            if _fill(states, model, tokens, start):
                return cls(tokens, start, states)
        return None


def _places(
    tokens: TokenizedDataset, indices: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where the tokens of a batch are held, and which are real: both [b, length]."""
    lengths = tokens.lengths[indices]
    columns = np.arange(int(lengths.max()))
    return tokens.offsets[indices][:, None] + columns, columns < lengths[:, None]


def _trains_before(model: Classifier, start: int) -> bool:
    """Whether anything is trained that a text passes before it enters layer `start`."""
    names = {module: name for name, module in model.backbone.named_modules()}
    first = names[layers_of(model)[start]]
    order = names_in_order(model)
    passed = [model.backbone.get_submodule(name) for name in order[: order.index(first)]]
    return any(p.requires_grad for module in passed for p in module.parameters(recurse=False))


@torch.inference_mode()
def _fitting_types(
    model: Classifier, tokens: TokenizedDataset, start: int
) -> tuple[np.dtype[Any], ...]:
    """The types to try to keep the states in; none where the last layers do not suffice."""
    ends = [int(tokens.lengths.argmax()), int(tokens.lengths.argmin())]
    indices = np.array([*ends, *range(min(len(tokens), _TRIAL_ROWS))])
    was_training = model.training
    model.eval()
    batch = _on_device(model, tokens.batch(indices))
    whole = model.features(batch)

    def error(kept: Tensor) -> float:
        found = model.features({**batch, entering_name(start): kept})
        return float((found - whole).abs().max() / whole.abs().max())

    try:
        states = _states_entering(model, batch, start).float()
        if not error(states) <= _TOLERANCE:
            return ()
        half = states.half()
        is_fine = bool(half.isfinite().all()) and error(half) <= _HALF_TOLERANCE
        coarse, fine = np.dtype(np.float16), np.dtype(np.float32)
        return (coarse, fine) if is_fine else (fine,)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        # A family's own code may count on all of its layers in a way that cannot be foreseen.
        return ()
    finally:
        model.train(was_training)


def _fill(states: NDArray[Any], model: Classifier, tokens: TokenizedDataset, start: int) -> bool:
    """Computes all states; False where one of them is too large for the type."""
    largest = float(np.finfo(states.dtype).max)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for indices in sorted_batches(tokens.lengths):
                batch = _on_device(model, tokens.batch(indices))
                places, real = _places(tokens, indices)
                found = _states_entering(model, batch, start).float().cpu().numpy()[real]
                if not np.abs(found).max() <= largest:
                    return False
                states[places[real]] = found.astype(states.dtype)
    finally:
        model.train(was_training)
    return True


class _Reached(Exception):  # noqa: N818 - no error: the layers behind need not run
    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states


def _states_entering(model: Classifier, batch: TokenBatch, start: int) -> Tensor:
    """What enters layer `start`: [b, length, hidden]."""

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    hook = layers_of(model)[start].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model.features(batch)
    except _Reached as reached:
        return reached.states
    finally:
        hook.remove()
    raise AssertionError("a text passes every layer")


def _on_device(model: Classifier, batch: TokenBatch) -> TokenBatch:
    device = next(model.parameters()).device
    return {name: value.to(device) for name, value in batch.items()}


def _reserve(folder: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """An array in a file that has no name and all of its space; None where there is too little."""
    size_bytes = shape[0] * shape[1] * dtype.itemsize
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < size_bytes:
        return None
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # A hole that is written to later on a full disk would end the process without a word.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            else:
                file.truncate(size_bytes)
        except OSError:
            return None
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
