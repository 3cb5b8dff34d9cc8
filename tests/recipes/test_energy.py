"""Energy: counters where there are any, else a stated assumption."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.recipes._energy import EnergyMeter


def counter(folder: Path, package: int, value: int, limit: int = 10**12) -> None:
    own = folder / f"intel-rapl:{package}"
    own.mkdir(exist_ok=True)
    (own / "energy_uj").write_text(f"{value}\n")
    (own / "max_energy_range_uj").write_text(f"{limit}\n")


def test_what_the_counters_say(tmp_path: Path) -> None:
    counter(tmp_path, 0, 1_000_000)
    counter(tmp_path, 1, 10**12 - 1_000_000)
    meter = EnergyMeter(tmp_path)
    counter(tmp_path, 0, 3_600_000_000 + 1_000_000)
    counter(tmp_path, 1, 2_000_000)  # began anew
    found, how = meter.watt_hours(10.0, None)
    assert found == pytest.approx(1 + 3 / 3600)
    assert "RAPL" in how
    assert meter.watt_hours(3600.0, 50.0) == (50.0, "reckoned at 50 W, as set")


def test_what_is_reckoned_without_them(tmp_path: Path) -> None:
    counter(tmp_path, 0, 5, limit=10)  # begins anew too often to tell anything
    for meter in (EnergyMeter(tmp_path), EnergyMeter(tmp_path / "absent")):
        found, how = meter.watt_hours(3600.0, None)
        assert found >= 12
        assert how.startswith("an estimate: ")
