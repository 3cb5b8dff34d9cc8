"""Everything that a training run reports, as one value: JSON, a web page, one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith import tasks
from tunesmith.errors import BundleError
from tunesmith.evaluation._conformal import ConformalSection
from tunesmith.evaluation._evaluate import Mistake
from tunesmith.evaluation._forgetting import Forgetting
from tunesmith.evaluation._headline import headline, is_better
from tunesmith.evaluation._saved import metrics_from_dict
from tunesmith.evaluation._section import Section
from tunesmith.evaluation._sections import sections_from_dict
from tunesmith.evaluation._selective import SelectiveSection
from tunesmith.types import Estimate, Metrics

__all__ = ["Candidate", "Report"]

SCHEMA_VERSION = 3
"""2 adds to 1: `kind`, `better`, more figures, `roc_auc` and `pr_auc` of labels, their notes.

3: what was 0 before is null where the rows do not define it (a label's precision, recall and F1),
and so are the ends of an interval where none can be had.
"""

_READ = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the comparison table.

    Attributes:
        name: what the model is called, such as "TF-IDF + linear".
        metrics: its figures on the test rows.
        seconds: wall time it took to train.
    """

    name: str
    metrics: Metrics
    seconds: float


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a report shows; built by the recipe.

    Attributes:
        title: what the reader asked for, in their words.
        task: `Task.as_dict()`.
        created: when, ISO 8601.
        candidates: all models judged on the test rows, baselines first, the final model last.
        chosen: the name of the candidate that the bundle holds.
        metrics: the chosen model's figures on the test rows.
        split_sizes: rows in each split: train, validation, test.
        split_source: where the test rows come from: "test.csv", or "10 % held out, seed 42".
        data: source, fingerprint, columns, dropped counts, and what else is known of the data.
        base: the base model: id, digest, licence.
        config: the RunConfig.
        versions: library → version.
        seconds: wall time of the run.
        machine: what it ran on, in words.
        advantage: how much higher the chosen model's lead metric is than that of `advantage_over`,
            by `paired_difference`; None where nothing was compared.
        advantage_over: the best baseline's name.
        method: how the weights were trained: probe, full, lora …
        fit: what the chosen method was trained with, the settings that were left open filled in;
            empty for the probe.
        contenders: what else was trained and judged on the validation rows, one entry a method:
            name, metric, epochs, seconds, verdict; empty where the user named the method.
        notes: everything said during the run, warnings among it.
        history: one entry an epoch: epoch (0 is the frozen probe), train_loss, validation_loss,
            validation metrics, seconds. Figures that are missing may be left out.
        confusion: int64 [labels, labels], rows with label i given label j; None for multi-label.
        mistakes: the most confident wrong answers, the surest first.
        forgetting: where the base is a bundle, what the model still does of what that could do;
            None where it was not measured.
        sections: what else was looked into, in the order of the page.
        kind: "training", or "evaluation" of a finished bundle on other rows: then only what is
            known of the bundle is filled in, and nothing is compared or learned.
    """

    title: str
    task: Mapping[str, Any]
    created: str
    candidates: tuple[Candidate, ...]
    chosen: str
    metrics: Metrics
    split_sizes: Mapping[str, int]
    split_source: str
    data: Mapping[str, Any]
    base: Mapping[str, Any]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float
    machine: str
    advantage: Estimate | None = None
    advantage_over: str = ""
    method: str = ""
    fit: Mapping[str, Any] = field(default_factory=dict)
    contenders: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    history: tuple[Mapping[str, float], ...] = ()
    confusion: NDArray[np.int64] | None = field(default=None, repr=False)
    mistakes: tuple[Mistake, ...] = field(default=(), repr=False)
    forgetting: Forgetting | None = None
    sections: tuple[Section, ...] = field(default=(), repr=False)
    kind: Literal["training", "evaluation"] = "training"

    @property
    def better(self) -> bool | None:
        """Whether the model is significantly better than the best baseline; None: not compared."""
        if self.advantage is None or self.advantage_over == self.chosen:
            return None
        return is_better(self.lead_metric, self.advantage)

    @property
    def lead_metric(self) -> str:
        """The metric that the headline gives: the first of the task's default metrics."""
        return tasks.from_dict(self.task).default_metrics[0]

    @property
    def broken_promises(self) -> tuple[str, ...]:
        """Precisions and coverages that validation rows vouched for and test rows did not keep."""
        promising = [
            section
            for section in self.sections
            if isinstance(section, SelectiveSection | ConformalSection)
        ]
        return tuple(told for section in promising for told in section.broken())

    def headline(self) -> str:
        """One honest sentence: the lead metric, its interval, and what was gained on a baseline."""
        return headline(
            name=self.chosen,
            metric=self.lead_metric,
            estimate=self.metrics[self.lead_metric],
            num_rows=self.metrics.num_examples,
            num_known=int(self.data.get("trained_rows", 0)),
            num_near=int(self.data.get("nearly_trained_rows", 0)),
            advantage=self.advantage,
            advantage_over=self.advantage_over,
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values; figures that are not finite become None."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["candidates"] = [
            {"name": row.name, "metrics": row.metrics.as_dict(), "seconds": row.seconds}
            for row in self.candidates
        ]
        values["metrics"] = self.metrics.as_dict()
        values["advantage"] = None if self.advantage is None else self.advantage.as_dict()
        values["mistakes"] = [
            {entry.name: getattr(row, entry.name) for entry in fields(Mistake)}
            for row in self.mistakes
        ]
        values["forgetting"] = None if self.forgetting is None else self.forgetting.as_dict()
        values["sections"] = {section.name: section.as_dict() for section in self.sections}
        head = {
            "schema_version": SCHEMA_VERSION,
            "headline": self.headline(),
            "better": self.better,
        }
        plain: dict[str, Any] = _plain({**head, **values})
        return plain

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Report:
        """The report that `as_dict` described.

        Raises:
            BundleError: it was written by a newer Tunesmith, or is incomplete.
        """
        version = saved.get("schema_version")
        if version not in _READ:
            raise BundleError(
                f"the report has format {version!r}, and up to {SCHEMA_VERSION} is read here",
                where="report.json",
                mend="upgrade Tunesmith",
            )
        try:
            return _from_dict(saved)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"the report is incomplete: {error}", where="report.json") from error

    def to_html(self) -> str:
        """One self-contained page: no script, and nothing loaded from anywhere."""
        from tunesmith.evaluation._page import render_page

        return render_page(self)

    def _repr_html_(self) -> str:
        from tunesmith.evaluation._page import render_fragment

        return render_fragment(self)

    def write(self, folder: Path) -> None:
        """Put report.json and report.html into `folder`, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_dict(), ensure_ascii=False, indent=2, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        (folder / "report.html").write_text(self.to_html(), encoding="utf-8")


def _from_dict(saved: Mapping[str, Any]) -> Report:
    names = {entry.name for entry in fields(Report)}
    values = {name: value for name, value in saved.items() if name in names}
    values["candidates"] = tuple(
        Candidate(row["name"], metrics_from_dict(row["metrics"]), row["seconds"])
        for row in saved["candidates"]
    )
    values["metrics"] = metrics_from_dict(saved["metrics"])
    if saved["advantage"] is not None:
        values["advantage"] = Estimate.from_dict(saved["advantage"])
    values["notes"] = tuple(saved["notes"])
    values["history"] = tuple(saved["history"])
    values["contenders"] = tuple(saved.get("contenders", ()))
    if saved["confusion"] is not None:
        values["confusion"] = np.array(saved["confusion"], dtype=np.int64)
    values["mistakes"] = tuple(
        Mistake(
            row=row["row"],
            inputs=tuple(row["inputs"]),
            target=_target(row["target"]),
            predicted=_target(row["predicted"]),
            probability=row["probability"],
        )
        for row in saved["mistakes"]
    )
    if saved.get("forgetting") is not None:
        values["forgetting"] = Forgetting.from_dict(saved["forgetting"])
    values["sections"] = sections_from_dict(saved.get("sections", {}))
    return Report(**values)


def _target(saved: str | list[str]) -> str | tuple[str, ...]:
    return saved if isinstance(saved, str) else tuple(saved)


def _plain(value: Any) -> Any:
    """`value` as what JSON can hold; whatever JSON has no word for becomes its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_plain(entry) for entry in value]
    return str(value)
