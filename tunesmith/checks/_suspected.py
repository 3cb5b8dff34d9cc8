"""Labels that may well be wrong, and texts unlike all others, by what a frozen encoder sees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._judges import nearest_rows, unit_length
from tunesmith.checks._subject import Subject
from tunesmith.checks._wrong_labels import FEW_ROWS, SUSPECTED, probabilities_of_wrong

__all__ = ["check_outliers", "check_suspected_labels"]

_FEWEST_ROWS = 50
_FEWEST_OF_LABEL = 5
_NEAREST = 10
_FARTHEST = 4.0  # robust standard deviations below the usual likeness
_FALSE_ALARMS = 0.1  # texts that would be as far by chance, in a whole file
_MOST_OUTLIERS = 0.01
_FEWEST_SHOWN = 3
_OWN_WHERE_FEW = 0.3
"""From few rows neither judge learns much: there the given label must be less likely than this
share of the expected one. On samples of 400 rows of AG News it halves what is shown, at a precision
of 0.65 to 1.0 rather than 0.57 to 0.77; beyond 3,333 rows it lets all pass."""
_MOST_LIKELY, _HARDLY = 10, 0.005


def check_suspected_labels(
    subject: Subject, places: NDArray[np.int64], features: NDArray[np.float32]
) -> Iterator[Finding]:
    """Finds labels that may well be wrong, the most suspicious first in `details`.

    `probability` there is that of the label being wrong.

    Args:
        places: int64 [n], places of complete rows.
        features: float32 [n, width], what the encoder makes of their texts.
    """
    if subject.target is None or subject.has_several_labels:
        return
    counts = subject.label_counts
    known = [i for i, p in enumerate(places.tolist()) if _is_common(subject, p, counts)]
    labels = sorted({str(subject.targets[places[i]]) for i in known})
    if len(known) < _FEWEST_ROWS or len(labels) < 2:
        return
    codes = {label: code for code, label in enumerate(labels)}
    targets = np.array([codes[str(subject.targets[places[i]])] for i in known])
    texts = subject.whole_texts.take(pa.array(places[known])).to_pylist()
    wrong, believed = probabilities_of_wrong(features[known], texts, targets, len(labels))
    expected = believed.argmax(axis=1)
    own = believed[np.arange(len(targets)), targets] / believed.max(axis=1)
    most = _OWN_WHERE_FEW * max(1.0, len(targets) / FEW_ROWS)
    suspects = np.flatnonzero((wrong > SUSPECTED) & (own < most))
    suspects = suspects[~np.isin(places[known][suspects], sorted(subject.reviewed))]
    if not len(suspects):
        return
    suspects = suspects[np.argsort(-wrong[suspects], kind="stable")]
    details = [
        {
            "row": int(places[known[i]]) + 1,
            "label": labels[targets[i]],
            "suggested": labels[expected[i]],
            "probability": round(float(wrong[i]), 4),
            "likeliest": _likeliest(believed[i], labels),
        }
        for i in suspects.tolist()
    ]
    first = details[0]
    yield Finding(
        check="suspected-label-errors",
        severity="warning",
        message=f"{counted(len(details), 'label looks', 'labels look')}"
        f" wrong, such as row {first['row']}: "
        f"{first['label']!r}, where {first['suggested']!r} is expected",
        fix="read these rows, the most suspicious first, and put wrong labels right; rows that are "
        "right and look odd are the most valuable ones, so never drop them unread",
        rows=np.array(sorted(one["row"] for one in details), dtype=np.int64),
        column=subject.target,
        details=details,
    )


def check_outliers(
    subject: Subject, places: NDArray[np.int64], features: NDArray[np.float32]
) -> Iterator[Finding]:
    """Finds texts that are far from their nearest neighbours, compared with all others."""
    if len(places) < _FEWEST_ROWS:
        return
    _, likeness = nearest_rows(unit_length(features), _NEAREST)
    nearest = likeness.mean(axis=1)
    usual = float(np.median(nearest))
    spread = 1.4826 * float(np.median(np.abs(nearest - usual)))
    most = max(_FEWEST_SHOWN, int(_MOST_OUTLIERS * len(places)))
    order = np.argsort(nearest, kind="stable")[:most]
    far = [i for i in order.tolist() if nearest[i] < usual - _cut(len(places)) * max(spread, 1e-3)]
    far = [i for i in far if int(places[i]) not in subject.reviewed]
    if not far:
        return
    rows = [int(places[i]) + 1 for i in far]
    yield Finding(
        check="outliers",
        severity="note",
        message=f"{counted(len(rows), 'text is', 'texts are')}"
        f" unlike all others, such as row {rows[0]}",
        fix="see whether they belong to this data",
        rows=np.array(sorted(rows), dtype=np.int64),
        column=subject.text[0],
        details=[
            {"row": row, "likeness": round(float(nearest[i]), 4)}
            for row, i in zip(rows, far, strict=True)
        ],
    )


def _cut(num_rows: int) -> float:
    """How many deviations make an outlier: among few texts, fewer are as far by chance."""
    from scipy.special import ndtri

    return min(_FARTHEST, -float(ndtri(_FALSE_ALARMS / num_rows)))


def _likeliest(probabilities: NDArray[np.float64], labels: list[str]) -> dict[str, float]:
    """The labels that may be right, the likeliest first, and their probabilities."""
    order = np.argsort(-probabilities, kind="stable")[:_MOST_LIKELY]
    told = {labels[i]: round(float(probabilities[i]), 4) for i in order.tolist()}
    return {label: one for label, one in told.items() if one >= _HARDLY}


def _is_common(subject: Subject, place: int, counts: dict[str, int]) -> bool:
    target = subject.targets[place]
    return isinstance(target, str) and counts[target] >= _FEWEST_OF_LABEL
