"""The order of the rows: all of them, once, neighbours in length together, reproducible."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.training.criteria._batches import epoch_batches

LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=600).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 40), SEEDS, st.integers(0, 9))
def test_every_row_comes_once(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> None:
    batches = epoch_batches(lengths, batch_size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    sizes = sorted(len(batch) for batch in batches)
    assert sizes[0] >= 1
    assert set(sizes[1:]) <= {batch_size}, "at most one batch of the epoch is smaller"
    again = epoch_batches(lengths, batch_size, seed=seed, epoch=epoch)
    assert all(map(np.array_equal, batches, again))


def test_neighbours_in_length_are_together() -> None:
    lengths = np.random.default_rng(0).permutation(1600)
    batches = epoch_batches(lengths, 8, seed=0, epoch=0)
    spans = [np.ptp(lengths[batch]) for batch in batches]
    assert np.mean(spans) < 1600 / 40
    assert max(spans) < 1600 / 10


@settings(max_examples=60, deadline=None)
@given(st.integers(16, 300), SEEDS)
def test_no_two_epochs_have_the_same_batches(num_rows: int, seed: int) -> None:
    lengths = np.arange(num_rows)  # all different, so that sorting alone leaves no choice
    one, other = (
        {frozenset(batch.tolist()) for batch in epoch_batches(lengths, 4, seed=seed, epoch=epoch)}
        for epoch in (0, 1)
    )
    assert one != other


def test_seeds_and_epochs_differ() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 500)
    orders = [
        np.concatenate(epoch_batches(lengths, 8, seed=seed, epoch=epoch)).tolist()
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    assert len(set(map(tuple, orders))) == 6


def test_long_batches_do_not_come_in_order() -> None:
    lengths = np.arange(400)
    means = [lengths[batch].mean() for batch in epoch_batches(lengths, 8, seed=0, epoch=0)]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)


def test_hardly_anything_is_spent_on_padding() -> None:
    lengths = np.random.default_rng(0).geometric(0.05, 5000)
    batches = epoch_batches(lengths, 32, seed=0, epoch=0)
    filled = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert filled < 1.15 * lengths.sum()  # 4.5 in the order of the file
