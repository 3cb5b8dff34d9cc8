"""A tiny model and rows that it can learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TOPICS, labelled_rows

from tunesmith.bases import Classifier, TokenizedDataset, load_tokenizer, new_classifier, tokenize
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


def rows_of(base: Path, num_rows: int, seed: int) -> Rows:
    labelled = labelled_rows(num_rows, seed)
    tokens: TokenizedDataset = tokenize(load_tokenizer(base), [(text,) for text, _ in labelled], 64)
    return Rows(tokens, np.array([list(TOPICS).index(topic) for _, topic in labelled]))


@pytest.fixture(scope="session")
def train(tiny_base: Path) -> Rows:
    """44 rows: in batches of 8, six steps an epoch, the last one of them smaller."""
    return rows_of(tiny_base, 44, seed=0)


@pytest.fixture(scope="session")
def validation(tiny_base: Path) -> Rows:
    return rows_of(tiny_base, 21, seed=1)
