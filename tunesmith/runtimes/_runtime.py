"""What every runtime must offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tunesmith.tasks import Task
from tunesmith.types import Inputs, Outputs, Prediction

__all__ = ["Runtime", "Tokens"]


class Tokens(Protocol):
    """n inputs as a runtime reads them, made by its `tokenize`; only its `run` looks inside."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], the tokens of each input that the model reads."""

    @property
    def full_lengths(self) -> NDArray[np.int64]:
        """int64 [n], the tokens of each input before anything was cut."""


@runtime_checkable
class Runtime(Protocol):
    """A loaded bundle on one backend.

    Calls are safe from several threads. Each uses all of the machine's cores and waits for the one
    before, but for those of `run` that are to go side by side.
    """

    @property
    def name(self) -> str:
        """The backend and precision, such as "torch-fp32"."""

    @property
    def task(self) -> Task:
        """What the model does."""

    @property
    def max_length(self) -> int:
        """The most tokens read of one example; the rest is cut."""

    @property
    def embedding_size(self) -> int | None:
        """How long the states are that `Outputs` has, where these may be given as embeddings.

        None: there are none, or they did not pass the parity gate.
        """

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the bundle's digest."""

    def outputs(self, inputs: Sequence[Inputs]) -> Outputs:
        """The model's raw outputs for n inputs, in their order."""

    def tokenize(self, inputs: Sequence[Inputs]) -> Tokens:
        """Reads n inputs; does not wait for a `run` of another thread."""

    def run(self, rows: Sequence[tuple[Any, int]], *, beside: bool = False) -> Outputs:
        """The model's raw outputs for rows of one call or several calls of `tokenize`.

        Args:
            rows: each what `tokenize` gave, and which of its inputs is meant.
            beside: whether other calls run beside it, each on its share of the cores; only between
                `open_lanes` and `close_lanes`.
        """

    def open_lanes(self) -> int:
        """Makes ready for calls of `run` side by side; gives how many, 1 where that cannot be.

        A second copy of the weights may come of it.
        """

    def close_lanes(self) -> None:
        """Gives back what `open_lanes` took; no call may be on its way."""

    def count_tokens(self, inputs: Sequence[Inputs]) -> list[int]:
        """How many tokens each of n inputs has before anything is cut."""

    def predict(self, items: Sequence[object]) -> list[Prediction]:
        """The decoded answers for n items, in their order; see `Task.read` for what an item is."""
