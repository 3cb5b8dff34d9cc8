"""A base that a test may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def spoilt(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of `tiny_base`."""
    return shutil.copytree(tiny_base, tmp_path / "spoilt")
