"""What the image installs: all that the server needs, pinned, and nothing that trains."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .manifests import ROOT

HEAVY = {"accelerate", "onnx", "pandas", "peft", "pyarrow", "scikit-learn", "scipy", "sympy",
         "torch", "transformers"}  # fmt: skip


EXTRAS = ("grpc", "otel", "sign")


def pins(name: str) -> dict[str, str]:
    lines = Path(ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("lock", ["serve", *(f"serve-{extra}" for extra in EXTRAS)])
def test_nothing_that_trains_is_in_it(lock: str) -> None:
    assert not HEAVY & set(pins(lock))


@pytest.mark.parametrize("extra", ["serve", *EXTRAS])
def test_all_that_the_extra_names_is_in_it(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = pins("serve") | (pins(f"serve-{extra}") if extra in EXTRAS else {})
    for line in [*project["dependencies"], *project["optional-dependencies"][extra]]:
        wanted = Requirement(line)
        assert found[canonicalize_name(wanted.name)] in wanted.specifier


def test_its_versions_are_those_that_are_tested() -> None:
    assert pins("serve").items() <= pins("runtime").items()
    tested = pins("runtime") | pins("dev")
    for extra in EXTRAS:
        added = pins(f"serve-{extra}")
        assert added.items() <= tested.items()
        assert not set(added) & set(pins("serve")), "what the server has anyway"
