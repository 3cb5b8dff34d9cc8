"""What this machine offers, measured; works where only a part of Tunesmith is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Machine", "examine", "missing_packages"]

_EXTRAS = {
    "train": ("torch", "transformers", "accelerate", "peft", "optuna", "sklearn", "pyarrow"),
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
}
_INSTRUCTIONS = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8"),
    *("bf16", "i8mm"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, and what of Tunesmith is installed on it.

    Attributes:
        tunesmith, python, system: versions, and the kind of machine.
        cores: those that this process may use.
        memory_gb: main memory, in 10⁹ bytes.
        instructions: the vector instructions that decide how fast a model runs, where the system
            tells.
        gpu: its name; None where there is none, or torch is not installed.
        matrix_rate_gflops: precision → 10⁹ operations a second, measured; empty without torch.
        precision: in what training computes; None without torch. `precision_reason` says why.
        extras_missing: extra → the packages of it that are not installed.
        caches: what lies on the disk → where.
    """

    tunesmith: str
    python: str
    system: str
    cores: int
    memory_gb: float
    instructions: tuple[str, ...]
    gpu: str | None
    matrix_rate_gflops: Mapping[str, float]
    precision: str | None
    precision_reason: str
    extras_missing: Mapping[str, tuple[str, ...]]
    caches: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> Machine:
    """Looks at this machine, and measures it for about a second where torch is installed."""
    import psutil

    facts: dict[str, Any] = {
        "cores": os.cpu_count() or 1,
        "gpu": None,
        "matrix_rate_gflops": {},
        "precision": None,
        "precision_reason": "torch is not installed",
    }
    if not missing_packages("train"):
        facts = _measured()
    return Machine(
        tunesmith=importlib.metadata.version("tunesmith"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        instructions=_instructions(),
        extras_missing={extra: missing_packages(extra) for extra in _EXTRAS},
        caches={
            "hub": str(_hub_cache()),
            "token ids": _token_cache(),
            "temporary files": tempfile.gettempdir(),
        },
        **facts,
    )


def missing_packages(extra: str) -> tuple[str, ...]:
    """The packages of the extra, "train" or "serve", that are not installed."""
    return tuple(name for name in _EXTRAS[extra] if importlib.util.find_spec(name) is None)


def _measured() -> dict[str, Any]:
    from tunesmith import bases

    device = bases.choose_device()
    bases.set_threads(None)
    rates = bases.matrix_rates(device)
    precision, reason = bases.choose_precision("auto", device, rates)
    return {
        "cores": bases.available_cores(),
        "gpu": bases.device_name(device),
        "matrix_rate_gflops": {name: rate / 1e9 for name, rate in rates.items()},
        "precision": precision,
        "precision_reason": reason,
    }


def _instructions() -> tuple[str, ...]:
    processors = Path("/proc/cpuinfo")
    if not processors.is_file():
        return ()
    words = set(processors.read_text(encoding="utf-8", errors="replace").split())
    return tuple(name for name in _INSTRUCTIONS if name in words)


def _token_cache() -> str:
    from tunesmith.bases import TokenCache

    cache = TokenCache.of_user()
    size_bytes = sum(entry.size_bytes for entry in cache.entries())
    return f"{cache.folder} ({size_bytes / 1e6:,.0f} MB)"


def _hub_cache() -> Path:
    """Where `huggingface_hub` keeps what it gets; read as it does, for it may not be installed."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    general = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else general / "huggingface") / "hub"
