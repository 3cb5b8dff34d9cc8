"""Wrong labels and outliers, on features in which the truth is plain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tunesmith.checks import Subject, check_outliers, check_suspected_labels
from tunesmith.data import Table

ROWS = 240


@pytest.fixture
def features() -> np.ndarray:
    generator = np.random.default_rng(0)
    centres = np.eye(3, 16, dtype=np.float32)
    return centres[np.arange(ROWS) % 3] + generator.normal(0, 0.15, (ROWS, 16)).astype(np.float32)


def subject(labels: list[str | None]) -> Subject:
    texts = [f"text number {n}" for n in range(len(labels))]
    return Subject(Table(pa.table({"text": texts, "label": labels}), "rows"), ("text",), "label")


def test_planted_errors_are_found_with_the_label_that_is_right(features: np.ndarray) -> None:
    labels: list[str | None] = ["abc"[n % 3] for n in range(ROWS)]
    planted = [10, 50, 120, 200]
    for place in planted:
        labels[place] = "abc"[(place + 1) % 3]
    (found,) = check_suspected_labels(subject(labels), np.arange(ROWS), features)
    assert found.rows.tolist() == [place + 1 for place in planted]
    assert {one["row"]: one["suggested"] for one in found.details} == {
        place + 1: "abc"[place % 3] for place in planted
    }


def test_right_labels_are_let_pass_and_few_rows_are_not_judged(features: np.ndarray) -> None:
    labels: list[str | None] = ["abc"[n % 3] for n in range(ROWS)]
    assert not list(check_suspected_labels(subject(labels), np.arange(ROWS), features))
    few = subject(labels[:20])
    assert not list(check_suspected_labels(few, np.arange(20), features[:20]))


def test_a_text_unlike_all_others_is_found(features: np.ndarray) -> None:
    features[33] = -5.0
    labels: list[str | None] = ["abc"[n % 3] for n in range(ROWS)]
    (found,) = check_outliers(subject(labels), np.arange(ROWS), features)
    assert 34 in found.rows.tolist()
    assert len(found.rows) <= 2


def test_a_small_file_has_outliers_too_and_one_without_has_hardly_any(
    features: np.ndarray,
) -> None:
    labels: list[str | None] = ["abc"[n % 3] for n in range(60)]
    few = features[:60].copy()
    assert not list(check_outliers(subject(labels), np.arange(60), few))
    few[33] = -5.0
    (found,) = check_outliers(subject(labels), np.arange(60), few)
    assert found.rows.tolist() == [34]
