"""What a model is worth: evaluate, compare, explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.bundles import Bundle
    from tunesmith.explanation import Method
    from tunesmith.recipes import (
        Compared,
        Evaluation,
        Explained,
        ExplainedData,
    )

__all__ = ["compare", "evaluate", "explain", "explain_data"]


def evaluate(
    bundle: str | Path | Bundle,
    data: str | Path,
    *,
    target: str | None = None,
    group: str | None = None,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
    expect: str | Path | Mapping[str, object] | None = None,
    report: str | Path | None = None,
    slices: Sequence[str] | None = None,
    fairness: str | None = None,
    baselines: bool = True,
) -> Evaluation:
    """Judges a bundle on labelled rows that it has not seen, beside the simple models of training.

    Args:
        target: the label's column; as in training where None.
        group: a column; rows with the same value depend on each other. As in training where None.
        ignore_unseen: leave out rows with labels that the bundle does not know.
        expect: what is expected, as a YAML file or what it would hold; `.verdict` says what came
            of it.
        report: a folder for report.json and report.html, new or empty.
        slices: columns by which the rows are taken apart; as in training where None.
        fairness: a column whose groups are compared; as in training where None.
        baselines: whether simple models are judged too, as far as the bundle's run kept them.

    Raises:
        InputError: the bundle, the data or the expectations cannot be used.
    """
    from tunesmith import recipes

    return recipes.evaluate(
        bundle,
        data,
        target=target,
        group=group,
        drop_missing=drop_missing,
        ignore_unseen=ignore_unseen,
        expect=Path(expect) if isinstance(expect, str) else expect,
        report=None if report is None else Path(report),
        slices=slices,
        fairness=fairness,
        baselines=baselines,
    )


def compare(
    first: str | Path | Bundle,
    second: str | Path | Bundle,
    data: str | Path,
    *,
    metric: str | None = None,
    target: str | None = None,
    group: str | None = None,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
) -> Compared:
    """Judges two bundles on the same labelled rows, and says where they differ.

    What is not explained here is as in `evaluate`.

    Args:
        metric: what is compared first; the task's leading metric where None.

    Raises:
        InputError: the bundles are of different tasks, or something given cannot be used.
    """
    from tunesmith import recipes

    return recipes.compare(
        first,
        second,
        data,
        metric=metric,
        target=target,
        group=group,
        drop_missing=drop_missing,
        ignore_unseen=ignore_unseen,
    )


def explain(
    bundle: str | Path | Bundle,
    texts: Sequence[object],
    *,
    label: str | None = None,
    method: Method = "integrated-gradients",
    neighbours: int = 3,
    examples: str | Path | None = None,
) -> Explained:
    """Says what each word of each text adds to a bundle's answer, and which training rows are near.

    Args:
        texts: each as `load(bundle).predict` takes it.
        label: the label to explain; None: the one that is given, or all of several.
        method: integrated-gradients, gradient-x-input (fast), or leave-one-out.
        neighbours: how many of the nearest training rows to find; 0 for none.
        examples: a file of training rows, where the bundle was moved away from its own.

    Raises:
        InputError: the bundle, a text, the label or the file cannot be used.
    """
    from tunesmith import recipes

    return recipes.explain(
        bundle, texts, label=label, method=method, neighbours=neighbours, examples=examples
    )


def explain_data(
    bundle: str | Path | Bundle,
    data: str | Path | None = None,
    *,
    target: str | None = None,
    label: str | None = None,
    method: Method = "integrated-gradients",
    rows: int = 200,
    drop_missing: bool = False,
) -> ExplainedData:
    """Says which words drive each label over labelled rows, and whether that is to be believed.

    Args:
        data: a labelled file; None: the test rows that the bundle keeps.
        rows: at most so many, drawn by label, are explained.

    Raises:
        InputError: the bundle, the data or the label cannot be used.
    """
    from tunesmith import recipes

    return recipes.explain_data(
        bundle, data, target=target, label=label, method=method, max_rows=rows,
        drop_missing=drop_missing,
    )  # fmt: skip
