"""When memory that was freed goes back to the system: at once in a server, late in training.

Only glibc's allocator is told anything; others do as they do.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["give_back", "keep_freed_memory", "keep_large_blocks_apart"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE_BYTES = 1024 * 1024
_LARGEST_BYTES = 32 * 1024 * 1024  # more is refused as what counts as large
_NEVER = -1


def keep_large_blocks_apart() -> None:
    """Has glibc map each large block by itself, so that it goes back whole when it is freed.

    By default it raises what counts as large, to 32 MiB, with each such block that is freed: after
    the first model that is gone, weights share its heaps with what requests leave behind, and the
    free memory between them stays. Does nothing where the user has set what counts as large, or
    with other allocators.

    See mallopt(3), M_MMAP_THRESHOLD.
    """
    if not _is_set_by_user("mmap_threshold"):
        _set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Within it glibc keeps what is freed, for what is asked for next; afterwards it gives it back.

    By default it returns freed memory at the end of its heap to the system. A training step takes
    and frees the same some hundred megabytes, and the system would fill every page of them with
    zeros again: 6 % of the time of a step with long texts. Does nothing where the user has set when
    memory is returned.

    See mallopt(3), M_TRIM_THRESHOLD.
    """
    if _is_set_by_user("trim_threshold") or _is_set_by_user("mmap_threshold"):
        yield
        return
    _set_option(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
    _set_option(_M_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        _set_option(_M_TRIM_THRESHOLD, 2 * _LARGEST_BYTES)  # glibc's own, after large blocks
        give_back()


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


def _is_set_by_user(option: str) -> bool:
    """Whether the environment says it, in one of glibc's two ways."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return f"MALLOC_{option.upper()}_" in os.environ or f"malloc.{option}" in tunables


def _set_option(option: int, value: int) -> None:
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(option, value)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc's allocator; None with others, which need no such help."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
