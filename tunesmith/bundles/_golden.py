"""A few inputs with the scores that the trained model gave them, to be asked again before serving.

A bundle whose files are whole may still answer wrongly where it is loaded: another library version,
another processor, a runtime that reads the tokens in another way. The inputs are the labels and a
few sentences of ours, never rows of the user's, so that every bundle can hold them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import BundleError
from tunesmith.tasks import Task
from tunesmith.types import Inputs, Outputs

__all__ = ["GOLDEN", "Golden", "golden_inputs"]

GOLDEN = "reference/golden.json"

_MAX_LABELS = 16
_TOLERANCE = 0.25
"""Above what the parity gate allows on rows like the training's, as these texts are unlike them."""

_SENTENCES = (
    "Yes",
    "Thank you, everything arrived as it should.",
    "I have waited for two weeks now and nobody could tell me what happened to my order 4711!",
    "你好,请问我的订单什么时候到?",
    "The quick brown fox jumps over the lazy dog. " * 8,
)


def golden_inputs(task: Task) -> list[Inputs]:
    """What is asked: sentences of several lengths, and the labels' names."""
    texts = (*_SENTENCES, *task.labels[:_MAX_LABELS])
    return [(text,) * len(task.fields) for text in texts]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Inputs, and the trained model's raw scores for them, float32 [n, labels]."""

    inputs: Sequence[Inputs]
    scores: NDArray[np.float32]

    def write(self, file: Path) -> None:
        """Writes them as JSON, whole."""
        values = {"inputs": [list(one) for one in self.inputs], "scores": self.scores.tolist()}
        file.write_text(json.dumps(values, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, content: bytes, *, where: str) -> Golden:
        """What `write` wrote.

        Args:
            content: of the file.
            where: it lies, for the message.

        Raises:
            BundleError: it is something else.
        """
        try:
            values = json.loads(content)
            scores = np.array(values["scores"], dtype=np.float32)
            return cls([tuple(one) for one in values["inputs"]], scores)
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"cannot be read: {error}", where=where) from error

    def check(self, task: Task, ask: Callable[[Sequence[Inputs]], Outputs], name: str) -> None:
        """Asks a loaded model, and compares.

        Args:
            task: with the calibration that is shipped.
            ask: the model's outputs for n inputs.
            name: of the runtime, for the message.

        Raises:
            BundleError: a probability differs by more than rounding explains.
        """
        wanted: NDArray[Any] = task.probabilities(Outputs(scores=self.scores))
        found: NDArray[Any] = task.probabilities(ask(self.inputs))
        gap = float(np.abs(found - wanted).max()) if found.shape == wanted.shape else np.inf
        if not gap <= _TOLERANCE:
            raise BundleError(
                f"{name} gives probabilities that differ from the trained model's by {gap:.2g}",
                where=GOLDEN,
                mend="optimise the bundle again on this machine, or serve it with --runtime torch",
            )
