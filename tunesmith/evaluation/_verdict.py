"""An evaluation held against what was expected of it: for people, as JSON, as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from tunesmith.checks import counted
from tunesmith.errors import ConfigError
from tunesmith.evaluation._expectations import Bound, Expectations
from tunesmith.evaluation._expected_names import EVERY, KnownNames, name_faults
from tunesmith.evaluation._section import Section
from tunesmith.tasks import Task
from tunesmith.types import Estimate, Metrics

__all__ = ["Outcome", "Verdict", "hold_against"]

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation and what came of it.

    Attributes:
        part: the part of the file: "metrics", "labels", "slices", "robustness", "calibration".
        name: what was looked at: "accuracy", "refund recall" …
        wanted: "at least 0.9".
        found: what was found, in words: "0.874 (0.841–0.902)".
        value: the number that was compared; None where there is none.
        kept: whether it is good enough; what cannot be looked at is not.
    """

    part: str
    name: str
    wanted: str
    found: str
    value: float | None
    kept: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.found}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """All expectations, in the order of the file."""

    outcomes: tuple[Outcome, ...]

    @property
    def kept(self) -> bool:
        """Whether nothing fell short."""
        return all(outcome.kept for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        return {"kept": self.kept, "checks": [asdict(outcome) for outcome in self.outcomes]}

    def to_junit(self, suite: str) -> str:
        """The same as JUnit XML, which continuous integration servers show."""
        failures = sum(not outcome.kept for outcome in self.outcomes)
        counts = {"tests": str(len(self.outcomes)), "failures": str(failures), "errors": "0"}
        root = ElementTree.Element("testsuites", counts)
        inner = ElementTree.SubElement(root, "testsuite", {"name": _plain(suite), **counts})
        for outcome in self.outcomes:
            named = {"classname": f"tunesmith.{outcome.part}", "name": _plain(outcome.name)}
            case = ElementTree.SubElement(inner, "testcase", named)
            if not outcome.kept:
                message = _plain(f"{outcome.found}, wanted {outcome.wanted}")
                ElementTree.SubElement(case, "failure", {"message": message}).text = message
        ElementTree.indent(root)
        body = ElementTree.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _plain(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)


def hold_against(
    expectations: Expectations,
    task: Task,
    metrics: Metrics,
    sections: Sequence[Section],
    *,
    columns: Sequence[str] = (),
    where: str = "expectations",
) -> Verdict:
    """Compares figures and sections with what was expected.

    Args:
        columns: by which the rows were sliced; those that the section has slices of, where empty.
        where: what the expectations' file is called in errors.

    Raises:
        ConfigError: a name is used that there is not; all of them at once.
    """
    known = {section.name: section.as_dict() for section in sections}
    sliced = [entry["name"] for entry in known.get("slices", {}).get("slices", ())]
    names = KnownNames.of(task, columns or sliced)
    if faults := list(name_faults(expectations.model_dump(), names, where)):
        raise ConfigError.of(faults)
    return Verdict(
        (
            *_metrics(expectations, metrics),
            *_labels(expectations, metrics),
            *_slices(expectations, known.get("slices")),
            *_robustness(expectations, known.get("robustness")),
            *_calibration(expectations, known.get("calibration")),
        )
    )


def _metrics(expectations: Expectations, metrics: Metrics) -> Iterator[Outcome]:
    for name, bound in expectations.metrics.items():
        estimate = metrics.values.get(name)
        yield _outcome("metrics", name, bound, None if estimate is None else estimate.as_dict())


def _labels(expectations: Expectations, metrics: Metrics) -> Iterator[Outcome]:
    for label, bounds in expectations.labels.items():
        for own in metrics.labels if label == EVERY else (label,):
            figures = metrics.labels[own]
            if label == EVERY and not figures.support:
                continue  # no row to tell by: the report names such labels
            for figure, bound in bounds.items():
                estimate: Estimate | None = getattr(figures, figure)
                unknown = not figures.support and figure == "f1"
                values = None if estimate is None or unknown else estimate.as_dict()
                yield _outcome("labels", f"{own} {figure}", bound, values)


def _slices(expectations: Expectations, section: Mapping[str, Any] | None) -> Iterator[Outcome]:
    for bound in expectations.slices:
        what = " ".join(filter(None, ("slices", bound.name and f"by {bound.name}", bound.metric)))
        if section is None:
            yield _missing("slices", what, bound.words())
            continue
        looked_at = [
            entry
            for entry in section["slices"]
            if bound.name in (None, entry["name"])
            and bound.metric in (None, entry["metric"])
            and entry["num_rows"] >= bound.min_rows
        ]
        if not looked_at:
            found = f"no such slice has {counted(bound.min_rows, 'row', 'rows')}"
            yield Outcome("slices", what, bound.words(), found, None, kept=False)
        for entry in looked_at:
            name = f"{entry['name']} = {entry['value']}, {entry['metric']}"
            rows = f" on {counted(entry['num_rows'], 'row', 'rows')}"
            yield _outcome("slices", name, bound, entry["estimate"], rows)


def _robustness(expectations: Expectations, section: Mapping[str, Any] | None) -> Iterator[Outcome]:
    for test, bound in expectations.robustness.items():
        if section is None:
            yield _missing("robustness", test, bound.words())
            continue
        checks = {entry["name"]: entry for entry in section["checks"]}
        for name in checks if test == EVERY else (test,):
            if name not in checks:
                found = "fits too few of these rows to tell"
                yield Outcome("robustness", name, bound.words(), found, None, kept=False)
                continue
            rows = f" on {counted(checks[name]['num_rows'], 'row', 'rows')}"
            yield _outcome("robustness", name, bound, checks[name]["kept"], rows)


def _calibration(
    expectations: Expectations, section: Mapping[str, Any] | None
) -> Iterator[Outcome]:
    if expectations.calibration is None:
        return
    most = expectations.calibration.max_error
    wanted = f"at most {most:g}"
    if section is None:
        yield _missing("calibration", "calibration error", wanted)
        return
    after = section["ece"]["after"]
    error = float(after["value"] if isinstance(after, Mapping) else after)
    yield Outcome(
        "calibration", "calibration error", wanted, f"{error:.3f}", error, kept=error <= most
    )


def _missing(section: str, name: str, wanted: str) -> Outcome:
    return Outcome(
        section, name, wanted, f"the report has no section {section!r}", None, kept=False
    )


def _outcome(
    part: str, name: str, bound: Bound, estimate: Mapping[str, float | None] | None, rows: str = ""
) -> Outcome:
    if estimate is None:
        return Outcome(part, name, bound.words(), "not defined on these rows", None, kept=False)
    own = Estimate.from_dict(estimate)
    ends = f"{own.low:.3f}–{own.high:.3f}" if own.has_interval else "no interval can be had"
    found = f"{own.value:.3f} ({ends}){rows}"
    value = estimate[bound.of]
    return Outcome(part, name, bound.words(), found, value, kept=bound.is_kept(own))
