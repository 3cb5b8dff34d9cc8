"""The bundle that `optimize` writes: the model as it was, and the runtimes that are kept."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunesmith.bases import available_cores
from tunesmith.bundles import FORMAT_VERSION, Bundle, Runtimes, write_bundle
from tunesmith.errors import BundleError
from tunesmith.optimization import Tolerances
from tunesmith.recipes._candidates import Candidate, Candidates
from tunesmith.recipes._parity import ROWS_CHECKED, Comparison
from tunesmith.runtimes import REFERENCE, load

__all__ = ["write_optimized"]

_TOLERANCE = 1e-4


def write_optimized(
    bundle: Bundle,
    final: Path,
    found: Candidates,
    comparison: Comparison,
    order: Sequence[str],
    keep: Sequence[str],
    device: Literal["cpu", "gpu"],
    tolerances: Tolerances,
) -> Bundle:
    """Writes it, and checks that what was written answers as what was compared.

    Args:
        order: what passed the gate, the best first.
        keep: further candidates to keep, whatever the gate says.

    Raises:
        OutputError: the output is taken, or the disk is full.
        BundleError: what was written answers otherwise.
    """
    kept = _kept(order, keep, found)
    runtimes = _manifest(bundle, found, comparison, order, kept, device, tolerances)
    return _write(bundle, final, runtimes, kept, comparison)


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
