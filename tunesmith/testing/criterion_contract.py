"""What every criterion must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.bases import Classifier
from tunesmith.training import Rows
from tunesmith.training.criteria import Criterion

__all__ = ["CriterionContract"]

_BATCH_SIZE = 8


class CriterionContract:
    """Give fixtures `criterion`, `rows` and `model`.

    `rows` are what the criterion trains on, at least 24 of them with labels of several rows each;
    `model` is a classifier for them, without dropout and with a head that is not all zeros.
    `trains_head` says whether the head's gradient comes from the losses; where it does not,
    `before_judging` must fit the head.
    """

    trains_head = True

    def test_batches_hold_different_rows(self, criterion: Criterion, rows: Rows) -> None:
        for batch in _batches(criterion, rows):
            assert batch.dtype == np.int64
            assert 1 <= len(batch) <= _BATCH_SIZE
            assert len(set(batch.tolist())) == len(batch)
            assert 0 <= batch.min() <= batch.max() < len(rows.tokens)

    def test_an_epoch_shows_about_as_many_rows_as_there_are(
        self, criterion: Criterion, rows: Rows
    ) -> None:
        shown = sum(map(len, _batches(criterion, rows)))
        assert 0.5 * len(rows.tokens) <= shown < 1.5 * len(rows.tokens)

    def test_every_epoch_has_as_many_batches(self, criterion: Criterion, rows: Rows) -> None:
        # The rate's schedule is made for so many steps an epoch.
        assert len({len(_batches(criterion, rows, epoch=epoch)) for epoch in range(9)}) == 1

    def test_batches_depend_on_seed_and_epoch_alone(self, criterion: Criterion, rows: Rows) -> None:
        first, again = (_batches(criterion, rows) for _ in range(2))
        assert len(first) == len(again)
        assert all(map(np.array_equal, first, again))
        for other in (_batches(criterion, rows, seed=1), _batches(criterion, rows, epoch=1)):
            assert np.concatenate(first).tolist() != np.concatenate(other).tolist()

    def test_every_row_has_a_finite_loss(
        self, criterion: Criterion, model: Classifier, rows: Rows
    ) -> None:
        batch = _batches(criterion, rows)[0]
        losses = _losses(criterion, model, rows, batch)
        assert losses.shape == (len(batch),)
        assert losses.dtype == torch.float32
        assert losses.isfinite().all()
        assert losses.sum() > 0

    def test_the_order_of_the_rows_does_not_matter(
        self, criterion: Criterion, model: Classifier, rows: Rows
    ) -> None:
        batch = _batches(criterion, rows)[0]
        forth = _losses(criterion, model, rows, batch)
        back = _losses(criterion, model, rows, batch[::-1].copy())
        assert back.flip(0).tolist() == pytest.approx(forth.tolist(), abs=1e-4)

    def test_what_is_trained_has_a_gradient(
        self, criterion: Criterion, model: Classifier, rows: Rows
    ) -> None:
        model.zero_grad()
        _losses(criterion, model, rows, _batches(criterion, rows)[0]).sum().backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and (self.trains_head or not name.startswith("head.")):
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
            else:
                assert parameter.grad is None, name

    def test_the_loss_of_a_row_depends_on_it_alone_if_divisible(
        self, criterion: Criterion, model: Classifier, rows: Rows
    ) -> None:
        batch = _batches(criterion, rows)[0]
        together = _losses(criterion, model, rows, batch)
        alone = torch.cat([_losses(criterion, model, rows, batch[[i]]) for i in range(len(batch))])
        same = alone.tolist() == pytest.approx(together.tolist(), abs=1e-5)
        assert same is criterion.divisible

    def test_judging_leaves_the_base_as_it_is(
        self, criterion: Criterion, model: Classifier
    ) -> None:
        before = {name: value.clone() for name, value in model.state_dict().items()}
        criterion.before_judging(model)
        after = {name: value.clone() for name, value in model.state_dict().items()}
        for name, value in after.items():
            assert value.isfinite().all(), name
            head_may_change = name.startswith("head.") and not self.trains_head
            assert value.equal(before[name]) or head_may_change, name
        assert after["head.weight"].equal(before["head.weight"]) is self.trains_head
        criterion.before_judging(model)
        assert all(value.equal(after[name]) for name, value in model.state_dict().items())


def _batches(
    criterion: Criterion, rows: Rows, *, seed: int = 0, epoch: int = 0
) -> list[NDArray[np.int64]]:
    return criterion.batches(rows.tokens.lengths, _BATCH_SIZE, seed=seed, epoch=epoch)


def _losses(
    criterion: Criterion, model: Classifier, rows: Rows, indices: NDArray[np.int64]
) -> Tensor:
    targets = torch.from_numpy(rows.targets[indices])
    return criterion.losses(model, rows.tokens.batch(indices), targets)
