"""What was found in a file as a web page: what the templates in `templates/` are given.

The page is bounded, however much was found. Whatever of it comes from the data goes through
`_shown`, which masks personal data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tunesmith.checks import _figures
from tunesmith.checks._commands import commands
from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._overview import SAMPLE_ROWS, read_columns, words_per_text
from tunesmith.checks._patterns import clusters, outliers, suspects
from tunesmith.checks._shown import plain, shown
from tunesmith.checks._steps import STEPS
from tunesmith.checks._subject import Subject
from tunesmith.data import labels_of
from tunesmith.pages import Templates

__all__ = ["render_page"]

MAX_FINDINGS = 60
MAX_OTHER_FINDINGS = 200
MAX_COLUMNS, MAX_OTHER_COLUMNS = 16, 100
MAX_LABELS, MAX_EACH_END, MAX_OTHER_LABELS = 24, 10, 200
FEW_ROWS = 10
NUM_ROWS, MAX_ROWS = 20, 300
NUM_EXAMPLES = 3
MESSAGE, TEXT, NAME = 1_000, 280, 60

_ELSEWHERE = {
    "suspected-label-errors": "suspected",
    "outliers": "outliers",
    "exact-duplicates": "repeated",
    "conflicting-labels": "repeated",
    "near-duplicates": "repeated",
}
"""Findings whose rows stand in a part of the page of their own."""


def render_page(
    subject: Subject,
    findings: Sequence[Finding],
    *,
    base: str | None = None,
    notes: Sequence[str] = (),
    copy: str = "",
) -> str:
    """A whole page, whose own Content-Security-Policy allows its one style sheet and no more.

    Args:
        findings: the gravest first.
        base: the encoder that looked for wrong labels; None where none did.
        notes: what was said on the way.
        copy: what a cleaned copy would be called.
    """
    view = {
        "title": plain(Path(subject.source).name or subject.source, NAME),
        "subject": subject,
        "base": base,
        "notes": [shown(note, MESSAGE) for note in dict.fromkeys(notes)],
        "counts": _counts(findings),
        "verdict": _verdict(findings),
        "plot_size": (_figures.PLOT_WIDTH, _figures.PLOT_HEIGHT),
        "max_columns": MAX_COLUMNS,
        "columns": read_columns(subject)[: MAX_COLUMNS + MAX_OTHER_COLUMNS],
        "source": shown(subject.source, MESSAGE),
        "beside": [
            (part, shown(other.source, MESSAGE), other.num_rows)
            for part, other in subject.beside.items()
        ],
        "labels": _labels(subject),
        "lengths": list(_lengths(subject)),
        "findings": [_finding(subject, one) for one in findings[:MAX_FINDINGS]],
        "other_findings": [
            (one.severity, shown(one.message, TEXT))
            for one in findings[MAX_FINDINGS : MAX_FINDINGS + MAX_OTHER_FINDINGS]
        ],
        "num_left_out": max(0, len(findings) - MAX_FINDINGS - MAX_OTHER_FINDINGS),
        "clusters": clusters(subject, findings),
        "suspects": suspects(subject, findings),
        "outliers": outliers(subject, findings),
        "commands": commands(subject, findings, base=base, copy=copy),
    }
    return _templates().render("page.html", view)


@lru_cache(maxsize=1)
def _templates() -> Templates:
    filters: dict[str, Callable[..., Any]] = {
        "counted": counted,
        "name": lambda text: shown(str(text), NAME),
        "percent": _percent,
        "plain": lambda text: plain(str(text), NAME),
        "thousands": lambda value: f"{value:,}",
    }
    return Templates("tunesmith.checks", "check.css", filters)


def _percent(share: float) -> str:
    """ "12 %", "0.4 %", "< 0.1 %"; what is not all is never 100 %."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<\u202f0.1\u202f%"
    if percent >= 10 or percent == 0:
        return ">\u202f99\u202f%" if 99.5 <= percent < 100 else f"{percent:.0f}\u202f%"
    return f"{percent:.1f}\u202f%"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    severities = [finding.severity for finding in findings]
    return {word: severities.count(word) for word in ("error", "warning", "note")}


