"""How good a bundle is on labelled rows that it has not seen."""

from __future__ import annotations

import datetime
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith import storage
from tunesmith.bases import available_cores
from tunesmith.bundles import Bundle, open_bundle
from tunesmith.config import EvaluationConfig, redact
from tunesmith.data import did_you_mean, fingerprint, source_name
from tunesmith.errors import BundleError, DataError, Fault, OutputError
from tunesmith.evaluation import (
    KnownNames,
    Report,
    Verdict,
    confusion_matrix,
    hold_against,
    most_confident_mistakes,
    read_expectations,
)
from tunesmith.recipes._examine import Examined, examine
from tunesmith.recipes._judged_rows import (
    Copies,
    JudgedRows,
    read_judged_rows,
    warn_of_training_rows,
)
from tunesmith.recipes._judging import Judging
from tunesmith.recipes._listener import Listener, Recording, Silent
from tunesmith.recipes._predictions import outputs_in_chunks
from tunesmith.recipes._rivals import Rivals, find_rivals
from tunesmith.recipes._slices import extra_names
from tunesmith.recipes.explain import gradient_explainer
from tunesmith.runtimes import Runtime, load
from tunesmith.types import Dataset, Inputs, Metrics

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A bundle's figures on one file.

    Attributes:
        bundle: what was judged.
        source: the file, as the user named it.
        report: everything that was found; shows itself in a notebook.
        trained: the headline of the bundle's own report, where that says that the model is not
            significantly better than a baseline; else empty.
        verdict: what became of the expectations; None where there were none.
        folder: where the report was written; None where it was not.
    """

    bundle: Bundle
    source: str
    report: Report
    trained: str = ""
    verdict: Verdict | None = None
    folder: Path | None = None

    @property
    def metrics(self) -> Metrics:
        """The figures."""
        return self.report.metrics

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": str(self.bundle.path),
            "data": self.source,
            "metrics": self.metrics.as_dict(),
            "num_examples": self.metrics.num_examples,
            "headline": self.report.headline(),
            "better": self.report.better,
            "candidates": self.report.as_dict()["candidates"],
            "trained": self.trained,
            "notes": [*self.report.notes, *self.metrics.notes],
            "sections": self.report.as_dict()["sections"],
            **({} if self.verdict is None else {"expectations": self.verdict.as_dict()}),
            **({} if self.folder is None else {"report": str(self.folder)}),
        }

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def evaluate(
    bundle: Bundle | Path | str,
    source: Path | str,
    *,
    target: str | None = None,
    group: str | None = None,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
    label_separator: str | None = None,
    expect: Path | Mapping[str, Any] | None = None,
    report: Path | None = None,
    slices: Sequence[str] | None = None,
    fairness: str | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 42,
    baselines: bool = True,
    listener: Listener | None = None,
) -> Evaluation:
    """Judges a bundle on a labelled file, beside the simple models that it was trained beside.

    Args:
        bundle: a bundle, or its folder.
        source: a file with the columns that the bundle was trained on.
        target: the label's column; the one of the training file where None.
        group: a column; rows with the same value depend on each other. The one of training where
            None.
        ignore_unseen: leave out rows with labels that the bundle does not know, and say so.
        expect: a file of expectations, or what it would hold.
        report: a folder for report.json and report.html, new or empty.
        slices: columns by which the rows are taken apart; those of training where None.
        fairness: a column whose groups are compared; that of training where None.
        baselines: whether simple models are asked too, as far as the bundle's run kept them.

    Raises:
        BundleError: the bundle is missing or was changed.
        ConfigError: the expectations cannot be used.
        DataError: the file cannot be used.
        OutputError: the report cannot be written there.
    """
    started = time.monotonic()
    heard = Recording(listener or Silent())
    if report is not None:
        storage.require_empty(report, mend="choose another with --report")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    looked_into = _settings(opened, slices, fairness)
    columns = extra_names(looked_into)
    names = KnownNames.of(opened.task, columns)
    expectations = None if expect is None else read_expectations(expect, names)
    settings = opened.manifest.config["data"]
    rows = read_judged_rows(
        opened.task, str(source), heard,
        target=target or opened.manifest.data["target"], group=group or settings.get("group"),
        needs_group=group is not None, drop_missing=drop_missing, ignore_unseen=ignore_unseen,
        separator=label_separator or settings["label_separator"],
    )  # fmt: skip
    _require_columns([*(slices or ()), *([] if fairness is None else [fairness])], rows)
    known, copies = warn_of_training_rows(opened, rows.dataset, heard)
    runtime = load(opened)
    subject = _examined(
        opened, runtime, rows, known, looked_into, heard, confidence, resamples, seed
    )
    trained = _trained_report(opened)
    rivals = find_rivals(opened, trained, known, rows.dataset, heard) if baselines else Rivals(())
    found = _report(opened, str(source), subject, rivals, rows, copies, heard, started)
    if report is not None:
        _write(found, report)
    return Evaluation(
        bundle=opened,
        source=redact(str(source)),
        report=found,
        trained=trained.headline() if trained is not None and trained.better is False else "",
        verdict=None
        if expectations is None
        else hold_against(
            expectations, opened.task, found.metrics, found.sections, columns=columns
        ),
        folder=report,
    )


def _examined(
    bundle: Bundle,
    runtime: Runtime,
    rows: JudgedRows,
    known: Dataset | None,
    settings: EvaluationConfig,
    listener: Listener,
    confidence: float,
    resamples: int,
    seed: int,
) -> Examined:
    """The model and the rows, for the figures and for what else the report looks into."""
    outputs = outputs_in_chunks(runtime, rows.dataset.inputs, listener)
    assert outputs.scores is not None

    def ask(inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        scores = runtime.outputs(inputs).scores
        assert scores is not None
        return scores

    return Examined(
        task=runtime.task,
        dataset=rows.dataset,
        targets=runtime.task.encode(rows.dataset.targets or []),
        scores=outputs.scores,
        ask=ask,
        known=known,
        extra=rows.extra,
        groups=rows.groups,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        settings=settings,
        explainer=partial(gradient_explainer, bundle) if runtime.name.startswith("torch") else None,
    )


def _require_columns(asked: Sequence[str], rows: JudgedRows) -> None:
    """Refuses columns that are asked for and do not exist.

    Raises:
        DataError: all of them at once.
    """
    faults = [
        Fault(
            f"there is no column {name!r} beside text and label",
            where=rows.dataset.source,
            mend=did_you_mean(name, rows.extra),
        )
        for name in asked
        if name not in rows.extra
    ]
    if faults:
        raise DataError.of(faults)


def _settings(
    bundle: Bundle, slices: Sequence[str] | None, fairness: str | None
) -> EvaluationConfig:
    """What is looked into: as in training, but for what is asked for."""
    trained: dict[str, Any] = bundle.manifest.config.get("evaluation", {})
    known = {
        name: value for name, value in trained.items() if name in EvaluationConfig.model_fields
    }
    if slices is not None:
        known["slices"] = list(slices)
    if fairness is not None:
        known["fairness"] = fairness
    return EvaluationConfig.model_validate(known)


def _report(
    bundle: Bundle,
    source: str,
    subject: Examined,
    rivals: Rivals,
    rows: JudgedRows,
    copies: Copies,
    listener: Recording,
    started: float,
) -> Report:
    manifest, probabilities = bundle.manifest, subject.probabilities
    chosen = manifest.name or "model"
    judging = _judging(subject, rivals)
    judging.add(chosen, subject.task, probabilities, rivals.seconds)
    candidates = judging.candidates
    advantage, best = judging.advantage(chosen) if rivals.asked else (None, "")
    sections = examine(subject, listener)
    name = source_name(source)
    return Report(
        kind="evaluation",
        title=name,
        task=dict(subject.task.as_dict()),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        candidates=candidates if rivals.asked else (),
        chosen=chosen,
        metrics=candidates[-1].metrics,
        advantage=advantage,
        advantage_over=best,
        split_sizes={"test": len(rows.dataset)},
        split_source=name,
        data={
            "source": name,
            "fingerprint": fingerprint(rows.dataset),
            "unseen_labels": rows.num_unseen,
            "trained_rows": copies.exact,
            "nearly_trained_rows": copies.near,
            "trained_on": dict(manifest.data),
        },
        base=_facts(bundle),
        config=dict(manifest.config),
        versions=dict(manifest.versions),
        seconds=time.monotonic() - started,
        machine=f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        notes=(*listener.warnings, *rivals.missing),
        confusion=confusion_matrix(subject.task, subject.targets, probabilities),
        mistakes=most_confident_mistakes(
            subject.task, subject.dataset, subject.targets, probabilities
        ),
        sections=sections,
    )


def _judging(subject: Examined, rivals: Rivals) -> Judging:
    """The simple models' figures on the same rows."""
    judging = Judging(
        subject.targets, groups=subject.groups, confidence=subject.confidence,
        resamples=subject.resamples, seed=subject.seed,
    )  # fmt: skip
    for rival in rivals.asked:
        judging.add(rival.name, rival.task, rival.probabilities, rival.seconds)
    return judging


def _write(report: Report, folder: Path) -> None:
    try:
        report.write(folder)
    except OSError as error:
        reason = error.strerror or "cannot be written"
        raise OutputError(reason, where=str(folder), mend="choose another folder") from error


def _facts(bundle: Bundle) -> dict[str, Any]:
    base = bundle.manifest.base
    return {"id": base.id, "family": base.family, "digest": base.digest, "bundle": bundle.version}


def _trained_report(bundle: Bundle) -> Report | None:
    """The report of the bundle's training; without it a bundle works as well."""
    file = bundle.path / "report" / "report.json"
    try:
        return Report.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, BundleError):
        return None
