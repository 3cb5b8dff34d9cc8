"""What this machine offers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tunesmith import recipes


def test_a_machine_with_everything() -> None:
    machine = recipes.examine()
    assert machine.cores >= 1
    assert machine.precision in ("fp32", "bf16")
    assert machine.matrix_rate_gflops.keys() == {"fp32", "bf16"}
    assert all(rate > 0.1 for rate in machine.matrix_rate_gflops.values())
    assert machine.extras_missing == {"train": (), "serve": ()}
    assert json.loads(json.dumps(machine.as_dict()))["python"] == machine.python


def test_a_machine_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    machine = recipes.examine()
    assert machine.extras_missing == {"train": ("torch",), "serve": ("fastapi",)}
    assert (machine.precision, machine.precision_reason) == (None, "torch is not installed")
    assert machine.matrix_rate_gflops == {}
    assert machine.cores >= 1


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, Path("~/.cache/huggingface/hub").expanduser()),
        ({"XDG_CACHE_HOME": "/caches"}, Path("/caches/huggingface/hub")),
        ({"HF_HOME": "/hf", "XDG_CACHE_HOME": "/caches"}, Path("/hf/hub")),
        ({"HF_HUB_CACHE": "/hub", "HF_HOME": "/hf"}, Path("/hub")),
    ],
)
def test_where_the_hub_cache_lies(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], place: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert recipes.examine().caches["hub"] == str(place)
