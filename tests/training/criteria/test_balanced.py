"""Batches by label: labels equally often, rows as often as each other, reproducible."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.training.criteria._balanced import balanced_batches

SEEDS = st.integers(0, 2**32 - 1)
ONE_LABEL = st.lists(st.integers(0, 9), min_size=1, max_size=200).map(np.array)
SEVERAL = st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=60).map(
    lambda rows: np.array([[float(i in row) for i in range(5)] for row in rows], np.float32)
)


@settings(max_examples=60, deadline=None)
@given(ONE_LABEL | SEVERAL, st.integers(2, 40), st.integers(1, 9), SEEDS, st.integers(0, 9))
def test_batches_hold_different_rows_and_are_reproducible(
    targets: NDArray[np.int64], batch_size: int, rows_a_label: int, seed: int, epoch: int
) -> None:
    batches = balanced_batches(targets, batch_size, rows_a_label, seed=seed, epoch=epoch)
    again = balanced_batches(targets, batch_size, rows_a_label, seed=seed, epoch=epoch)
    assert all(map(np.array_equal, batches, again))
    other = balanced_batches(targets, batch_size, rows_a_label, seed=seed, epoch=epoch + 1)
    assert len(other) == len(batches)
    for batch in batches:
        assert batch.dtype == np.int64
        assert 1 <= len(batch) <= batch_size
        assert len(set(batch.tolist())) == len(batch)
        assert set(batch.tolist()) <= set(range(len(targets)))


@settings(max_examples=60, deadline=None)
@given(ONE_LABEL, st.integers(8, 40), SEEDS)
def test_labels_come_equally_often(targets: NDArray[np.int64], batch_size: int, seed: int) -> None:
    times: Counter[int] = Counter(dict.fromkeys(np.unique(targets).tolist(), 0))
    for batch in balanced_batches(targets, batch_size, 4, seed=seed, epoch=0):
        times.update(np.unique(targets[batch]).tolist())
    assert max(times.values()) - min(times.values()) <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(8, 40), SEEDS)
def test_of_labels_with_equally_many_rows_all_rows_come_about_once(
    num_labels: int, num_rows: int, batch_size: int, seed: int
) -> None:
    targets = np.repeat(np.arange(num_labels), num_rows)
    batches = balanced_batches(targets, batch_size, 4, seed=seed, epoch=0)
    times = np.bincount(np.concatenate(batches), minlength=len(targets))
    for label in range(num_labels):
        assert np.ptp(times[targets == label]) <= 1
    assert len(targets) <= times.sum() < max(len(targets) + batch_size, 4 * batch_size + 1)


def test_an_epoch_of_few_rows_has_four_batches() -> None:
    assert len(balanced_batches(np.repeat(np.arange(2), 8), 16, 4, seed=0, epoch=0)) == 4


def test_a_batch_has_so_many_rows_of_each_of_its_labels() -> None:
    targets = np.repeat(np.arange(20), 10)
    for batch in balanced_batches(targets, 32, 4, seed=0, epoch=0):
        assert np.unique(targets[batch], return_counts=True)[1].tolist() == [4] * 8


def test_few_labels_fill_the_batch() -> None:
    targets = np.repeat(np.arange(2), 50)
    for batch in balanced_batches(targets, 32, 4, seed=0, epoch=0):
        assert np.bincount(targets[batch]).tolist() == [16, 16]


def test_a_small_batch_still_has_two_labels() -> None:
    targets = np.repeat(np.arange(3), 50)
    for batch in balanced_batches(targets, 4, 8, seed=0, epoch=0):
        assert len(np.unique(targets[batch])) == 2


def test_rare_labels_come_as_often_as_common_ones() -> None:
    targets = np.array([0] * 200 + [1] * 8 + [2])
    batches = balanced_batches(targets, 12, 4, seed=0, epoch=0)
    assert all(set(targets[batch].tolist()) == {0, 1, 2} for batch in batches)


def test_epochs_and_seeds_differ() -> None:
    targets = np.repeat(np.arange(8), 8)
    orders = {
        tuple(np.concatenate(balanced_batches(targets, 16, 4, seed=seed, epoch=epoch)).tolist())
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    }
    assert len(orders) == 6


def test_rows_without_a_label_come_too() -> None:
    targets = np.zeros((40, 3), np.float32)
    targets[:30] = np.eye(3, dtype=np.float32).repeat(10, axis=0)
    seen = np.concatenate(balanced_batches(targets, 16, 4, seed=0, epoch=0))
    assert (seen >= 30).sum() == len(seen) / 4


def test_many_rows_are_dealt_in_no_time() -> None:
    """A hundred thousand rows would have five thousand million pairs."""
    targets = np.random.default_rng(0).integers(0, 50, 100_000)
    batches = balanced_batches(targets, 64, 4, seed=0, epoch=0)
    assert len(batches) == -(-100_000 // 64)
