"""What every task must offer, whatever goes in and whatever comes out.

`docs/design/tasks.md` shows how generation, translation, images and audio fit this contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from tunesmith.tasks._wanted import Wanted
from tunesmith.types import Inputs, Outputs, Prediction, Target

__all__ = ["Field", "Head", "Modality", "Objective", "Task", "fitted_as_dict"]

Modality: TypeAlias = Literal["text", "image", "audio"]
Objective: TypeAlias = Literal["cross-entropy", "binary-cross-entropy"]


@dataclass(frozen=True, slots=True)
class Field:
    """One input that the task reads: the column's name and what kind of thing it holds."""

    name: str
    modality: Modality = "text"


@dataclass(frozen=True, slots=True)
class Head:
    """What the base model must end in: a score for each of `size` labels, or the next token."""

    kind: Literal["labels", "tokens"]
    size: int = 0


@runtime_checkable
class Task(Protocol):
    """What the model must do. Frozen; rebuilt from `as_dict()` by `tunesmith.tasks.from_dict`."""

    @property
    def name(self) -> str:
        """The task's standard name, such as "text-classification"."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The input schema, in the order of `Example.inputs`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the scores; empty for tasks that answer in text."""

    @property
    def head(self) -> Head:
        """What the base model must end in."""

    @property
    def objective(self) -> Objective:
        """The loss that training minimises."""

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """Names of the metrics that are reported when none are asked for; the first one leads."""

    def read(self, item: object) -> Inputs:
        """One item of a request or row of a file as inputs.

        A mapping is read by field name, a sequence in field order, a bare value as the only field.

        Raises:
            DataError: a field is missing, or holds something else than the schema says.
        """

    def encode(self, targets: Sequence[Target]) -> NDArray[Any]:
        """Targets as the objective wants them.

        Returns:
            int64 [n] for one label, float32 [n, labels] for several, object [n] for texts.

        Raises:
            DataError: a target is none of the task's labels.
        """

    def probabilities(self, outputs: Outputs) -> NDArray[Any]:
        """The scores as probabilities, float64 [n, labels]; calibrated where that was fitted."""

    def check(self, wanted: Wanted) -> None:
        """Refuses what `decode` cannot give.

        Raises:
            ConfigError: something wanted is wrong, or the model was not given it; each is named.
        """

    def decode(self, outputs: Outputs, wanted: Wanted | None = None) -> list[Prediction]:
        """The n answers that the model's outputs stand for.

        Args:
            wanted: what they should say beside the labels.

        Raises:
            ConfigError: see `check`.
        """

    def as_dict(self) -> Mapping[str, Any]:
        """The task as JSON values, for a bundle's manifest."""


def fitted_as_dict(task: Task) -> dict[str, Any]:
    """What was fitted on validation rows, as JSON values; left out where it was not.

    So the manifests of bundles without it keep the bytes that their digests were taken of.
    """
    names = ("calibration", "selective", "conformal", "scope")
    fitted = {name: getattr(task, name, None) for name in names}
    return {name: own.as_dict() for name, own in fitted.items() if own is not None}
