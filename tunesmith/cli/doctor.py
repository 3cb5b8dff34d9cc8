"""`tunesmith doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

from tunesmith.cli._options import AsJson

_EXTRAS = {
    "train": ("torch", "transformers", "accelerate", "sklearn", "pyarrow"),
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
}


def doctor(as_json: AsJson = False) -> None:
    """Show what this machine offers, measured: cores, matrix rates, GPU, extras, caches.

    Example: tunesmith doctor
    """
    from tunesmith.cli._output import facts_table, out, print_json

    facts = _examine()
    if as_json:
        print_json(facts)
        return
    rates = facts["matrix_rate_gflops"]
    out.print(
        facts_table(
            [
                ("tunesmith", facts["tunesmith"]),
                ("python", f"{facts['python']} on {facts['system']}"),
                ("cores", f"{facts['cores']} usable"),
                ("memory", f"{facts['memory_gb']:.1f} GB"),
                ("instructions", " ".join(facts["instructions"]) or "unknown"),
                ("GPU", facts["gpu"] or "none"),
                *[(f"{name} matrix rate", f"{rate:,.0f} GFLOP/s") for name, rate in rates.items()],
                ("training in", facts["precision"] or "torch is not installed"),
                *[
                    (f"[{extra}]", "installed" if not missing else f"missing: {', '.join(missing)}")
                    for extra, missing in facts["extras_missing"].items()
                ],
                *[(f"{name} cache", place) for name, place in facts["caches"].items()],
            ]
        )
    )


def _examine() -> dict[str, Any]:
    import psutil

    missing = {
        extra: [name for name in names if importlib.util.find_spec(name) is None]
        for extra, names in _EXTRAS.items()
    }
    facts: dict[str, Any] = {
        "tunesmith": importlib.metadata.version("tunesmith"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gb": psutil.virtual_memory().total / 1e9,
        "instructions": _instructions(),
        "gpu": None,
        "matrix_rate_gflops": {},
        "precision": None,
        "extras_missing": missing,
        "caches": {
            "hub": os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface"),
            "temporary files": tempfile.gettempdir(),
        },
    }
    if not missing["train"]:
        facts |= _measure()
    return facts


def _measure() -> dict[str, Any]:
    import torch

    from tunesmith import bases

    device = bases.choose_device()
    bases.set_threads(None)
    rates = {
        "fp32": bases.matrix_rate("fp32", device) / 1e9,
        "bf16": bases.matrix_rate("bf16", device) / 1e9,
    }
    precision, why = bases.choose_precision("auto", device)
    return {
        "cores": bases.available_cores(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "matrix_rate_gflops": rates,
        "precision": f"{precision}: {why}",
    }


def _instructions() -> list[str]:
    """The vector instructions that decide how fast a model runs, where the system tells."""
    intel = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
    arm = ("bf16", "i8mm")
    processors = Path("/proc/cpuinfo")
    if not processors.is_file():
        return []
    words = set(processors.read_text(encoding="utf-8", errors="replace").split())
    return [name for name in (*intel, *arm) if name in words]
