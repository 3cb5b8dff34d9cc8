"""The Python API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tunesmith import recipes
from tunesmith.errors import DataError


def test_settings_survive_arguments_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(recipes, "train", lambda config, _listener: seen.append(config))
    tunesmith.train("rows.csv", settings={"seed": 7, "training.method": "probe"}, epochs=2)
    assert (seen[0].seed, seen[0].training.method, seen[0].training.epochs) == (7, "probe", 2)


def test_one_bare_text_is_refused(tiny_bundle: Any) -> None:
    path = getattr(tiny_bundle, "path", tiny_bundle)
    with pytest.raises(DataError, match="list of texts"):
        tunesmith.load(Path(path)).predict("a text")
