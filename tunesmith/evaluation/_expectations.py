"""What a user demands of a model, in a file; and whether an evaluation keeps it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tunesmith.data import did_you_mean
from tunesmith.errors import ConfigError, Fault
from tunesmith.evaluation._expected_names import KnownNames, name_faults
from tunesmith.evaluation._headline import NO_SHARES
from tunesmith.types import Estimate

__all__ = ["Bound", "CalibrationBound", "Expectations", "SliceBound", "read_expectations"]

_UNBOUNDED = NO_SHARES - {"mcc"}

LabelFigure: TypeAlias = Literal["precision", "recall", "f1", "roc_auc", "pr_auc"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Bound(_Part):
    """What a figure must at least be, or at most."""

    min: float | None = None
    """The least that is good enough."""
    max: float | None = None
    """The most, for losses."""
    of: Literal["value", "low", "high"] = "value"
    """What is compared: the figure itself, or an end of its interval, such as its lower one."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self

    def is_kept(self, estimate: Estimate) -> bool:
        """Whether a figure is good enough; an end that is not known never is."""
        found = {"value": estimate.value, "low": estimate.low, "high": estimate.high}[self.of]
        return (self.min is None or found >= self.min) and (self.max is None or found <= self.max)

    def words(self) -> str:
        """ "at least 0.9 (lower end)" """
        parts = [
            f"at {word} {bound:g}"
            for word, bound in (("least", self.min), ("most", self.max))
            if bound is not None
        ]
        end = {"value": "", "low": " (lower end)", "high": " (upper end)"}[self.of]
        return " and ".join(parts) + end


class SliceBound(Bound):
    """The same for slices of the rows."""

    metric: str | None = None
    """The slices' figure; every one that they are given in where left out."""
    name: str | None = None
    """What the rows are sliced by, such as "length"; everything where left out."""
    min_rows: int = Field(default=20, ge=1)
    """Slices with fewer rows are passed over: a handful falls below any bound by chance."""


class CalibrationBound(_Part):
    """How far probabilities may be from how often they come true, as they are shipped."""

    max_error: float = Field(ge=0)
    """The most that the expected calibration error may be."""


class Expectations(_Part):
    """All that is expected; the parts that are left out are not looked at."""

    metrics: dict[str, Bound] = Field(default_factory=dict)
    """Metric → its bound."""
    labels: dict[str, dict[LabelFigure, Bound]] = Field(default_factory=dict)
    """Label, or "*" for each → figure → its bound."""
    slices: list[SliceBound] = Field(default_factory=list)
    """Bounds that every slice must keep."""
    robustness: dict[str, Bound] = Field(default_factory=dict)
    """Invariance test, or "*" for each → the bound of the share of answers that it leaves alone."""
    calibration: CalibrationBound | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.metrics, self.labels, self.slices, self.robustness, self.calibration)):
            raise ValueError(
                "expects nothing: give metrics, labels, slices, robustness, calibration"
            )
        return self


def read_expectations(
    source: Path | Mapping[str, Any], known: KnownNames | None = None
) -> Expectations:
    """Expectations from a YAML file, or from what such a file would hold.

    Args:
        known: the names that it may use; None: they are not looked at.

    Raises:
        ConfigError: all faults at once, each with its place and, for a near miss, the name meant.
    """
    where = str(source) if isinstance(source, Path) else "expectations"
    # A whole number is a number: YAML tells 1 and 1.0 apart, and people do not.
    values = _floats(_read_yaml(source) if isinstance(source, Path) else dict(source))
    faults: list[Fault] = []
    try:
        expectations = Expectations.model_validate(values)
    except ValidationError as error:
        faults += [_fault(entry, where) for entry in error.errors(include_url=False)]
    faults += [fault for entry in _shares(values, known) for fault in _above_one(*entry, where)]
    if known is not None:
        faults += name_faults(values, known, where)
    if faults:
        raise ConfigError.of(dict.fromkeys(faults))
    return expectations


