"""A report as a web page: what the templates in `templates/` are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from tunesmith import tasks
from tunesmith.evaluation import _figures
from tunesmith.evaluation._headline import (
    LOSSES,
    figure,
    is_better,
    metric_name,
    span,
    weakest_first,
)
from tunesmith.evaluation._notes import FEW_OF_A_LABEL
from tunesmith.pages import Templates
from tunesmith.types import Estimate, Target

if TYPE_CHECKING:
    from tunesmith.evaluation._comparison import Comparison
    from tunesmith.evaluation._forgetting import Forgetting
    from tunesmith.evaluation._report import Report

__all__ = [
    "page_templates",
    "render_comparison",
    "render_comparison_fragment",
    "render_fragment",
    "render_page",
]

MAX_CHANGED = 200
MAX_HEAT_MAP_LABELS = 30
MAX_LOSSES = 10
MAX_PAIRS = 25
MAX_TEXT_CHARACTERS = 500
NUM_MISTAKES = 12
NUM_WEAKEST = 15

_OTHER_METRICS = ("macro_f1", "micro_f1", "accuracy", "log_loss")
"""What tables show beside the metric that leads."""


def render_page(report: Report) -> str:
    """A whole page, whose own Content-Security-Policy allows its one style sheet and no more."""
    return page_templates().render("page.html", _view(report))


def render_fragment(report: Report) -> str:
    """The page's body with its style sheet, whose rules touch nothing outside it."""
    return page_templates().render("fragment.html", _view(report))


def render_comparison(comparison: Comparison) -> str:
    """The page of two bundles on the same rows; see `render_page`."""
    return page_templates().render("comparison.html", _comparison_view(comparison))


def render_comparison_fragment(comparison: Comparison) -> str:
    """The same as a part of a page; see `render_fragment`."""
    return page_templates().render("comparison_fragment.html", _comparison_view(comparison))


def _comparison_view(comparison: Comparison) -> dict[str, Any]:
    both = (comparison.before, comparison.after)
    lead = comparison.metric
    bars, axis = _figures.interval_bars([one[lead] for one in both])
    rows = [
        (name, *(one[name] for one in both), own) for name, own in comparison.differences.items()
    ]
    changed = {
        word: [row for row in comparison.changed if row.change == word]
        for word in ("broken", "fixed", "other")
    }
    return {
        "comparison": comparison,
        "lead": lead,
        "is_warning": not is_better(lead, comparison.differences[lead]),
        "headline": comparison.headline().replace(" %", "\u202f%"),
        "models": list(zip(comparison.names, both, bars, strict=True)),
        "axis": axis,
        "rows": rows,
        "changed": changed,
        "most_changed": MAX_CHANGED,
        "max_characters": MAX_TEXT_CHARACTERS,
        "confidence": f"{100 * comparison.before.confidence:g}",
        "bar_width": _figures.BAR_WIDTH,
    }


@lru_cache(maxsize=1)
def page_templates() -> Templates:
    """The package's templates, with what they may call."""
    filters: dict[str, Callable[..., Any]] = {
        "breakable": _breakable,
        "cut": _figures.cut,
        "decimals": _decimals,
        "duration": _duration,
        "points": _points,
        "figure": lambda value, metric="accuracy": figure(metric, value).replace(" ", "\u202f"),
        "metric_name": metric_name,
        "span": lambda estimate, metric="accuracy": span(metric, estimate),
        "target": _target_text,
        "thousands": lambda value: f"{value:,}",
    }
    return Templates("tunesmith.evaluation", "report.css", filters)


