"""Labels that are probably wrong, and texts unlike all others, by the states of a frozen encoder.

Two judges who err in different ways must agree: a linear model, cross-validated and fitted a second
time without the rows that it doubts (Northcutt, Jiang & Chuang 2021, "Confident Learning", prunes
likewise), and the labels of the nearest texts, which bear wrong labels that cluster better than a
fitted boundary does (Bahri, Jiang & Gupta 2020, "Deep k-NN for Noisy Labels"). What was measured
stands in docs/log.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._subject import Subject

__all__ = ["check_outliers", "check_suspected_labels"]

_FEWEST_ROWS = 50
_FEWEST_OF_LABEL = 5
_FOLDS = 5
_STRENGTH = 10.0  # C of the linear model, as for the probe
_NEIGHBOURS = 50
_TEMPERATURE = 0.1
_DOUBTED_BY_MODEL, _DOUBTED_BY_NEIGHBOURS = 0.3, 0.2
_SUSPECTED = 0.1
_ROWS_AT_ONCE = 1_000
_NEAREST = 10
_FAR = 4.0  # robust standard deviations below the usual likeness
_MOST_OUTLIERS = 0.01
_MOST_LIKELY, _HARDLY = 10, 0.005


def check_suspected_labels(
    subject: Subject, places: NDArray[np.int64], features: NDArray[np.float32]
) -> Iterator[Finding]:
    """Finds labels that both judges hold for wrong, the most suspicious first in `details`.

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
    by_model, by_neighbours = _label_probabilities(features[known], targets, len(labels))
    both = np.sqrt(by_model * by_neighbours)
    both /= both.sum(axis=1, keepdims=True)
    own = both[np.arange(len(targets)), targets]
    best = both.argmax(axis=1)
    agreed = (by_model.argmax(axis=1) == best) & (by_neighbours.argmax(axis=1) == best)
    suspects = np.flatnonzero(agreed & (best != targets) & (own < _SUSPECTED))
    reviewed = np.isin(places[known][suspects], sorted(subject.reviewed))
    suspects = suspects[~reviewed]
    if not len(suspects):
        return
    suspects = suspects[np.argsort(own[suspects], kind="stable")]
    details = [
        {
            "row": int(places[known[i]]) + 1,
            "label": labels[targets[i]],
            "suggested": labels[best[i]],
            "probability": round(float(both[i, best[i]]), 4),
            "likeliest": _likeliest(both[i], labels),
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
    _, likeness = _neighbours(_unit(features), _NEAREST)
    nearest = likeness.mean(axis=1)
    usual = float(np.median(nearest))
    spread = 1.4826 * float(np.median(np.abs(nearest - usual)))
    order = np.argsort(nearest, kind="stable")[: int(_MOST_OUTLIERS * len(places))]
    far = [i for i in order.tolist() if nearest[i] < usual - _FAR * max(spread, 1e-3)]
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


def _likeliest(probabilities: NDArray[np.float64], labels: list[str]) -> dict[str, float]:
    """The labels that may be right, the likeliest first, and their probabilities."""
    order = np.argsort(-probabilities, kind="stable")[:_MOST_LIKELY]
    told = {labels[i]: round(float(probabilities[i]), 4) for i in order.tolist()}
    return {label: one for label, one in told.items() if one >= _HARDLY}


def _label_probabilities(
    features: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a linear model and the neighbours say of each row, none having seen its label.

    Returns:
        Two of float64 [n, labels]; each row sums to 1.
    """
    unit = _unit(features)
    return (
        _by_model(unit, targets, num_labels),
        _by_neighbours(unit, targets, num_labels),
    )


def _by_model(
    features: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int
) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    rows = np.arange(len(targets))
    trusted = np.ones(len(targets), dtype=bool)
    told = np.zeros((len(targets), num_labels))
    for _ in range(2):
        told = np.zeros((len(targets), num_labels))
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        for train, held_out in folds.split(features, targets):
            kept = train[trusted[train]]
            model = LogisticRegression(C=_STRENGTH, max_iter=200)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(features[kept], targets[kept])
            told[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
        agrees = told.argmax(axis=1) == targets
        trusted = agrees | (told[rows, targets] > _DOUBTED_BY_MODEL)
        for label in range(num_labels):  # a label that is doubted throughout is still a label
            own = targets == label
            if trusted[own].sum() < _FOLDS:
                trusted[own] = True
    return told


def _by_neighbours(
    features: NDArray[np.float32], targets: NDArray[np.int64], num_labels: int
) -> NDArray[np.float64]:
    indices, likeness = _neighbours(features, min(_NEIGHBOURS, max(len(targets) // 10, 1)))
    weights = np.exp(likeness.astype(np.float64) / _TEMPERATURE)
    weights /= weights.sum(axis=1, keepdims=True)
    given = np.eye(num_labels)[targets]
    told = np.einsum("nk,nkc->nc", weights, given[indices])
    # Once more, with what the neighbours say in place of the labels that they hold for wrong.
    doubted = told[np.arange(len(targets)), targets] < _DOUBTED_BY_NEIGHBOURS
    mended = np.where(doubted[:, None], told, given)
    return np.asarray(np.einsum("nk,nkc->nc", weights, mended[indices]))


def _neighbours(
    unit: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest other rows of each, and their cosines; [n, count]."""
    indices = np.empty((len(unit), count), dtype=np.int64)
    likeness = np.empty((len(unit), count), dtype=np.float32)
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        cosines = unit[start : start + _ROWS_AT_ONCE] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -2.0
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        indices[start : start + len(own)] = best
        likeness[start : start + len(own)] = np.take_along_axis(cosines, best, axis=1)
    return indices, likeness


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norms, 1e-12), dtype=np.float32)


def _is_common(subject: Subject, place: int, counts: dict[str, int]) -> bool:
    target = subject.targets[place]
    return isinstance(target, str) and counts[target] >= _FEWEST_OF_LABEL
