"""The parts of the page that show what rows have in common: copies, doubtful labels, outliers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.checks import _figures
from tunesmith.checks._finding import Finding
from tunesmith.checks._shown import shown
from tunesmith.checks._subject import Subject
from tunesmith.data import labels_of

__all__ = ["clusters", "outliers", "suspects"]

NUM_CLUSTERS, NUM_TEXTS, NUM_CLUSTER_ROWS = 3, 3, 12
NUM_SUSPECTS, MAX_SUSPECTS = 15, 100
NUM_PAIRS, MAX_MATRIX_LABELS = 12, 8
NUM_OUTLIERS, MAX_OUTLIERS = 6, 30
TEXT, SHORT = 200, 140

_CLUSTERS = {
    "exact-duplicates": "Copies: the same text, the same label",
    "conflicting-labels": "Contradictions: the same text, different labels",
    "near-duplicates": "Nearly the same text",
}


def clusters(subject: Subject, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Of each kind of repetition the sizes of its groups, and the largest groups."""
    by_check = {one.check: one for one in findings if one.check in _CLUSTERS and len(one.groups)}
    found = []
    for check, title in _CLUSTERS.items():
        if check not in by_check:
            continue
        groups = by_check[check].groups
        sizes = np.fromiter(map(len, groups), np.int64, count=len(groups))
        largest = np.argsort(-sizes, kind="stable")[:NUM_CLUSTERS]
        found.append({
            "title": title,
            "num_groups": len(groups),
            "num_rows": int(sizes.sum()),
            "bars": _figures.size_bars(sizes),
            "groups": [
                _cluster(subject, groups[i], 1 if check == "exact-duplicates" else NUM_TEXTS)
                for i in largest.tolist()
            ],
        })  # fmt: skip
    return found


def _cluster(subject: Subject, group: Sequence[int], num_texts: int) -> dict[str, Any]:
    """A group's rows, and each different text of the first of them with its label."""
    different: dict[tuple[str, str], int] = {}
    for row in group[: 10 * num_texts]:
        different.setdefault((_text(subject, row), _label(subject, row)), row)
    return {
        "rows": list(group[:NUM_CLUSTER_ROWS]),
        "num_rows": len(group),
        "texts": [
            (row, label, shown(text, TEXT))
            for (text, label), row in list(different.items())[:num_texts]
        ],
    }


def suspects(subject: Subject, findings: Sequence[Finding]) -> dict[str, Any] | None:
    """The labels that look wrong, the most suspicious first, and what is taken for what."""
    details = _details(findings, "suspected-label-errors", subject)
    rows = [
        {
            "row": one["row"],
            "text": shown(_text(subject, one["row"]), SHORT),
            "label": one.get("label", ""),
            "suggested": one.get("suggested", ""),
            "probability": min(float(one.get("probability", 0.0)), 0.999),
        }
        for one in details[:MAX_SUSPECTS]
    ]
    if not rows:
        return None
    pairs = Counter((str(one.get("label")), str(one.get("suggested"))) for one in details)
    labels = sorted({label for pair in pairs for label in pair})
    is_small = len(labels) <= MAX_MATRIX_LABELS and len(pairs) > 2
    common = pairs.most_common(NUM_PAIRS)
    return {
        "rows": rows[:NUM_SUSPECTS],
        "other_rows": rows[NUM_SUSPECTS:],
        "num_left_out": len(details) - len(rows),
        "num_rows": len(details),
        "matrix": _figures.matrix(pairs, labels) if is_small else None,
        "pairs": [(pair, count, count / common[0][1]) for pair, count in common],
        "num_pairs": len(pairs),
    }


def outliers(subject: Subject, findings: Sequence[Finding]) -> dict[str, Any] | None:
    """The texts that are unlike all others, the strangest first."""
    details = _details(findings, "outliers", subject)
    rows = [
        (one["row"], _label(subject, one["row"]), shown(_text(subject, one["row"]), TEXT))
        for one in details[:MAX_OUTLIERS]
    ]
    if not rows:
        return None
    return {
        "rows": rows[:NUM_OUTLIERS],
        "other_rows": rows[NUM_OUTLIERS:],
        "num_left_out": len(details) - len(rows),
    }


def _details(findings: Iterable[Finding], check: str, subject: Subject) -> list[Mapping[str, Any]]:
    """What is known of the rows that a check named, where they are rows of the file."""
    return [
        one
        for finding in findings
        if finding.check == check
        for one in finding.details
        if isinstance(one.get("row"), int) and 1 <= one["row"] <= subject.num_rows
    ]


def _text(subject: Subject, row: int) -> str:
    return str(subject.whole_texts[row - 1].as_py()).strip()


def _label(subject: Subject, row: int) -> str:
    return ", ".join(labels_of(subject.targets[row - 1] or ()))
