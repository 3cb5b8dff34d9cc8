"""The report, and the bundle that is served."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.bases import Base, available_cores, has_adapter, save_adapter, score, tokenize
from tunesmith.bundles import (
    GOLDEN,
    HELD_OUT,
    BaseFacts,
    Bundle,
    Golden,
    Manifest,
    file_digest,
    golden_inputs,
    write_bundle,
    write_rows,
)
from tunesmith.config import RunConfig
from tunesmith.data import source_name, source_stem
from tunesmith.errors import BundleError
from tunesmith.evaluation import (
    Forgetting,
    ModelCard,
    Report,
    Section,
    confusion_matrix,
    most_confident_mistakes,
)
from tunesmith.recipes._choose import Choice
from tunesmith.recipes._fine_tune import Tuned
from tunesmith.recipes._judge import Judged
from tunesmith.recipes._lineage import Parent
from tunesmith.recipes._model import Model
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.runtimes import load
from tunesmith.types import Outputs

__all__ = ["base_name", "library_versions", "make_report", "package", "portable"]

_LIBRARIES = ("tunesmith", "torch", "transformers", "tokenizers", "numpy", "scikit-learn")
_HELD_OUT_ROWS = 5_000
_HELD_OUT_BYTES = 10_000_000
_ROWS_CHECKED = 64
_TOLERANCE = 1e-4


def make_report(
    config: RunConfig,
    base: Base,
    data: PreparedData,
    model: Model,
    choice: Choice,
    judged: Judged,
    warnings: Sequence[str],
    seconds: float,
    *,
    parent: Parent | None = None,
    forgetting: Forgetting | None = None,
    sections: tuple[Section, ...] = (),
) -> Report:
    """Everything that a reader of the result may want to know."""
    split = data.split
    return Report(
        title=source_name(config.data.source),
        task=dict(judged.task.as_dict()),
        created=_now(),
        candidates=judged.candidates,
        chosen=judged.chosen,
        metrics=next(c.metrics for c in judged.candidates if c.name == judged.chosen),
        advantage=judged.advantage,
        advantage_over=judged.advantage_over,
        split_sizes={
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(data.test),
        },
        split_source=data.split_source,
        data=dict(data.facts),
        notes=tuple(warnings),
        history=tuple(record.as_dict() for record in choice.tuned.history),
        method=choice.tuned.method,
        fit=_fit_facts(choice.tuned),
        contenders=tuple(asdict(contender) for contender in choice.contenders),
        confusion=confusion_matrix(judged.task, judged.targets, judged.probabilities),
        mistakes=most_confident_mistakes(
            judged.task, data.test, judged.targets, judged.probabilities
        ),
        forgetting=forgetting,
        sections=sections,
        config=portable(config),
        base={
            "id": base_name(base.id),
            "family": base.family,
            "digest": base.digest,
            "pooling": model.pooling,
            "max_length": model.max_length,
            "precision": model.precision,
            **({} if parent is None else {"lineage": _chain(parent)}),
        },
        versions=library_versions(),
        seconds=seconds,
        machine=f"{platform.system()} {platform.machine()}, {available_cores()} cores",
    )


def _fit_facts(tuned: Tuned) -> dict[str, Any]:
    """The settings that a method was trained with, as JSON values."""
    if tuned.settings is None:
        return {}
    settings = tuned.settings.facts()
    return {"method": tuned.method, **settings, "best_epoch": tuned.best_epoch}


def package(
    folder: Path,
    config: RunConfig,
    base: Base,
    data: PreparedData,
    model: Model,
    judged: Judged,
    report: Report,
    *,
    card: ModelCard,
    parent: Parent | None = None,
    distillation: dict[str, Any] | None = None,
) -> Bundle:
    """Writes the bundle, then checks that what was written answers as what was judged.

    Args:
        distillation: how a student came about; see `docs/bundle-format.md`.

    Raises:
        OutputError: the disk is full, or the folder is taken.
        BundleError: the bundle's answers differ from the trained model's.
    """
    manifest = Manifest(
        name=source_stem(config.data.source, "model"),
        created=report.created,
        task=dict(judged.task.as_dict()),
        base=BaseFacts(
            id=base_name(base.id),
            digest=base.digest,
            family=base.family,
            pooling=model.pooling,
            max_length=model.max_length,
        ),
        parent=base.parent,
        lineage=None if parent is None else parent.bundle.manifest.chain(),
        data=dict(data.facts),
        config=portable(config),
        versions=library_versions(),
        metrics=report.metrics.as_dict(),
        forgetting=None if report.forgetting is None else report.forgetting.summary(),
        distillation=distillation,
    )

    def write_parts(temporary: Path) -> None:
        (temporary / "model").mkdir()
        model.classifier.save(temporary / "model")
        if has_adapter(model.classifier):
            digest = file_digest(temporary / "model" / "model.safetensors")
            save_adapter(
                model.classifier, temporary / "adapter", base="../model", base_digest=digest
            )
        model.tokenizer.save_pretrained(str(temporary / "model"))
        report.write(temporary / "report")
        _write_golden(temporary / GOLDEN, model, judged)
        card.write(temporary)
        if config.data.keep_held_out:
            _write_held_out(temporary / HELD_OUT, data, config.seed)

    return write_bundle(
        folder, manifest, write_parts, check=lambda bundle: _check_answers(bundle, data, judged)
    )


def _write_golden(file: Path, model: Model, judged: Judged) -> None:
    inputs = golden_inputs(judged.task)
    tokens = tokenize(model.tokenizer, inputs, model.max_length)
    file.parent.mkdir()
    Golden(inputs, score(model.classifier, tokens)).write(file)


def _write_held_out(file: Path, data: PreparedData, seed: int) -> None:
    """Writes the test rows, or a sample of them that does not make the bundle large."""
    test = data.test
    size_bytes = sum(len(str(value).encode()) for column in test.columns for value in column)
    fitting = int(_HELD_OUT_BYTES / max(size_bytes / len(test), 1))
    kept = test.take(stratified_sample(test, max(1, min(_HELD_OUT_ROWS, fitting)), seed))
    write_rows(file, kept, data.facts["text"], data.facts["target"])


def _chain(parent: Parent) -> list[str]:
    """The bundles that the model came from, oldest first, for a reader."""
    chain = parent.bundle.manifest.chain()
    return [f"{one.name or 'unknown'} ({one.digest[:12]})" for one in chain]


def portable(config: RunConfig) -> dict[str, Any]:
    """The settings without the folders of this machine, which are nobody's business elsewhere."""
    values = config.model_dump(mode="json")
    values["output"] = None
    for name in ("source", "validation", "test", "corrections", "replay_from"):
        if values["data"][name]:
            values["data"][name] = source_name(values["data"][name])
    values["base"]["id"] = base_name(config.base.id)
    return values


def base_name(identifier: str) -> str:
    """A base's name without the folders of this machine."""
    return Path(identifier).name if Path(identifier).exists() else identifier


def _check_answers(bundle: Bundle, data: PreparedData, judged: Judged) -> None:
    """The loaded bundle must give the probabilities that were judged."""
    rows = min(len(data.test), _ROWS_CHECKED)
    sample = data.test.take(np.arange(rows))
    outputs: Outputs = load(bundle).outputs(sample.inputs)
    gap = np.abs(judged.task.probabilities(outputs) - judged.probabilities[:rows]).max()
    if not gap <= _TOLERANCE:
        raise BundleError(
            f"the written model's probabilities differ from the trained model's by up to {gap:.2g}",
            where=str(bundle.path),
            mend="this is a fault of Tunesmith or of a library: please report it",
        )


def library_versions() -> dict[str, str]:
    """Python and the libraries that a result depends on."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **versions}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
