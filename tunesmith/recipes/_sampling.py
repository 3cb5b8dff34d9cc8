"""Some of many rows, with every label as common among them as among all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tunesmith.types import Dataset, Target, Texts, Value

__all__ = ["joined", "stratified_sample"]


def stratified_sample(dataset: Dataset, size: int, seed: int) -> NDArray[np.int64]:
    """The places of `size` of n rows, in their order; the same for the same rows and seed.

    Rows stand in line by label, in an order that the seed draws; the first of each line goes first,
    and the lines move on in step with their lengths. So each label gets its share, and one row at
    least where `size` allows. A row of several labels stands in the line of its rarest.
    """
    counts = Counter(label for target in dataset.targets or () for label in _labels(target))
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for place in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        labels = _labels((dataset.targets or ())[place])
        rarest = min(labels, key=lambda label: (counts[label], label), default="")
        lines[rarest].append(place)
    order = sorted(
        (rank / len(line), -len(line), label, place)
        for label, line in lines.items()
        for rank, place in enumerate(line)
    )
    return np.sort(np.array([place for *_, place in order[:size]], dtype=np.int64))


def joined(first: Dataset, second: Dataset) -> Dataset:
    """The rows of both, one after the other.

    The second one's rows are not of the first one's file, and get the number 0, which is none.
    """
    assert first.targets is not None
    assert second.targets is not None
    return Dataset(
        columns=tuple(_both(*pair) for pair in zip(first.columns, second.columns, strict=True)),
        targets=[*first.targets, *second.targets],
        rows=np.concatenate([first.rows, np.zeros(len(second), dtype=np.int64)]),
        source=first.source,
    )


def _both(first: Sequence[Value], second: Sequence[Value]) -> Sequence[Value]:
    if isinstance(first, Texts) and isinstance(second, Texts):
        return Texts.of(chain(first, second))
    return [*first, *second]


def _labels(target: Target) -> tuple[str, ...]:
    return (target,) if isinstance(target, str) else target
