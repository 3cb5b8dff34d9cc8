"""What the page says about the model, out of the JSON facts that its bundle came with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.errors import DataError
from tunesmith.tasks import MultiLabelClassification, Task

__all__ = ["Figure", "base_name", "examples", "figures", "purpose"]

_SHARES = ("accuracy", "auc", "f1", "precision", "recall")
_MAX_EXAMPLES = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric as a reader sees it; `interval` is empty where none was measured."""

    name: str
    value: str
    interval: str


def figures(details: Mapping[str, object]) -> list[Figure]:
    """The metrics of `details`, in their order; whatever is no number is passed over."""
    metrics = details.get("metrics")
    if not isinstance(metrics, Mapping):
        return []
    found: list[Figure] = []
    for name, entry in metrics.items():
        if name in {"confidence", "num_examples"}:
            continue
        value, low, high = _estimate(entry)
        if value is not None:
            as_share = any(share in name for share in _SHARES)
            title = str(name).replace("_", " ").replace(" f1", " F1")
            title = title[:1].upper() + title[1:]
            found.append(Figure(title, _shown(value, as_share), _interval(low, high, as_share)))
    return found


def purpose(task: Task) -> str:
    """What the task does, in a few words."""
    count = len(task.labels)
    many = "any" if isinstance(task, MultiLabelClassification) else "one"
    return f"Chooses {many} of {count:,} labels"


def base_name(details: Mapping[str, object]) -> str:
    """The base model's id, or nothing."""
    base = details.get("base")
    if isinstance(base, Mapping):
        base = base.get("id")
    return base if isinstance(base, str) else ""


def examples(details: Mapping[str, object], task: Task) -> list[tuple[str, ...]]:
    """A few inputs to try; those that the task cannot read are passed over."""
    given = details.get("examples")
    if not isinstance(given, Sequence) or isinstance(given, str):
        return []
    readable: list[tuple[str, ...]] = []
    for item in given:
        try:
            readable.append(tuple(str(value) for value in task.read(item)))
        except DataError:
            continue
    return readable[:_MAX_EXAMPLES]


def _estimate(entry: object) -> tuple[float | None, float | None, float | None]:
    if isinstance(entry, Mapping):
        return (_number(entry.get("value")), _number(entry.get("low")), _number(entry.get("high")))
    return _number(entry), None, None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _shown(value: float, as_share: bool) -> str:
    return f"{100 * value:.1f} %" if as_share else f"{value:.3f}"


def _interval(low: float | None, high: float | None, as_share: bool) -> str:
    if low is None or high is None:
        return ""
    return f"{_shown(low, as_share).removesuffix(' %')} – {_shown(high, as_share)}"
