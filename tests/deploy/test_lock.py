"""What the image installs: all that the server needs, pinned, and nothing that trains."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .manifests import ROOT

HEAVY = {"accelerate", "onnx", "pandas", "peft", "pyarrow", "scikit-learn", "scipy", "sympy",
         "torch", "transformers"}  # fmt: skip


def pins(name: str) -> dict[str, str]:
    lines = Path(ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_nothing_that_trains_is_in_it() -> None:
    assert not HEAVY & set(pins("serve"))


def test_all_that_the_extra_names_is_in_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["serve"]]:
        wanted = Requirement(line)
        assert pins("serve")[canonicalize_name(wanted.name)] in wanted.specifier


def test_its_versions_are_those_that_are_tested() -> None:
    assert pins("serve").items() <= pins("runtime").items()
