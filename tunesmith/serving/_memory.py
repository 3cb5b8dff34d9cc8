"""Memory of models that are gone goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable
from functools import cache

__all__ = ["give_back", "keep_large_blocks_apart"]

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BYTES = 1024 * 1024


def keep_large_blocks_apart() -> None:
    """Has glibc map each large block by itself, so that it goes back whole when it is freed.

    By default it raises what counts as large, to 32 MiB, with each such block that is freed: after
    the first model that is gone, weights share its heaps with what requests leave behind, and the
    free memory between them stays. Does nothing where the user has set what counts as large, or
    with other allocators.

    See mallopt(3), M_MMAP_THRESHOLD.
    """
    is_set = "MALLOC_MMAP_THRESHOLD_" in os.environ
    if not is_set and "malloc.mmap_threshold" not in os.environ.get("GLIBC_TUNABLES", ""):
        set_option = _of_glibc("mallopt")
        if set_option is not None:
            set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def give_back() -> None:
    """Frees what only cycles hold, and returns free pages to the system.

    The allocator of glibc keeps what a model's weights took, in pieces that the next model's do
    not fit into: a server that switches versions all day would need the memory of several models
    for one. Takes some tens of milliseconds, mostly without the interpreter's lock.
    """
    gc.collect()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc's allocator; None with others, which need no such help."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
