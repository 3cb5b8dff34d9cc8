"""A study as a web page: what the template in `templates/` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tunesmith.pages import Templates
from tunesmith.search import _figures
from tunesmith.search._trial import Trial

if TYPE_CHECKING:
    from tunesmith.search._report import StudyReport

__all__ = ["render_page"]

NUM_SHOWN = 30


def render_page(report: StudyReport) -> str:
    """A whole page, whose own Content-Security-Policy allows its one style sheet and no more."""
    return _templates().render("study.html", _view(report))


@lru_cache(maxsize=1)
def _templates() -> Templates:
    filters: dict[str, Callable[..., Any]] = {
        "duration": _duration,
        "percent": lambda share: f"{100 * share:.1f}\u202f%",
        "setting": _figures.setting_text,
        "short": lambda name: name.rpartition(".")[2].replace("_", " "),
        "thousands": lambda value: f"{value:,}",
    }
    return Templates("tunesmith.search", "study.css", filters)


def _view(report: StudyReport) -> dict[str, Any]:
    chosen = None if report.choice is None else report.choice.chosen.number
    ranked = _ranked(report.trials)
    return {
        "report": report,
        "metric": report.metric.replace("_f1", "-F1").replace("_", " "),
        "chosen": chosen,
        "tied": () if report.choice is None else report.choice.tied,
        "names": list(report.space.dimensions),
        "trials": ranked[:NUM_SHOWN],
        "other_trials": ranked[NUM_SHOWN:],
        "failed": [one for one in report.trials if one.state == "failed"],
        "progress": _figures.progress_plot(report.trials, chosen),
        "bars": _figures.importance_bars(report.importance),
        "slices": _figures.slice_plots(report.space, report.trials, chosen),
        "parallel": _figures.parallel_plot(report.space, report.trials, chosen),
        "plot_size": (_figures.PLOT_WIDTH, _figures.PLOT_HEIGHT),
        "facts": _facts(report),
    }


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The complete trials, the best first; then those that got farthest; then the rest."""

    def rank(trial: Trial) -> tuple[int, float, int]:
        states = ("complete", "running", "pruned", "failed", "stopped")
        reached = trial.epochs[-1][2] if trial.epochs else 0.0
        return states.index(trial.state), -(trial.metric or reached), trial.number

    return sorted(trials, key=rank)


def _facts(report: StudyReport) -> list[tuple[str, list[tuple[str, str]]]]:
    """The tables at the end: heading → (name, value)."""
    tables = [
        ("Space", list(_flat(report.space.as_dict()))),
        ("Search", list(_flat(report.search))),
        ("Settings that were varied", list(_flat(report.run))),
    ]
    return [(heading, entries) for heading, entries in tables if entries]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as dotted names and texts; a range in one line."""
    for name, value in values.items():
        if isinstance(value, Mapping) and "low" in value:
            log = ", logarithmic" if value.get("log") else ""
            step = f", in steps of {value['step']}" if "step" in value else ""
            low, high = (_figures.setting_text(value[end]) for end in ("low", "high"))
            yield f"{prefix}{name}", f"{low} to {high}{log}{step}"
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(_figures.setting_text, value)) or "none"
        else:
            yield f"{prefix}{name}", "none" if value is None else _figures.setting_text(value)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
