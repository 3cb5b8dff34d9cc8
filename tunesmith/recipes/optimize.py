"""The fastest runtime of this machine that gives the answers of the trained model."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.bases import available_cores, choose_device
from tunesmith.bundles import FORMAT_VERSION, Bundle, Runtimes, open_bundle, read_rows, write_bundle
from tunesmith.errors import BundleError, ConfigError, DataError
from tunesmith.optimization import (
    Parity,
    Speed,
    Tolerances,
    choose,
)
from tunesmith.recipes._candidates import Candidate, Candidates, build_candidates
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._lineage import train_rows_of
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._parity import ROWS_CHECKED, Comparison, compare
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.runtimes import REFERENCE, load
from tunesmith.storage import make_private, require_empty, require_space
from tunesmith.types import Dataset, Inputs

__all__ = ["Optimized", "optimize"]

_CALIBRATION_ROWS = 256
_TOLERANCE = 1e-4
_FEW_ROWS = 200
_DEFAULT = Tolerances()


@dataclass(frozen=True, slots=True)
class Optimized:
    """The new bundle, and what was found on the way.

    Attributes:
        bundle: holds the model as it was, and the runtimes that are kept.
        chosen: the first of them.
        parity: name → how its answers compare with the reference's.
        speed: name → how fast it is; the reference is among them.
        reasons: name → why a candidate could not be tried.
        sizes: name → bytes of its graph.
        reference: what the others are compared with.
    """

    bundle: Bundle
    chosen: str
    parity: Mapping[str, Parity]
    speed: Mapping[str, Speed]
    reasons: Mapping[str, str]
    sizes: Mapping[str, int]
    reference: str = REFERENCE

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": str(self.bundle.path),
            "version": self.bundle.version,
            "chosen": self.chosen,
            "parity": {name: own.as_dict() for name, own in self.parity.items()},
            "speed": {name: own.as_dict() for name, own in self.speed.items()},
            "reasons": dict(self.reasons),
            "size_bytes": dict(self.sizes),
        }


def optimize(
    bundle: Bundle | Path | str,
    *,
    output: Path | None = None,
    device: Literal["cpu", "gpu"] = "cpu",
    data: Path | str | None = None,
    latency_ms: float | None = None,
    tolerances: Tolerances = _DEFAULT,
    keep: Sequence[str] = (),
    max_rows: int = 2000,
    rounds: int = 5,
    seed: int = 42,
    listener: Listener | None = None,
) -> Optimized:
    """Writes a bundle that holds the fastest runtime whose answers are those of the trained model.

    Args:
        bundle: a bundle, or its folder.
        output: the new bundle's folder; None: `optimized` beside it.
        device: what to optimise for. With "gpu" torch alone is tried, in float32 and bf16.
        data: labelled rows that the answers are compared on; None: those that the bundle keeps.
        latency_ms: the most that one text may take, at the 95th percentile.
        tolerances: how far answers may be from those of torch in float32.
        keep: further candidates to keep, even such that did not pass; these are not served unless
            that is asked for by name.
        max_rows: how many rows are compared at most.
        rounds: how often each candidate's speed is measured.
        seed: of the choice of rows.

    Raises:
        BundleError: the bundle is missing or was changed.
        ConfigError: there is no GPU, no candidate of a name in `keep`, or none within `latency_ms`.
        DataError: there are no rows to compare answers on.
        OutputError: the output is taken, or the disk is full.
    """
    listener = listener or Silent()
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    final = output or _beside(opened)
    require_empty(final)
    if device == "gpu" and choose_device().type == "cpu":
        raise ConfigError("there is no GPU on this machine", where="--for gpu")
    rows, calibration = _rows(opened, data, max_rows, seed, listener)
    require_space(final, 8 * sum(file.stat().st_size for file in opened.model_path.iterdir()))
    with _work_folder(final) as folder:
        found = build_candidates(opened, folder, calibration, device, listener)
        _check_keep(keep, found)
        comparison = compare(opened, found, rows, tolerances, device, rounds, listener)
        order = _order(comparison, latency_ms)
        kept = _kept(order, keep, found)
        runtimes = _manifest(opened, found, comparison, order, kept, device, tolerances)
        written = _write(opened, final, runtimes, kept, comparison)
    return Optimized(
        bundle=written,
        chosen=order[0],
        parity=comparison.parity,
        speed=comparison.speed,
        reasons=comparison.reasons,
        sizes=comparison.sizes,
    )


@contextmanager
def _work_folder(final: Path) -> Iterator[Path]:
    """A folder for graphs on the disk that the bundle goes to; that it can be made is known first.

    Raises:
        OutputError: nothing can be written there.
    """
    folder = final.with_name(f".{final.name}.{os.getpid()}")
    make_private(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(bundle: Bundle) -> Path:
    name = bundle.path.name
    return bundle.path.with_name("optimized" if name == "bundle" else f"{name}-optimized")


def _rows(
    bundle: Bundle, data: Path | str | None, max_rows: int, seed: int, listener: Listener
) -> tuple[Dataset, Sequence[Inputs]]:
    """The rows that answers are compared on, and others that ranges are found on."""
    if data is not None:
        facts, settings = bundle.manifest.data, bundle.manifest.config["data"]
        rows = dataset_for(
            bundle.task,
            str(data),
            target=facts["target"],
            drop_missing=True,
            separator=settings["label_separator"],
        )[0].dataset
    elif (held_out := bundle.held_out()) is not None:
        rows = held_out
    else:
        raise DataError(
            "the bundle keeps no test rows to compare answers on",
            where=str(bundle.path),
            mend="give labelled rows with --data",
        )
    rows = rows.take(stratified_sample(rows, max_rows + _CALIBRATION_ROWS, seed))
    calibration = _training_rows(bundle, seed)
    if calibration is None:  # a fifth of the rows, which are then not compared
        order = np.random.default_rng(seed).permutation(len(rows))
        few = min(len(rows) // 5, _CALIBRATION_ROWS)
        calibration, rows = rows.take(order[:few]), rows.take(np.sort(order[few:]))
    rows = rows.take(stratified_sample(rows, max_rows, seed))
    if len(rows) < _FEW_ROWS:
        listener.warn(
            f"{len(rows):,} rows are few to compare answers on: give more with --data to be sure"
        )
    return rows, list(calibration.inputs)


def _training_rows(bundle: Bundle, seed: int) -> Dataset | None:
    """Some rows that the bundle was trained on, where its run still keeps them beside it."""
    facts = bundle.manifest.data
    try:
        rows = read_rows(train_rows_of(bundle), facts["text"], facts["target"])
    except DataError:  # not there, or another user's: other rows will do
        return None
    return rows.take(stratified_sample(rows, _CALIBRATION_ROWS, seed))


def _order(comparison: Comparison, latency_ms: float | None) -> list[str]:
    """What passed the gate, the best first.

    Raises:
        ConfigError: nothing is within the latency that is asked for.
    """
    passed = {
        name: speed
        for name, speed in comparison.speed.items()
        if name == REFERENCE or comparison.parity[name].verified
    }
    order = choose(passed, REFERENCE, latency_ms)
    if not order:
        quickest = min(passed, key=lambda name: passed[name].latency_p95_ms)
        raise ConfigError(
            f"nothing that gives the model's answers is within {latency_ms:g} ms: the quickest, "
            f"{quickest}, takes {passed[quickest].latency_p95_ms:.1f} ms",
            where="--latency-ms",
            mend="allow more, or train on a smaller base",
        )
    return order


def _check_keep(keep: Sequence[str], found: Candidates) -> None:
    names = [own.name for own in found.built]
    unknown = [name for name in keep if name not in names]
    if unknown:
        reason = found.reasons.get(unknown[0])
        raise ConfigError(
            f"there is no candidate {unknown[0]!r}" + (f": {reason}" if reason else ""),
            where="--keep",
            mend=f"there are {', '.join(names)}",
        )


def _kept(order: Sequence[str], keep: Sequence[str], found: Candidates) -> list[Candidate]:
    """The best, the best that needs neither torch nor an extra, and those that are asked for."""
    built = {own.name: own for own in found.built}
    portable = [name for name in order if name in built and built[name].kind == "onnx"]
    wanted = [name for name in (*order[:1], *portable[:1], *keep) if name in built]
    return [built[name] for name in dict.fromkeys(wanted)]


def _manifest(
    bundle: Bundle,
    found: Candidates,
    comparison: Comparison,
    order: Sequence[str],
    kept: Sequence[Candidate],
    device: Literal["cpu", "gpu"],
    tolerances: Tolerances,
) -> Runtimes:
    def figures(name: str) -> dict[str, Any]:
        return {
            "parity": comparison.parity[name].as_dict(),
            "speed": comparison.speed[name].as_dict(),
        }

    names = [own.name for own in kept]
    return Runtimes(
        source=bundle.manifest.digest,
        device=device,
        machine=f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        order=tuple(name for name in order if name in names or name == REFERENCE),
        kept={
            own.name: own.facts(verified=comparison.parity[own.name].verified, **figures(own.name))
            for own in kept
        },
        tried={
            **{name: figures(name) for name in comparison.parity if name not in names},
            **{name: {"reason": reason} for name, reason in comparison.reasons.items()},
        },
        reference=comparison.speed[REFERENCE].as_dict(),
        tolerances=tolerances.as_dict(),
        tokenizer=found.tokenizer,
    )


def _write(
    bundle: Bundle,
    final: Path,
    runtimes: Runtimes,
    kept: Sequence[Candidate],
    comparison: Comparison,
) -> Bundle:
    """Writes the new bundle, and checks that what was written answers as what was compared."""
    manifest = bundle.manifest.model_copy(
        update={
            "format_version": FORMAT_VERSION,
            "runtimes": runtimes,
            "files": {},
            "digest": "",
        }
    )

    def write_parts(temporary: Path) -> None:
        for name in bundle.manifest.files:
            if not name.startswith("runtimes/"):
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.path / name, temporary / name)
        for own in kept:
            if own.file is not None:
                place = temporary / "runtimes" / own.file.parent.name / own.file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(own.file, place)

    def check(whole: Bundle) -> None:
        for own in kept:
            runtime = load(whole, own.name, allow_unverified=True)
            inputs = comparison.inputs[:ROWS_CHECKED]
            found = whole.task.probabilities(runtime.outputs(inputs))
            gap = float(np.abs(found - comparison.checked[own.name]).max())
            if not gap <= _TOLERANCE:
                raise BundleError(
                    f"the written {own.name} gives other probabilities (by {gap:.2g})",
                    where=str(whole.path),
                    mend="this is a fault of Tunesmith or of a library: please report it",
                )

    return write_bundle(final, manifest, write_parts, check=check)