def _shares(
    values: Mapping[str, Any], known: KnownNames | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place → the bounds there, of what is never above 1; as the file has them, faulty or not."""
    metrics, labels = _items(values.get("metrics")), _items(values.get("labels"))
    slices = values.get("slices")
    named = [
        *((f"metrics.{name}", name, bound) for name, bound in metrics),
        *(
            (f"labels.{label}.{name}", name, bound)
            for label, bounds in labels
            for name, bound in _items(bounds)
        ),
        *(
            (f"slices.{place}", one.get("metric") if isinstance(one, dict) else None, one)
            for place, one in enumerate(slices if isinstance(slices, list) else [])
        ),
        *((f"robustness.{name}", "", one) for name, one in _items(values.get("robustness"))),
        ("calibration", "", values.get("calibration")),
    ]
    shares = None if known is None else {*known.metrics, *LabelFigure.__args__, "", None}  # type: ignore[attr-defined]
    for place, metric, bound in named:
        if metric not in _UNBOUNDED and (shares is None or metric in shares):
            yield place, {name: own for name, own in _items(bound) if type(own) is float}


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def _above_one(place: str, bounds: Mapping[str, float], where: str) -> Iterator[Fault]:
    """Percentages where shares are meant."""
    for name, bound in bounds.items():
        if name in ("min", "max", "max_error") and 1 < bound < math.inf:
            meant = f"{bound / 100:g}" if 2 <= bound <= 100 else "a number from 0 to 1"
            what = f"{bound:g} is above 1, which this figure never is"
            yield Fault(what, f"{where}: {place}.{name}", f"write {name}: {meant}")


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"cannot be read: {reason}", where=str(file)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "not readable"
        mend = "the fault may stand in the line before"
        raise ConfigError(f"is not YAML: {line}{problem}", where=str(file), mend=mend) from error
    if not isinstance(values, dict):
        mend = "such as\nmetrics:\n  accuracy: {min: 0.9}"
        raise ConfigError("holds no expectations", where=str(file), mend=mend)
    return values


def _floats(values: Any) -> Any:
    """Keys as texts (a label may be a number), and bounds that are whole numbers as fractions."""
    if isinstance(values, dict):
        return {
            _key(key): float(value)
            if key in ("min", "max", "max_error") and type(value) is int
            else _floats(value)
            for key, value in values.items()
        }
    return [_floats(value) for value in values] if isinstance(values, list) else values


def _key(key: object) -> str:
    """A label as the tasks write it: YAML reads yes, no and numbers as something else."""
    if isinstance(key, bool):
        return str(key).lower()
    return str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)


def _fault(entry: Any, where: str) -> Fault:
    path = [str(part) for part in entry["loc"] if part != "[key]"]
    place = f"{where}: {'.'.join(path)}" if path else where
    if entry["type"] == "extra_forbidden" or entry["loc"][-1:] == ("[key]",):
        choices = _names_at(path)
        mend = did_you_mean(path[-1], choices)
        return Fault(
            "there is no such entry", place, f"{mend} entries: {', '.join(choices)}".strip()
        )
    if entry["type"] == "literal_error":
        return Fault(f"{entry['input']!r} is none of {entry['ctx']['expected']}", place)
    what = entry["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if entry["type"] in ("model_type", "dict_type"):
        return Fault("must hold entries, such as {min: 0.9}", place)
    shown = "" if entry["type"] == "value_error" else f" (got {entry['input']!r})"
    return Fault(f"{what}{shown}", place)


def _names_at(path: list[str]) -> list[str]:
    """What may stand where `path` ends."""
    if len(path) == 1:
        return list(Expectations.model_fields)
    if path[0] == "labels" and len(path) == 3:
        return list(LabelFigure.__args__)  # type: ignore[attr-defined]
    models: dict[str, type[BaseModel]] = {
        "calibration": CalibrationBound,
        "slices": SliceBound,
    }
    return list(models.get(path[0], Bound).model_fields)
