"""What the processor can do, as far as answers depend on it."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

__all__ = ["INT8_DOT", "instructions"]

INT8_DOT = "int8-dot"
"""Products of bytes that are added up in 32 bits (AVX-VNNI, ARM's dot product). Older x86
processors add two of them up in 16 bits, which overflows."""


@cache
def instructions() -> frozenset[str]:
    """The instructions of this processor that a runtime may need; empty where it is not known."""
    if platform.machine() in ("arm64", "aarch64"):
        return frozenset({INT8_DOT})
    file = Path("/proc/cpuinfo")
    flags = (
        set(file.read_text(encoding="utf-8", errors="replace").split()) if file.is_file() else ()
    )
    return frozenset({INT8_DOT} if {"avx512_vnni", "avx_vnni"} & set(flags) else ())
