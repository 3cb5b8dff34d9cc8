"""A tiny model and rows that it can learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny import TOPICS, tiny_rows

from tunesmith.bases import Classifier, new_classifier
from tunesmith.training import Rows


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_model(tiny_base: Path) -> Callable[..., Classifier]:
    """Opens `tiny_base` afresh, with a head of three labels and frozen embeddings."""

    def make(dropout: float = 0.0, *, freeze: bool = True) -> Classifier:
        model = new_classifier(tiny_base, "mean", len(TOPICS), dropout=dropout)
        model.freeze_unused(embeddings=freeze)
        return model

    return make


@pytest.fixture(scope="session")
def train(tiny_base: Path) -> Rows:
    """44 rows: in batches of 8, six steps an epoch, the last one of them smaller."""
    return tiny_rows(tiny_base, 44, seed=0)


@pytest.fixture(scope="session")
def validation(tiny_base: Path) -> Rows:
    return tiny_rows(tiny_base, 21, seed=1)
