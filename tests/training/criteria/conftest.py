"""A tiny model with a head that says something, and rows with one label and with several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.bases import Classifier
from tunesmith.training import Rows


@pytest.fixture
def model(make_model: Callable[..., Classifier]) -> Classifier:
    torch.manual_seed(0)
    made = make_model()
    nn.init.normal_(made.head.weight)
    return made


@pytest.fixture(scope="session")
def several(train: Rows) -> Rows:
    """The rows of `train` with one or two of three labels each, and a few with none."""
    targets = np.eye(3, dtype=np.float32)[train.targets.astype(np.int64)]
    targets[::3, 0] = 1.0
    targets[::11] = 0.0
    return Rows(train.tokens, targets)
