"""How much energy a run takes: measured where the processor counts it, else reckoned."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tunesmith.bases import available_cores, choose_device, device_name

__all__ = ["EnergyMeter"]

_COUNTERS = Path("/sys/class/powercap")
_WATTS_A_CORE, _WATTS_A_GPU = 12.0, 300.0


class EnergyMeter:
    """Reads the processor's energy counters (RAPL) from now on, where they may be read.

    They count all that the processor does, other programs' work among it.
    """

    def __init__(self, folder: Path = _COUNTERS) -> None:
        self._folder = folder
        self._started = time.monotonic()
        self._before = self._read()

    def watt_hours(self, seconds: float, watts: float | None) -> tuple[float, str]:
        """The energy since the meter was made, and how that is known.

        Args:
            seconds: wall time to reckon with where nothing was measured.
            watts: what the machine draws, where the user knows it.
        """
        if watts is not None:
            return seconds * watts / 3600, f"reckoned at {watts:g} W, as set"
        is_cpu = choose_device().type == "cpu"
        joules = self._joules() if is_cpu else None
        if joules is not None:
            return joules / 3600, "measured by the processor's own counters (RAPL)"
        cores = available_cores()
        draw, at = cores * _WATTS_A_CORE, f"{cores} cores at {_WATTS_A_CORE:g} W"
        if not is_cpu:
            draw += _WATTS_A_GPU
            at += f" and {device_name(choose_device())} at {_WATTS_A_GPU:g} W"
        return seconds * draw / 3600, f"an estimate: {at}, all of the time"

    def _joules(self) -> float | None:
        after, total = self._read(), 0.0
        if not self._before or after.keys() != self._before.keys():
            return None
        for name, (value, limit) in after.items():
            used = value - self._before[name][0]
            # A counter begins anew every some minutes; how often cannot be told of a long run.
            if (time.monotonic() - self._started) * 200e6 > limit:
                return None
            total += used if used >= 0 else used + limit
        return total / 1e6

    def _read(self) -> dict[str, tuple[int, int]]:
        """Package → its counter and where that begins anew, in microjoules."""
        found: dict[str, tuple[int, int]] = {}
        for package in sorted(self._folder.glob("intel-rapl:?")):
            with contextlib.suppress(OSError, ValueError):
                values = [
                    int((package / name).read_text(encoding="ascii"))
                    for name in ("energy_uj", "max_energy_range_uj")
                ]
                found[package.name] = (values[0], values[1])
        return found
