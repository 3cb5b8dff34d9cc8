"""What this machine can do: its device, and which precision is faster on it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from typing import Literal

import torch

from tunesmith.bases._classifier import DTYPES, Precision
from tunesmith.bases._cores import available_cores

__all__ = [
    "choose_device",
    "choose_precision",
    "device_name",
    "matrix_rate",
    "matrix_rates",
    "set_threads",
]

_MIN_GAIN = 1.2
_NUM_ROUNDS = 3
_ROWS, _FEW_ROWS = 512, 8
_EMULATED_S = 0.5  # a tenth of that is much for 2.4 · 10⁹ operations by instructions


def set_threads(threads: int | None) -> int:
    """Gives torch `threads` threads, or as many as there are cores; returns how many.

    Fewer where OMP_NUM_THREADS says so. Processes that torchrun started on this machine share its
    cores; it sets the variable by itself, to 1, so that it says nothing there.
    """
    cores = available_cores()
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if sharing == 1:
        wanted = os.environ.get("OMP_NUM_THREADS", "")
        cores = min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) else cores
    chosen = threads or max(1, cores // sharing)
    torch.set_num_threads(chosen)
    return chosen


def choose_device() -> torch.device:
    """The GPU where there is one, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_name(device: torch.device) -> str | None:
    """What the GPU is called; None for the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return None if device.type == "cpu" else f"{device.type} of this processor"


def matrix_rate(precision: Precision, device: torch.device, *, seconds: float = 0.05) -> float:
    """Floating-point operations a second in a matrix product as a layer has it.

    A product of [512, 768] by [768, 3072], repeated for about `seconds`; the median counts. Where
    the processor emulates the precision, one such product may take a second: then of [8, 768],
    whose rate is the same there.
    """
    dtype = DTYPES[precision]
    left = torch.rand(_ROWS, 768, device=device).to(dtype)
    right = torch.rand(768, 3072, device=device).to(dtype)

    def seconds_of(rows: torch.Tensor) -> float:
        start = time.perf_counter()
        rows @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    few = left[:_FEW_ROWS]
    seconds_of(few)  # the first one sets up
    if min(seconds_of(few), seconds_of(few)) * _ROWS / _FEW_ROWS > _EMULATED_S:
        left = few
    else:
        seconds_of(left)
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < deadline:
        times.append(seconds_of(left))
    return 2 * len(left) * right.numel() / statistics.median(times)


def matrix_rates(device: torch.device) -> dict[Precision, float]:
    """The rate of each precision: medians of three measurements, taken in turn.

    A shared machine is now fast, now slow; in turn, all see the same of it. fp16, whose range is
    small, is among them on GPUs that have no bf16.
    """
    names: list[Precision] = ["fp32", "bf16"]
    if _lacks_bf16(device):
        names.append("fp16")
    rounds = [{name: matrix_rate(name, device) for name in names} for _ in range(_NUM_ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in names}


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16", "fp16"],
    device: torch.device,
    rates: Mapping[Precision, float] | None = None,
) -> tuple[Precision, str]:
    """The precision of the base's layers while training, and why.

    Processors without bf16 instructions emulate it, slower than fp32: so it is measured. GPUs
    before Ampere emulate it too, and compute in fp16.

    Args:
        rates: of `matrix_rates`, where they were measured already.
    """
    if wanted != "auto":
        return wanted, "as set"
    rates = rates or matrix_rates(device)
    half: Precision = "fp16" if "fp16" in rates else "bf16"
    gain = rates[half] / rates["fp32"]
    chosen: Precision = half if gain >= _MIN_GAIN else "fp32"
    return chosen, f"{half} runs at {gain:.2g} × the rate of fp32 on this machine"


def _lacks_bf16(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    return not torch.cuda.is_bf16_supported(including_emulation=False)
