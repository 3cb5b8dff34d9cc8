"""Memory that is freed goes back to the system, or is kept for what comes next."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from tunesmith.memory import give_back

_LIBC = """
import ctypes

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Info
"""
_SECOND_BLOCK = """
from tunesmith.memory import keep_large_blocks_apart

keep_large_blocks_apart()
libc.free(libc.malloc(16 << 20))
before = libc.mallinfo2().hblks
libc.malloc(4 << 20)
print(libc.mallinfo2().hblks - before)
"""
"""Prints 1 where glibc maps a block by itself though a larger one was freed before."""

_FREED_BLOCKS = """
from tunesmith.memory import keep_freed_memory

def heap_after_200_mb():
    for block in [libc.malloc(1 << 20) for _ in range(200)]:
        libc.free(block)
    return libc.mallinfo2().arena >> 20

with keep_freed_memory():
    within = heap_after_200_mb()
print(within >= 200, libc.mallinfo2().arena >> 20 < 100, heap_after_200_mb() < 100)
"""
"""Prints whether the heap keeps what is freed within; whether it has given it back after that; and
whether it keeps no more of what is freed later."""


WITH_MALLINFO = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="another allocator, or an older glibc",
)


def printed_by(script: str, environment: dict[str, str]) -> str:
    """What a process prints that begins with `_LIBC`, without the user's own allocator settings."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    done = subprocess.run(
        [sys.executable, "-c", _LIBC + script],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


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


@WITH_MALLINFO
@pytest.mark.parametrize(
    ("set_by_the_user", "is_apart"),
    [
        ({}, True),
        ({"MALLOC_MMAP_THRESHOLD_": "33554432"}, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432"}, False),
    ],
)
def test_large_blocks_stay_apart_unless_the_user_says_otherwise(
    set_by_the_user: dict[str, str], is_apart: bool
) -> None:
    assert printed_by(_SECOND_BLOCK, set_by_the_user) == str(int(is_apart))


@WITH_MALLINFO
@pytest.mark.parametrize(
    ("set_by_the_user", "expected"),
    [
        ({}, "True True True"),
        ({"MALLOC_TRIM_THRESHOLD_": "131072"}, "False True True"),
        ({"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}, "False True True"),
    ],
)
def test_freed_memory_is_kept_for_a_while_unless_the_user_says_otherwise(
    set_by_the_user: dict[str, str], expected: str
) -> None:
    assert printed_by(_FREED_BLOCKS, set_by_the_user) == expected


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
