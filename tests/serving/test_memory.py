"""Memory that is freed goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from pathlib import Path

import pytest

from tunesmith.serving._memory import give_back


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pages_below_what_is_still_used_are_returned() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("another allocator than glibc's")
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    size, num = 64 * 1024, 2000  # pieces that do not come from mmap by themselves
    pieces = [libc.malloc(size) for _ in range(num)]
    for piece in pieces:
        ctypes.memset(piece, 1, size)
    for piece in pieces[:-1]:  # the last one keeps the heap from being cut at its end
        libc.free(piece)
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > size * num // 2
    libc.free(pieces[-1])


def test_what_only_a_cycle_holds_is_freed() -> None:
    class Model:
        pass

    model = Model()
    model.itself = model  # type: ignore[attr-defined]
    gone = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.enable()
