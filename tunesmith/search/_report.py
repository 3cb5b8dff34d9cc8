"""What a study came to, as one value: JSON and a web page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith import storage
from tunesmith.search._choose import Choice
from tunesmith.search._space import Space
from tunesmith.search._trial import Trial

__all__ = ["StudyReport"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StudyReport:
    """Everything that the page of a study shows.

    Attributes:
        title: the data's name.
        metric: the leading metric's name; all metrics of trials are of this kind.
        num_validation_rows: that they were measured on.
        space: what was varied.
        search: how long and how widely; a `SearchSettings` as JSON values.
        run: the settings that were varied; a `RunConfig` as JSON values.
        trials: all that were started, in order.
        importance: each setting's share in the metric's spread; empty for few trials.
        choice: None while the search goes on, or where no trial is complete.
        ending: why the search ended, in a sentence.
        test: after the final training, what it came to on the test rows, in a sentence.
        seconds: that trials ran, one after the other or side by side.
    """

    title: str
    metric: str
    num_validation_rows: int
    space: Space
    search: Mapping[str, Any]
    run: Mapping[str, Any]
    trials: tuple[Trial, ...]
    importance: Mapping[str, float] = field(default_factory=dict)
    choice: Choice | None = None
    ending: str = ""
    test: str = ""
    seconds: float = 0.0

    def count(self, state: str) -> int:
        """How many trials are in this state."""
        return sum(trial.state == state for trial in self.trials)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "metric": self.metric,
            "num_validation_rows": self.num_validation_rows,
            "space": self.space.as_dict(),
            "search": dict(self.search),
            "run": dict(self.run),
            "trials": [trial.as_dict() for trial in self.trials],
            "importance": dict(self.importance),
            "choice": None if self.choice is None else self.choice.as_dict(),
            "ending": self.ending,
            "test": self.test,
            "seconds": round(self.seconds, 2),
        }

    def to_html(self) -> str:
        """One self-contained page: no script, and nothing loaded from anywhere."""
        from tunesmith.search._page import render_page

        return render_page(self)

    def write(self, folder: Path) -> None:
        """Puts study.json and study.html into `folder`, in place of older ones.

        Raises:
            OutputError: the disk is full, or may not be written.
        """
        text = json.dumps(self.as_dict(), ensure_ascii=False, indent=1)
        storage.write_bytes(folder / "study.json", (text + "\n").encode())
        storage.write_bytes(folder / "study.html", self.to_html().encode())
