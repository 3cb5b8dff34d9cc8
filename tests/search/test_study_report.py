"""The page and the JSON of a study."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from tunesmith.search import Range, Space, StudyReport, Trial, ValueList, choose_trial
from tunesmith.search._figures import parallel_plot, progress_plot, setting_text, slice_plots

SPACE = Space(
    {
        "training.learning_rate": Range(1e-5, 1e-3, log=True),
        "training.epochs": Range(2, 8),
        "training.optimizer": ValueList(("adamw", "lion")),
    }
)


def make_trials() -> tuple[Trial, ...]:
    trials = [
        Trial(
            number,
            {
                "training.learning_rate": 10.0 ** (-5 + number / 6),
                "training.epochs": 2 + number % 7,
                "training.optimizer": ("adamw", "lion")[number % 2],
            },
            "complete",
            metric=0.9 + number / 1000,
            epochs=((1, 4, 0.5), (2, 4, 0.6)),
            seconds=30.0 - number,
        )
        for number in range(12)
    ]
    trials[3] = replace(trials[3], state="pruned", metric=None)
    trials[4] = replace(trials[4], state="failed", metric=None, reason="<b>out of memory</b>")
    return tuple(trials)


def make_report(trials: tuple[Trial, ...]) -> StudyReport:
    return StudyReport(
        title="<script>.csv",
        metric="macro_f1",
        num_validation_rows=1234,
        space=SPACE,
        search={"trials": 12, "budget_s": None},
        run={"training": {"epochs": None, "track": []}},
        trials=trials,
        importance={"training.epochs": 0.25, "training.learning_rate": 0.75},
        choice=choose_trial(trials, lambda a, b: (a.metric or 0) - (b.metric or 0) > 0.0015),
        ending="All 12 trials are done.",
        test="With these settings, on the test rows: 91 %.",
        seconds=320.0,
    )


class Page(HTMLParser):
    """Notes what a page has, and that what it opens it closes."""

    _VOID = frozenset({"meta", "line", "rect", "circle", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.classes.append(f"{tag}.{dict(attrs).get('class')}")
        if tag not in self._VOID or tag in ("circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in ("circle", "polyline"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_finished_study_is_shown() -> None:
    text = make_report(make_trials()).to_html()
    page = Page(text)
    assert not page.open
    assert "script" not in page.tags
    assert "&lt;b&gt;out of memory" in text
    assert ": 91.1\u202f% macro-F1 on 1,234 validation rows" in page.text
    assert "1 more is within a standard error of it" in page.text
    assert "1e-5 to 0.001, logarithmic" in page.text
    assert page.classes.count("circle.dot chosen") == 1 + len(SPACE.dimensions)
    assert page.classes.count("polyline.line chosen") == 1
    assert page.classes.count("circle.dot pruned") == 1
    assert "src=" not in text
    assert "href=" not in text


def test_a_study_without_a_result_is_shown() -> None:
    for trials in ((), make_trials()[3:5], make_trials()[:1]):
        report = replace(make_report(trials), choice=None, importance={}, ending="", test="")
        page = Page(report.to_html())
        assert not page.open
        wanted = "The search goes on." if len(trials) == 1 else "No trial is complete yet."
        assert wanted in page.text


def test_as_json(tmp_path: Path) -> None:
    report = make_report(make_trials())
    report.write(tmp_path)
    saved = json.loads((tmp_path / "study.json").read_text())
    assert saved == json.loads(json.dumps(report.as_dict()))
    assert saved["choice"] == {
        "best": 11,
        "chosen": 11,
        "tied": [10, 11],
        "reason": saved["choice"]["reason"],
    }
    assert [Trial.from_dict(one) for one in saved["trials"]] == list(report.trials)
    assert (tmp_path / "study.html").read_text() == report.to_html()


def test_dots_lie_where_they_should() -> None:
    trials = make_trials()
    plots = slice_plots(SPACE, trials, 11)
    assert [plot.title for plot in plots] == list(SPACE.dimensions)
    rates = [dot.x for dot in plots[0].dots]
    gaps = [later - earlier for earlier, later in itertools.pairwise(rates[3:])]
    assert max(gaps) - min(gaps) < 0.5  # equal ratios, equal distances
    assert [text for _, text in plots[0].x_ticks] == ["1e-5", "3e-5", "1e-4", "3e-4", "0.001"]
    assert [text for _, text in plots[2].x_ticks] == ["adamw", "lion"]
    heights = [dot.y for dot in plots[0].dots]
    assert heights == sorted(heights, reverse=True)
    progress = progress_plot(trials, 11)
    assert progress is not None
    assert [y for _, y in progress.line] == sorted((y for _, y in progress.line), reverse=True)
    parallel = parallel_plot(SPACE, trials, 11)
    assert parallel is not None
    assert [name for _, name, _ in parallel.axes] == [*SPACE.dimensions, "metric"]
    assert [style for _, style, _ in parallel.lines].count("good") == math.ceil(10 / 3) - 1
    assert progress_plot(trials[:1], None) is None
    assert parallel_plot(SPACE, trials[:1], None) is None
    assert slice_plots(SPACE, trials[:1], None) == []


def test_values_as_a_reader_writes_them() -> None:
    values = (3.2e-5, 1e-4, 0.1, 0.0, 12.0, 1e6, True, None, 3, "adamw")
    assert [setting_text(value) for value in values] == [
        *("3.2e-5", "1e-4", "0.1", "0", "12", "1e6", "true", "auto", "3", "adamw")
    ]
