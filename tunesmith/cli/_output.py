"""Results on standard output: tables for people, one JSON object for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.types import Estimate, LabelMetrics

if TYPE_CHECKING:
    from tunesmith.evaluation import Comparison

__all__ = [
    "candidates_table",
    "comparison_table",
    "contenders_table",
    "errors",
    "labels_table",
    "metric_facts",
    "out",
    "percent",
    "print_facts",
    "print_json",
    "print_pieces",
    "share",
]

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def print_json(values: Mapping[str, Any]) -> None:
    """One object, one line; at once, for a server prints it and goes on."""
    line = json.dumps(values, ensure_ascii=False)
    print(line, flush=True)  # noqa: T201 - this is the command's output


def print_pieces(pieces: Iterable[str]) -> None:
    """The same of an object that is too large to be one text."""
    for piece in pieces:
        sys.stdout.write(piece)
    sys.stdout.write("\n")


FEW_OF_A_LABEL = 5


def share(part: float) -> str:
    """A share in per cent: "93.4"; the whole is "100", so that tables fit into 80 columns."""
    return f"{100 * part:.1f}".replace("100.0", "100")


def percent(estimate: Estimate) -> str:
    """A share with its interval: "93.4 % (92.5–94.2)"; "93.4 % (–)" where there is none."""
    low, value, high = map(share, (estimate.low, estimate.value, estimate.high))
    return f"{value} % ({f'{low}–{high}' if estimate.has_interval else '–'})"


def candidates_table(
    candidates: Sequence[tuple[str, Mapping[str, Estimate], float]], metrics: Sequence[str]
) -> Table:
    """The comparison: a row a model (name, figures, seconds), the last one the result."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)  # 80 columns
    table.add_column("model", no_wrap=True)
    for metric in metrics:
        table.add_column(metric.replace("_", "-"), justify="right", no_wrap=True)
    table.add_column("seconds", justify="right")
    for name, values, seconds in candidates:
        last = name == candidates[-1][0]
        cells = [percent(values[metric]) for metric in metrics]
        table.add_row(name, *cells, f"{seconds:.1f}", style="bold" if last else None)
    return table


def contenders_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What raced for the choice: a row a method, with its figure on the validation rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method")
    for title in ("validation", "epochs", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row in rows:
        metric = "–" if row["metric"] is None else f"{100 * row['metric']:.1f} %"
        style = "bold" if row["verdict"].startswith("chosen") else None
        epochs = str(row["epochs"] or "–")
        seconds = f"{row['seconds']:.1f}" if row["metric"] is not None else f"~{row['seconds']:.0f}"
        cells = (row["name"], metric, epochs, seconds, row["verdict"])
        table.add_row(*cells, style=style)
    return table


def labels_table(labels: Mapping[str, LabelMetrics]) -> Table:
    """Precision, recall and F1 of each label, "–" for what the rows do not define.

    Labels with too few rows to tell are marked.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("label", "precision", "recall", "F1", "rows"):
        table.add_column(title, justify="left" if title == "label" else "right")
    for label, own in labels.items():
        known = (own.precision, own.recall, own.f1)
        figures = ["–" if one is None else percent(one) for one in known]
        few = " (few)" if own.support < FEW_OF_A_LABEL else ""
        table.add_row(Text(label), *figures, f"{own.support:,}{few}")
    return table


def metric_facts(values: Mapping[str, Estimate], first: Sequence[str]) -> list[tuple[str, str]]:
    """Figures with their intervals, the task's own metrics first."""
    order = [*(name for name in first if name in values), *values]
    return [(name.replace("_", "-"), _shown(name, values[name])) for name in dict.fromkeys(order)]


def comparison_table(comparison: Comparison) -> Table:
    """A row a figure: both models', and the paired difference."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for title in (*comparison.names, "difference"):
        table.add_column(Text(title), justify="right")
    for name, change in comparison.differences.items():
        both = (comparison.before[name], comparison.after[name])
        cells = [_shown(name, own) for own in both]
        style = "bold" if name == comparison.metric else None
        table.add_row(name.replace("_", "-"), *cells, _signed(name, change), style=style)
    return table


_NO_SHARES = frozenset({"brier", "coverage_error", "log_loss", "mcc"})


def _shown(name: str, own: Estimate) -> str:
    if name in _NO_SHARES:
        ends = f"{own.low:.3f}–{own.high:.3f}" if own.has_interval else "–"
        return f"{own.value:.3f} ({ends})"
    return percent(own)


def _signed(name: str, change: Estimate) -> str:
    scale, digits = (1, 3) if name in _NO_SHARES else (100, 1)
    value, low, high = (scale * end for end in (change.value, change.low, change.high))
    ends = f"{low:+.{digits}f} to {high:+.{digits}f}" if change.has_interval else "–"
    return f"{value:+.{digits}f} ({ends})"


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Names and values, a line each; lines are not broken, for they may hold a path to copy."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        out.print(Text.assemble((f"{name:<{width}}  ", "bold"), value), soft_wrap=True)
