"""Two bundles on the same labelled rows: which is better, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bundles import Bundle, open_bundle
from tunesmith.config import redact
from tunesmith.errors import BundleError
from tunesmith.evaluation import Answers, Comparison, compare_answers, joint_labels
from tunesmith.recipes._judged_rows import JudgedRows, read_judged_rows, warn_of_training_rows
from tunesmith.recipes._lineage import reshaped
from tunesmith.recipes._listener import Listener, Recording, Silent
from tunesmith.recipes._predictions import outputs_in_chunks
from tunesmith.runtimes import load

__all__ = ["Compared", "compare"]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two bundles on one file.

    Attributes:
        bundles: the first, and the second, which is hoped to be better.
        source: the file, as the user named it.
        comparison: what was found; shows itself in a notebook.
        warnings: what was said while reading.
    """

    bundles: tuple[Bundle, Bundle]
    source: str
    comparison: Comparison
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        values = self.comparison.as_dict()
        for name, bundle in zip("ab", self.bundles, strict=True):
            own: Mapping[str, Any] = values[name]
            values[name] = {"bundle": str(bundle.path), "version": bundle.version, **own}
        notes = [*self.warnings, *values["notes"]]
        return {"data": self.source, **values, "notes": notes}

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()


def compare(
    first: Bundle | Path | str,
    second: Bundle | Path | str,
    source: Path | str,
    *,
    metric: str | None = None,
    target: str | None = None,
    group: str | None = None,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
    label_separator: str | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 42,
    listener: Listener | None = None,
) -> Compared:
    """Judges two bundles on one labelled file.

    Args:
        first, second: bundles of one task, or their folders; their labels may differ.
        metric: what is compared first; the task's leading metric where None.
        target, group, drop_missing, ignore_unseen: see `evaluate`.

    Raises:
        BundleError: a bundle is missing or was changed, or the two are of different tasks.
        ConfigError: there is no such metric.
        DataError: the file cannot be used.
    """
    heard = Recording(listener or Silent())
    old, new = (one if isinstance(one, Bundle) else open_bundle(one) for one in (first, second))
    _check_same_task(old, new)
    settings = old.manifest.config["data"]
    labels = joint_labels(old.task.labels, new.task.labels)
    rows = read_judged_rows(
        reshaped(old.task, labels=labels), str(source), heard,
        target=target or old.manifest.data["target"], group=group or settings.get("group"),
        needs_group=group is not None, drop_missing=drop_missing, ignore_unseen=ignore_unseen,
        separator=label_separator or settings["label_separator"],
    )  # fmt: skip
    answers = [_answers(bundle, rows, heard) for bundle in (old, new)]
    found = compare_answers(
        rows.dataset, *answers, names=_names(old, new), metric=metric, groups=rows.groups,
        confidence=confidence, resamples=resamples, seed=seed,
    )  # fmt: skip
    return Compared((old, new), redact(str(source)), found, tuple(heard.warnings))


def _answers(bundle: Bundle, rows: JudgedRows, listener: Listener) -> Answers:
    warn_of_training_rows(bundle, rows.dataset, listener)
    runtime = load(bundle)
    outputs = outputs_in_chunks(runtime, rows.dataset.inputs, listener)
    probabilities = np.asarray(runtime.task.probabilities(outputs), dtype=np.float64)
    return Answers(runtime.task, probabilities)


def _check_same_task(old: Bundle, new: Bundle) -> None:
    if old.task.name != new.task.name:
        raise BundleError(
            f"is of another task: {new.task.name}, and {old.path} is of {old.task.name}",
            where=str(new.path),
            mend="compare bundles that both give one label a row, or both several",
        )
    counts = [len(one.task.fields) for one in (old, new)]
    if counts[0] != counts[1]:
        raise BundleError(
            f"reads {counts[1]} text columns, and {old.path} reads {counts[0]}",
            where=str(new.path),
            mend="compare bundles that read the same columns",
        )
    if not set(old.task.labels) & set(new.task.labels):
        raise BundleError(
            f"has no label in common with {old.path}",
            where=str(new.path),
            mend="compare bundles that were trained for the same labels",
        )


def _names(old: Bundle, new: Bundle) -> tuple[str, str]:
    """What tells the two apart: their folders, or for one name twice their versions too."""
    names = [_name(one) for one in (old, new)]
    if names[0] == names[1]:
        names = [f"{name} ({one.version})" for name, one in zip(names, (old, new), strict=True)]
    return names[0], names[1]


def _name(bundle: Bundle) -> str:
    path = bundle.path.resolve()
    return path.parent.name if path.name == "bundle" else path.name