def _view(report: Report) -> dict[str, Any]:
    labels = [str(label) for label in report.task["labels"]]
    lead = report.lead_metric
    estimates = [row.metrics[lead] for row in report.candidates]
    bars, axis = _figures.interval_bars(estimates or [report.metrics[lead]])
    claim = report.headline().removeprefix(f"{report.chosen}: ")
    return {
        "report": report,
        "lead": lead,
        "headline_name": report.chosen[:1].upper() + report.chosen[1:],
        # Word joiners keep an interval on one line.
        "is_warning": report.better is False,
        "figures_list": _figures_list(report),
        "headline_claim": claim.replace("–", "\u2060–\u2060").replace(" %", "\u202f%"),
        "figures": [(metric, report.metrics[metric]) for metric in _key_metrics(report)],
        "num_rows": sum(report.split_sizes.values()),
        "notes": _notes(report),
        "table_metrics": _table_metrics(report),
        "best": _best(report),
        "comparison": list(zip(report.candidates, bars, strict=False)),
        "axis": axis,
        "kept": None if report.forgetting is None else _kept(report.forgetting),
        "few": FEW_OF_A_LABEL,
        "weakest": _label_rows(report)[:NUM_WEAKEST],
        "other_labels": _label_rows(report)[NUM_WEAKEST:],
        "heat_map": _heat_map(labels, report.confusion),
        "pairs": _pairs(labels, report.confusion),
        "plots": _plots(report.history, lead),
        "history_keys": _history_keys(report.history),
        "mistakes": report.mistakes[:NUM_MISTAKES],
        "other_mistakes": report.mistakes[NUM_MISTAKES:],
        "max_characters": MAX_TEXT_CHARACTERS,
        "sections": [(section.template, section.view()) for section in report.sections],
        # That section shows the mistakes itself, with what is known of each.
        "shows_errors": any(section.name == "errors" for section in report.sections),
        "facts": _facts(report),
        "confidence": f"{100 * report.metrics.confidence:g}",
        "plot_size": (_figures.PLOT_WIDTH, _figures.PLOT_HEIGHT),
        "bar_width": _figures.BAR_WIDTH,
    }


def _key_metrics(report: Report) -> list[str]:
    """The three metrics that stand under the headline."""
    defaults = tasks.from_dict(report.task).default_metrics
    return [name for name in defaults if name in report.metrics.values][:3]


def _figures_list(report: Report) -> list[tuple[str, Estimate]]:
    """Every figure, in the order of the report."""
    return list(report.metrics.values.items())


def _notes(report: Report) -> list[str]:
    """All that was said, of the run, of the figures and of the data, each thing once."""
    promises = report.broken_promises
    said = [
        *report.notes,
        *promises,
        *report.metrics.notes,
        *map(str, report.data.get("notes", ())),
    ]
    return list(dict.fromkeys(said))


def _table_metrics(report: Report) -> list[str]:
    """The task's default metrics without the leading one, where every candidate has them."""
    return [
        name
        for name in _OTHER_METRICS
        if name != report.lead_metric
        # With one label a row, micro-F1 is accuracy.
        and (name != "micro_f1" or report.confusion is None)
        and all(name in row.metrics.values for row in report.candidates)
    ]


def _best(report: Report) -> dict[str, float]:
    best: dict[str, float] = {}
    if not report.candidates:
        return best
    for metric in (report.lead_metric, *_table_metrics(report)):
        values = [row.metrics[metric].value for row in report.candidates]
        best[metric] = min(values) if metric in LOSSES else max(values)
    return best


def _kept(forgetting: Forgetting) -> dict[str, Any]:
    """Parent and child on the parent's rows, and the labels of which the child gets fewer right."""
    both = (forgetting.before, forgetting.after)
    lead = forgetting.metric
    bars, axis = _figures.interval_bars([metrics[lead] for metrics in both])
    names = (f"parent {forgetting.parent}", "this model")
    sentence = forgetting.sentence()
    losses = [one for one in forgetting.labels if one.change < 0]
    return {
        "sentence": sentence[:1].upper() + sentence[1:].replace(" %", "\u202f%"),
        "lead": lead,
        "metrics": [name for name in _OTHER_METRICS if name != lead and name in both[0].values],
        "models": list(zip(names, both, bars, strict=True)),
        "axis": axis,
        "change": forgetting.change,
        "num_rows": forgetting.before.num_examples,
        "num_left_out": forgetting.num_left_out,
        "num_replayed": forgetting.num_replayed,
        "losses": losses[:MAX_LOSSES],
        "num_losses": len(losses),
    }


def _label_rows(report: Report) -> list[dict[str, Any]]:
    """Every label with its figures and bar, the lowest F1 first."""
    found = weakest_first(report.metrics.labels)
    bars, _ = _figures.interval_bars(
        [own.f1 or Estimate.alone(0.0) for _, own in found], axis=(0.0, 1.0)
    )
    return [
        {"label": label, "figures": figures, "bar": bar}
        for (label, figures), bar in zip(found, bars, strict=True)
    ]


