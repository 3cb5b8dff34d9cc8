"""Made-up test rows, and answers of models whose faults are known."""

from __future__ import annotations

import numpy as np

from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Dataset

ONE = TextClassification((Field("text"),), ("a", "b", "c"))
SEVERAL = MultiLabelClassification((Field("text"),), ("a", "b", "c"))
WORDS = [f"w{number}" for number in range(200)]
_SHARES = 1 / np.arange(1, len(WORDS) + 1)


def random_texts(generator, num_rows):
    """Texts of words of which some are common and most are rare, as in a language."""
    shares = _SHARES / _SHARES.sum()
    return [
        " ".join(generator.choice(WORDS, generator.integers(3, 12), p=shares))
        for _ in range(num_rows)
    ]


def dataset_of(texts, targets=None):
    named = None if targets is None else [ONE.labels[place] for place in targets]
    return Dataset((texts,), named, np.arange(1, len(texts) + 1), "x.csv")


def answers(targets, wrong, sure=0.8):
    """Probabilities of a model that is wrong where it is said to be."""
    given = np.where(wrong, (targets + 1) % 3, targets)
    return np.eye(3)[given] * sure + (1 - sure) / 3
