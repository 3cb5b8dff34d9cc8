"""Memory of models that are gone, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from functools import cache

__all__ = ["give_back"]


def give_back() -> None:
    """Frees what only cycles hold, and returns free pages to the system.

    The allocator of glibc keeps what a model's weights took, in pieces that the next model's do
    not fit into: a server that switches versions all day would need the memory of several models
    for one. Takes some tens of milliseconds, mostly without the interpreter's lock.
    """
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None with other allocators, which need no such help."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