def _heat_map(labels: list[str], confusion: NDArray[np.int64] | None) -> _figures.HeatMap | None:
    if confusion is None or not 1 < len(labels) <= MAX_HEAT_MAP_LABELS:
        return None
    return _figures.heat_map(labels, confusion)


def _pairs(labels: list[str], confusion: NDArray[np.int64] | None) -> list[dict[str, Any]]:
    """The pairs of labels confused most often, for as many labels as no heat map can show."""
    if confusion is None or len(labels) <= MAX_HEAT_MAP_LABELS:
        return []
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_PAIRS]
    rows, columns = np.unravel_index(order, wrong.shape)
    totals = confusion.sum(axis=1)
    return [
        {
            "target": labels[row],
            "predicted": labels[column],
            "count": int(wrong[row, column]),
            "total": int(totals[row]),
        }
        for row, column in zip(rows, columns, strict=True)
        if wrong[row, column]
    ]


def _plots(history: Sequence[Mapping[str, float]], lead: str) -> list[_figures.Plot]:
    losses = {"train_loss": ("training", "quiet"), "validation_loss": ("validation", "accent")}
    own = dict.fromkeys(("metric", lead, f"validation_{lead}"), ("validation", "accent"))
    plots = (
        _figures.learning_curve("Loss", history, losses),
        _figures.learning_curve(
            f"Validation {metric_name(lead)}", history, own, percent=lead not in LOSSES
        ),
    )
    return [plot for plot in plots if plot is not None]


def _history_keys(history: Sequence[Mapping[str, float]]) -> list[str]:
    """What the epochs' entries tell, as a reader looks for it: epoch, losses, the rest, time."""
    keys = dict.fromkeys(key for entry in history for key in entry)
    ends = ["seconds"] if "seconds" in keys else []
    first = [key for key in ("epoch", "step", "train_loss", "validation_loss") if key in keys]
    return [*first, *(key for key in keys if key not in first and key not in ends), *ends]


def _facts(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """The tables at the end: heading → (name, value)."""
    total = max(1, sum(report.split_sizes.values()))
    splits = [
        (f"{name} rows", f"{size:,} ({100 * size / total:.0f} %)")
        for name, size in report.split_sizes.items()
    ]
    data = {name: value for name, value in report.data.items() if name != "notes"}
    run = [
        ("created", report.created),
        ("took", _duration(report.seconds)),
        ("machine", report.machine),
    ]
    tables = [
        ("Data", [*splits, ("test rows from", report.split_source), *_flat(data)]),
        ("Base model", list(_flat(report.base))),
        ("Run", run),
        ("Training", list(_flat(report.fit))),
        ("Configuration", list(_flat(report.config))),
        ("Versions", list(_flat(report.versions))),
    ]
    return [(heading, entries) for heading, entries in tables if entries]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as dotted names and texts."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", _joined(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield f"{prefix}{name}", f"{value:,}" if value >= 10_000 else str(value)
        else:
            yield f"{prefix}{name}", "none" if value is None else str(value)


def _joined(values: Sequence[Any]) -> str:
    """Values in a row; of findings of the checks what they say."""
    said = [
        str(one["message"]) if isinstance(one, Mapping) and "message" in one else str(one)
        for one in values
    ]
    return ("; " if said and said[0] != str(values[0]) else ", ").join(said) or "none"


def _points(change: float) -> str:
    """A difference of two shares, with its sign."""
    return f"{100 * change:+.1f}".replace("-", "−")


def _target_text(target: Target) -> str:
    if isinstance(target, str):
        return target
    return ", ".join(target) or "no label"


def _breakable(text: str) -> Markup:
    """Escaped, with places to break a long label after its underscores, slashes and dots."""
    # Escaped before the only markup that is added.
    return Markup(re.sub(r"(?<=\w)([_/.])(?=\w)", r"\1<wbr>", str(escape(text))))  # noqa: S704


def _decimals(value: float) -> str:
    """Three decimals, more for small values; whole numbers as they are."""
    if isinstance(value, int) or 0 < abs(value) < 0.01:
        return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
    return f"{value:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
