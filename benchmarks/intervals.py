"""How often 95 % intervals hold the truth: `python benchmarks/intervals.py [--sets 500]`.

Draws labelled sets from known distributions, evaluates each, and counts how often the interval of
each figure holds the figure of a very large set of the same kind. A count out of 500 is itself only
known to two points.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation import evaluate
from tunesmith.tasks import Field, MultiLabelClassification, Task, TextClassification
from tunesmith.types import Estimate, Metrics, Outputs

Draw = Callable[[int, int], tuple[NDArray[Any], NDArray[np.float64]]]

_FIELDS = (Field("text"),)
_TRUE_ROWS = 150_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Sets of `num_rows` rows; those of one group share how hard they are."""

    name: str
    task: Task
    draw: Draw
    num_rows: int
    group_size: int = 1

    def groups(self) -> NDArray[np.int64] | None:
        return None if self.group_size == 1 else np.arange(self.num_rows) // self.group_size


def one_label(
    name: str, num_rows: int, num_labels: int, *, skew: float, ease: float, group_size: int = 1
) -> Kind:
    """One label a row; label k is k ** -skew as frequent as the first; scores are normal."""
    task = TextClassification(_FIELDS, tuple(f"label {k}" for k in range(num_labels)))
    shares = 1 / np.arange(1, num_labels + 1) ** skew
    shares /= shares.sum()

    def draw(rows: int, seed: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        generator = np.random.default_rng(seed)
        targets = generator.choice(num_labels, size=rows, p=shares)
        scores = generator.normal(size=(rows, num_labels)) + 0.5 * np.log(shares)
        hardness = generator.normal(size=-(-rows // group_size)).repeat(group_size)[:rows]
        scores[np.arange(rows), targets] += ease + (hardness if group_size > 1 else 0.0)
        return targets, np.asarray(task.probabilities(Outputs(scores=scores.astype(np.float32))))

    return Kind(name, task, draw, num_rows, group_size)


def several_labels(name: str, num_rows: int, num_labels: int, rarest: float) -> Kind:
    """Each label apart, from 30 % of the rows down to `rarest`."""
    labels = tuple(f"label {k}" for k in range(num_labels))
    task = MultiLabelClassification(_FIELDS, labels, (0.5,) * num_labels)
    shares = np.geomspace(0.3, rarest, num_labels)

    def draw(rows: int, seed: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        generator = np.random.default_rng(seed)
        targets = (generator.random((rows, num_labels)) < shares).astype(np.float32)
        scores = generator.normal(size=targets.shape) + 2.2 * targets + 0.7 * np.log(shares)
        return targets, 1 / (1 + np.exp(-1.5 * scores))

    return Kind(name, task, draw, num_rows)


KINDS = (
    one_label("300 rows, 4 labels", 300, 4, skew=0.5, ease=2.0),
    one_label("60 rows, 3 labels, 93 % right", 60, 3, skew=0.0, ease=2.5),
    one_label("600 rows, 20 labels, long tail", 600, 20, skew=0.7, ease=2.5),
    one_label("400 rows in groups of 8, 4 labels", 400, 4, skew=0.5, ease=2.0, group_size=8),
    several_labels("500 rows, 8 labels each or not", 500, 8, 0.06),
)


def figures(metrics: Metrics) -> dict[str, Estimate]:
    """All figures of an evaluation, with those of the first label and the last."""
    found = dict(metrics.values)
    for place, label in (("first", 0), ("last", -1)):
        own = list(metrics.labels.values())[label]
        for name in ("precision", "recall", "f1", "roc_auc", "pr_auc"):
            if (estimate := getattr(own, name)) is not None and own.support:
                found[f"{place} label's {name}"] = estimate
    return found


def measure(kind: Kind, num_sets: int) -> dict[str, tuple[float, float]]:
    """Figure → its true value, and the share of the sets whose interval holds it."""
    truth = figures(evaluate(kind.task, *kind.draw(_TRUE_ROWS, 10**6), resamples=2))
    held: dict[str, list[bool]] = defaultdict(list)
    for seed in range(num_sets):
        targets, probabilities = kind.draw(kind.num_rows, seed)
        found = evaluate(kind.task, targets, probabilities, groups=kind.groups(), resamples=500)
        for name, estimate in figures(found).items():
            held[name].append(estimate.low <= truth[name].value <= estimate.high)
    return {name: (truth[name].value, float(np.mean(own))) for name, own in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--kinds", type=int, nargs="*", default=range(len(KINDS)))
    arguments = parser.parse_args()
    for place in arguments.kinds:
        kind = KINDS[place]
        found = measure(kind, arguments.sets)
        print(f"\n{kind.name}", flush=True)
        for name, (value, share) in found.items():
            mark = "" if 0.93 <= share <= 0.97 else "  <" if share < 0.93 else "  >"
            print(f"  {name:34s} {value:.3f}  {100 * share:5.1f} %{mark}", flush=True)


if __name__ == "__main__":
    main()
