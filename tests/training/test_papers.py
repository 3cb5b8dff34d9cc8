"""Whatever is chosen by name has its paper, in the code and for the reader."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from tunesmith.bases import ADAPTERS, _adapter_kinds, train_only
from tunesmith.config import Loss, Method, Optimizer, Schedule
from tunesmith.training import _averaging
from tunesmith.training.criteria import Contrastive, Supervised, _losses, balanced_weights
from tunesmith.training.optimizers import _build, _groups, _muon, rate_at

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
NAMES = {name for kind in (Method, Optimizer, Schedule, Loss) for name in get_args(kind)}
YEAR = re.compile(r"[A-Z]\w+.* (19|20)\d\d\b", re.DOTALL)
NO_PAPER = {"constant", "likelihood"}
MADE_BY = {**_build._MAKERS, "muon": _muon.MuonWithAdamW}
OTHERS = (
    _losses.focal_losses, _losses.robust_losses, _losses.row_losses, Supervised, Contrastive,
    balanced_weights, rate_at, _groups.rate_scales, _averaging.WeightAverage, _averaging.Soup,
    train_only,
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_page_names_the_paper(name: str) -> None:
    [row] = re.findall(rf"^\| `{re.escape(name)}` \|.*$", PAGE, re.MULTILINE)
    assert name in NO_PAPER or YEAR.search(row)


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_each_optimiser_has_a_docstring_with_its_paper(name: Optimizer) -> None:
    assert YEAR.search(MADE_BY[name].__doc__ or "")


@pytest.mark.parametrize("name", ADAPTERS)
def test_each_adapter_has_its_paper_beside_it(name: str) -> None:
    [row] = re.findall(rf"^\| {name} \|.*$", _adapter_kinds.__doc__ or "", re.MULTILINE)
    assert YEAR.search(row)
    assert row.removeprefix(f"| {name} ") in PAGE


@pytest.mark.parametrize("thing", OTHERS, ids=lambda thing: thing.__name__)
def test_what_else_is_from_a_paper_says_so(thing: Callable[..., object]) -> None:
    assert YEAR.search(thing.__doc__ or "")
