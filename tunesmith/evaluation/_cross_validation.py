"""The outcome of a cross-validation, as one value: JSON, a web page, one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any

from tunesmith import storage, tasks
from tunesmith.errors import BundleError
from tunesmith.evaluation._folds import Spread, spread
from tunesmith.evaluation._headline import LOSSES, headline
from tunesmith.evaluation._intervals import wilson_rate
from tunesmith.evaluation._saved import metrics_from_dict
from tunesmith.types import Metrics

__all__ = ["CrossValidation", "FoldFigures"]

SCHEMA_VERSION = 1
_UNBOUNDED = ("log_loss", "coverage_error")


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """What one fold came to.

    Attributes:
        repeat, fold: which, from 1.
        num_train, num_validation, num_held_out: rows that were learned from, that choices were made
            on, and that were judged.
        method: how the model was trained.
        seconds: wall time.
        values: candidate → metric → figure on the rows held out.
    """

    repeat: int
    fold: int
    num_train: int
    num_validation: int
    num_held_out: int
    method: str
    seconds: float
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Every fold's figures, and what they come to.

    Attributes:
        title: what the reader asked for, in their words.
        task: `Task.as_dict()`.
        created: when, ISO 8601.
        num_folds, repeats: how many folds, and how often all rows were folded anew.
        candidates: names of the models, baselines first, the one that was asked for last.
        folds: one entry a training, by repetition and fold; `repeats * num_folds` of them.
        pooled: the last candidate's figures on all rows together, each judged by the model that had
            not seen it; of several repetitions the first.
        confidence: the intervals' level.
        data, base, config, versions, machine, seconds, notes: as in `Report`.
    """

    title: str
    task: Mapping[str, Any]
    created: str
    num_folds: int
    repeats: int
    candidates: tuple[str, ...]
    folds: tuple[FoldFigures, ...]
    pooled: Metrics
    confidence: float
    data: Mapping[str, Any]
    base: Mapping[str, Any]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    machine: str
    seconds: float
    notes: tuple[str, ...] = field(default=())

    @property
    def chosen(self) -> str:
        """The candidate that was asked for."""
        return self.candidates[-1]

    @property
    def lead_metric(self) -> str:
        """The first of the task's default metrics."""
        return tasks.from_dict(self.task).default_metrics[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every candidate has in every fold."""
        first = self.folds[0].values[self.chosen]
        return tuple(
            name
            for name in first
            if all(name in own for fold in self.folds for own in fold.values.values())
        )

    @property
    def ratio(self) -> float:
        """Rows held out / rows learned from, as a mean over the folds."""
        return sum(one.num_held_out / one.num_train for one in self.folds) / len(self.folds)

    def spread(self, candidate: str, metric: str) -> Spread:
        """A candidate's figure over the folds.

        Where all folds agree (all rows right, say) they show no spread, and the interval of the
        pooled figure, which knows how many rows there are, is taken in.
        """
        values = [fold.values[candidate][metric] for fold in self.folds]
        bounds = (-1.0 if metric == "mcc" else 0.0, inf if metric in _UNBOUNDED else 1.0)
        found = spread(values, ratio=self.ratio, confidence=self.confidence, bounds=bounds)
        if found.deviation > 0 or candidate != self.chosen or metric not in self.pooled.values:
            return found
        pooled = self.pooled[metric]
        if not pooled.has_interval:
            return found
        low, high = min(found.low, pooled.low), max(found.high, pooled.high)
        return Spread(found.mean, found.deviation, low, high)

    def difference(self, candidate: str, metric: str | None = None) -> Spread:
        """How much higher the chosen model's figure is than another's, paired fold by fold."""
        metric = metric or self.lead_metric
        values = [
            fold.values[self.chosen][metric] - fold.values[candidate][metric] for fold in self.folds
        ]
        found = spread(values, ratio=self.ratio, confidence=self.confidence)
        if found.deviation > 0 or metric == "log_loss":
            return found
        # Folds without any difference leave open what their number of rows leaves open.
        open_end = wilson_rate(0, self.pooled.num_examples, self.confidence).high
        return Spread(found.mean, 0.0, found.low - open_end, found.high + open_end)

    @property
    def rival(self) -> str | None:
        """The best of the other candidates; None where there is none."""
        others = self.candidates[:-1]
        lead = self.lead_metric
        sign = -1 if lead in LOSSES else 1
        return max(others, key=lambda name: sign * self.spread(name, lead).mean, default=None)

    def headline(self) -> str:
        """One honest sentence: mean, interval, and what was gained on the best other candidate."""
        lead, rival = self.lead_metric, self.rival
        return headline(
            name=f"{self.chosen}, {self.num_trainings} folds",
            metric=lead,
            estimate=self.spread(self.chosen, lead).estimate,
            num_rows=self.pooled.num_examples,
            advantage=None if rival is None else self.difference(rival).estimate,
            advantage_over=rival or "",
        )

    @property
    def num_trainings(self) -> str:
        """ "5", or "3 × 5"."""
        return str(self.num_folds) if self.repeats == 1 else f"{self.repeats} × {self.num_folds}"

    def as_dict(self) -> dict[str, Any]:
        """JSON values; `summary` follows from `folds` and is there for readers."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values |= {name: list(values[name]) for name in ("candidates", "notes")}
        values["folds"] = [asdict(one) for one in self.folds]
        values["pooled"] = self.pooled.as_dict()
        summary: dict[str, Any] = {
            name: {
                "metrics": {metric: self.spread(name, metric).as_dict() for metric in self.metrics},
                **({} if name == self.chosen else {"difference": self.difference(name).as_dict()}),
            }
            for name in self.candidates
        }
        return {
            "schema_version": SCHEMA_VERSION,
            "headline": self.headline(),
            **values,
            "summary": summary,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> CrossValidation:
        """What `as_dict` described.

        Raises:
            BundleError: it was written by a newer Tunesmith, or is incomplete.
        """
        version = saved.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"has format {version!r}, and {SCHEMA_VERSION} is what is read here",
                where="cross_validation.json",
                mend="upgrade Tunesmith",
            )
        try:
            values = {entry.name: saved[entry.name] for entry in fields(cls)}
            values["folds"] = tuple(FoldFigures(**one) for one in saved["folds"])
            values["pooled"] = metrics_from_dict(saved["pooled"])
            values |= {name: tuple(values[name]) for name in ("candidates", "notes")}
            return cls(**values)
        except (KeyError, TypeError) as error:
            what = f"the cross-validation is incomplete: {error}"
            raise BundleError(what, where="cross_validation.json") from error

    def to_html(self) -> str:
        """One self-contained page: no script, and nothing loaded from anywhere."""
        from tunesmith.evaluation._cross_validation_page import render

        return render(self, "cross_validation_page.html")

    def _repr_html_(self) -> str:
        from tunesmith.evaluation._cross_validation_page import render

        return render(self, "cross_validation_fragment.html")

    def write(self, folder: Path) -> None:
        """Puts cross_validation.html and, last, cross_validation.json into `folder`.

        Raises:
            OutputError: the disk is full or may not be written.
        """
        text = json.dumps(self.as_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        storage.write_bytes(folder / "cross_validation.html", self.to_html().encode())
        storage.write_bytes(folder / "cross_validation.json", text.encode())
