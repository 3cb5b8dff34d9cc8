"""The training examples nearest to a text."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from tunesmith.explanation import nearest_examples
from tunesmith.types import Dataset

GENERATOR = np.random.default_rng(0)
OURS = GENERATOR.normal(size=(3, 8)).astype(np.float32)
THEIRS = GENERATOR.normal(size=(20, 8)).astype(np.float32)
EXAMPLES = Dataset(
    ([f"text {place} of ann@example.org" for place in range(20)],),
    [f"label {place}" for place in range(20)],
    np.arange(1, 21),
)


def test_they_are_the_nearest_by_cosine() -> None:
    expected = cosine_similarity(OURS, THEIRS)
    for row, found in zip(expected, nearest_examples(OURS, EXAMPLES, THEIRS, 4), strict=True):
        order = np.argsort(-row)[:4]
        assert [one.row for one in found] == [place + 1 for place in order]
        assert [one.target for one in found] == [f"label {place}" for place in order]
        assert [one.similarity for one in found] == pytest.approx(row[order].tolist(), abs=1e-5)


def test_personal_data_is_masked_and_few_examples_are_enough() -> None:
    (found, *_) = nearest_examples(OURS, EXAMPLES.take([0, 1]), THEIRS[:2], 9)
    assert len(found) == 2
    assert all("ann@example.org" not in one.inputs[0] for one in found)
    assert found[0].as_dict()["similarity"] <= 1.0