def _verdict(findings: Sequence[Finding]) -> tuple[str, str]:
    """What to make of it, and what of the rest."""
    counts = _counts(findings)
    rest = [counted(counts[word], word, f"{word}s") for word in ("warning", "note") if counts[word]]
    others = " and ".join(rest)
    if errors := counts["error"]:
        first = f"Mend {counted(errors, 'error', 'errors')} before training"
        return first, f"{others} besides" if others else ""
    if counts["warning"]:
        return "Nothing stops training", f"{others} to read first"
    return ("Ready for training", f"{others} to know of") if others else (
        "Ready for training", "nothing was found"
    )  # fmt: skip


def _labels(subject: Subject) -> dict[str, Any] | None:
    """Every label as a bar, or of many the largest, the smallest, and the rest folded away."""
    counts = subject.label_counts.most_common()
    if not counts:
        return None
    many = len(counts) > MAX_LABELS
    bars = _figures.count_bars(counts, total=subject.num_rows, longest=counts[0][1])
    middle = bars[MAX_EACH_END:-MAX_EACH_END] if many else []
    return {
        "num": len(counts),
        "largest": bars[:MAX_EACH_END] if many else bars,
        "smallest": bars[-MAX_EACH_END:] if many else [],
        "middle": middle[:MAX_OTHER_LABELS],
        "num_middle": len(middle),
        "num_few": sum(count < FEW_ROWS for _, count in counts),
        "few": FEW_ROWS,
        "several": subject.has_several_labels,
        "median": float(np.median([count for _, count in counts])),
    }


def _lengths(subject: Subject) -> Iterator[dict[str, Any]]:
    for name in subject.text:
        words = words_per_text(subject, name)
        drawn = _figures.histogram(words)
        if drawn is not None:
            middle, most = np.quantile(words, (0.5, 0.9))
            yield {
                "column": name,
                "drawn": drawn,
                "median": round(float(middle)),
                "most": round(float(most)),
                "longest": int(words.max()),
                "num_looked_at": len(words) if subject.num_rows > SAMPLE_ROWS else 0,
            }


def _finding(subject: Subject, finding: Finding) -> dict[str, Any]:
    """A finding with its first rows and some of their texts."""
    rows = finding.rows
    elsewhere = _ELSEWHERE.get(finding.check, "")
    step = STEPS.get(finding.step or "")
    return {
        "title": shown(finding.check.replace("-", " ").capitalize(), NAME),
        "severity": finding.severity,
        "message": shown(finding.message[:1].upper() + finding.message[1:], MESSAGE),
        "fix": shown(finding.fix, MESSAGE),
        "step": finding.step,
        "is_safe": step is not None and step.is_safe,
        "rows": rows[:NUM_ROWS].tolist(),
        "other_rows": rows[NUM_ROWS:MAX_ROWS].tolist(),
        "num_rows": len(rows),
        "num_left_out": max(0, len(rows) - MAX_ROWS),
        "part": finding.part,
        "elsewhere": elsewhere,
        "examples": [] if elsewhere else list(_examples(subject, finding)),
    }


def _examples(subject: Subject, finding: Finding) -> Iterator[tuple[int, str, Markup]]:
    """The first rows: number, label, text. Personal data is looked for where it was found."""
    source = subject.beside.get(finding.part, subject)
    starts: dict[int, int] = {}
    for one in finding.details[:100]:
        if isinstance(one.get("start"), int) and finding.column == source.text[0]:
            starts.setdefault(one.get("row", 0), one["start"])
    for row in finding.rows[:NUM_EXAMPLES].tolist():
        if 1 <= row <= source.num_rows:
            text = str(source.whole_texts[row - 1].as_py())
            start = starts.get(row, 0)
            start = start - TEXT // 3 if start > TEXT // 2 else 0
            labels = ", ".join(labels_of(source.targets[row - 1] or ()))
            yield row, labels, shown(text, TEXT, start)
