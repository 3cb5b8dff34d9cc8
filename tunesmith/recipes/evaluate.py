"""How good a bundle is on labelled rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bundles import Bundle, open_bundle, read_rows
from tunesmith.config import redact
from tunesmith.data import overlap
from tunesmith.errors import DataError
from tunesmith.evaluation import evaluate as judge
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import train_rows_of
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._predictions import outputs_in_chunks
from tunesmith.runtimes import load
from tunesmith.types import Dataset, Metrics

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A bundle's figures on one file."""

    bundle: Bundle
    source: str
    metrics: Metrics

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": str(self.bundle.path),
            "data": self.source,
            "metrics": self.metrics.as_dict(),
            "num_examples": self.metrics.num_examples,
        }


def evaluate(
    bundle: Bundle | Path | str,
    source: Path | str,
    *,
    target: str | None = None,
    drop_missing: bool = False,
    label_separator: str | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 42,
    listener: Listener | None = None,
) -> Evaluation:
    """Judges a bundle on a labelled file.

    Args:
        bundle: a bundle, or its folder.
        source: a file with the columns that the bundle was trained on.
        target: the label's column; the one of the training file where None.

    Raises:
        BundleError: the bundle is missing or was changed.
        DataError: the file cannot be used.
    """
    listener = listener or Silent()
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    facts, settings = opened.manifest.data, opened.manifest.config["data"]
    loaded, _ = dataset_for(
        opened.task,
        str(source),
        target=target or facts["target"],
        drop_missing=drop_missing,
        separator=label_separator or settings["label_separator"],
    )
    for note in loaded.notes:
        listener.say(note)
    _warn_of_training_rows(opened, loaded.dataset, listener)
    runtime = load(opened)
    dataset, task = loaded.dataset, runtime.task
    outputs = outputs_in_chunks(runtime, dataset.inputs, listener)
    metrics = judge(
        task,
        task.encode(dataset.targets or []),
        np.asarray(task.probabilities(outputs)),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return Evaluation(opened, redact(str(source)), metrics)


def _warn_of_training_rows(bundle: Bundle, dataset: Dataset, listener: Listener) -> None:
    """Says how many rows the bundle was trained on, where its run still keeps those beside it."""
    kept = train_rows_of(bundle)
    if not kept.is_file():
        return
    facts = bundle.manifest.data
    try:
        known = len(overlap(read_rows(kept, facts["text"], facts["target"]), dataset))
    except DataError:  # another user's, or damaged: a warning less, and no reason to fail
        return
    if known:
        listener.warn(
            f"{known:,} of {len(dataset):,} texts were trained on: the figures are too good"
        )
