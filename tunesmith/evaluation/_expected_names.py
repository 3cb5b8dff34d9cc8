"""The names that expectations may use: of metrics, labels, slices and invariance tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tunesmith.data import did_you_mean
from tunesmith.errors import Fault
from tunesmith.evaluation._measure import AREAS
from tunesmith.evaluation._outcomes import metrics_of
from tunesmith.evaluation._perturbations import PERTURBATIONS
from tunesmith.evaluation._slices import USUAL_SLICES, slice_metric
from tunesmith.tasks import Task

__all__ = ["EVERY", "KnownNames", "name_faults"]

EVERY = "*"
"""Stands for every label, and for every invariance test."""

_MOST_NAMED = 30


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What an evaluation has figures of.

    Attributes:
        metrics, labels, tests: of the task, the latter with `EVERY`.
        slices: what the rows are taken apart by.
        slice_metric: the only figure that slices are given in.
    """

    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    slices: tuple[str, ...]
    slice_metric: str
    tests: tuple[str, ...]

    @classmethod
    def of(cls, task: Task, columns: Sequence[str] = ()) -> Self:
        """Those of a task, with further columns that the rows are sliced by."""
        return cls(
            metrics=(*metrics_of(task), *AREAS),
            labels=(*task.labels, EVERY),
            slices=(*USUAL_SLICES, *(name for name in columns if name not in USUAL_SLICES)),
            slice_metric=slice_metric(task),
            tests=(*PERTURBATIONS, EVERY),
        )


def name_faults(values: Mapping[str, Any], known: KnownNames, where: str) -> Iterator[Fault]:
    """Names that there are not, each with the one that may have been meant.

    Args:
        values: as the file has them; parts of another shape than expected are passed over.
        where: what the file is called.
    """
    for part, kind, names in (
        ("metrics", "metric", known.metrics),
        ("labels", "label", known.labels),
        ("robustness", "invariance test", known.tests),
    ):
        for name in _mapping(values.get(part)):
            if name not in names:
                place = f"{where}: {part}.{name}"
                yield Fault(f"there is no such {kind}", place, _mend(name, names))
    slices = values.get("slices")
    for number, one in enumerate(slices if isinstance(slices, list) else []):
        wanted = _mapping(one)
        sliced_by, metric = wanted.get("name"), wanted.get("metric")
        if isinstance(sliced_by, str) and sliced_by not in known.slices:
            mend = _mend(sliced_by, known.slices)
            yield Fault(
                f"the rows are not sliced by {sliced_by!r}",
                f"{where}: slices.{number}.name",
                f"{mend}; --slice COLUMN slices by a column of the file",
            )
        if isinstance(metric, str) and metric != known.slice_metric:
            yield Fault(
                f"slices have no figure {metric!r}",
                f"{where}: slices.{number}.metric",
                f"write metric: {known.slice_metric}, the figure that they are given in",
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mend(name: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
    return did_you_mean(name, names) or f"there are {shown}"
