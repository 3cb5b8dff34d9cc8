"""One step: parts and processes change nothing, and too little memory is coped with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tunesmith.bases import Classifier, Precision, TokenBatch
from tunesmith.errors import TrainingError
from tunesmith.training import Processes, Rows, Supervised
from tunesmith.training._step import Stepper
from tunesmith.training._working_copy import WorkingCopy
from tunesmith.training.criteria import Contrastive, Criterion, _contrastive
from tunesmith.training.optimizers import build_optimizer

MakeModel = Callable[..., Classifier]
ROWS = np.arange(16)


@dataclass(frozen=True)
class Cramped:
    """The usual criterion on a machine with memory for `room` tokens at once."""

    room: int
    inner: Supervised = field(default_factory=lambda: Supervised("cross-entropy"))
    divisible: bool = True

    def batches(
        self, lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
    ) -> list[NDArray[np.int64]]:
        return self.inner.batches(lengths, batch_size, seed=seed, epoch=epoch)

    def losses(self, model: Classifier, batch: TokenBatch, targets: torch.Tensor) -> torch.Tensor:
        if batch["input_ids"].numel() > self.room:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
        return self.inner.losses(model, batch, targets)

    def before_judging(self, model: Classifier) -> None: ...


def stepper(
    model: Classifier,
    rows: Rows,
    *,
    criterion: Criterion | None = None,
    max_tokens: int | None = None,
    precision: Precision = "fp32",
    heard: Callable[[int], None] = lambda tokens: None,
) -> Stepper:
    return Stepper(
        WorkingCopy(model, precision),
        build_optimizer("adamw", model, rate=1e-3),
        criterion or Supervised("cross-entropy"),
        rows,
        Processes(),
        clip_norm=1.0,
        max_tokens=max_tokens,
        on_less_memory=heard,
    )


def gradients(model: Classifier, own: Stepper, indices: NDArray[np.int64]) -> list[torch.Tensor]:
    own._gradients(indices)
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("max_tokens", [1, 20, 64, 200])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_parts_have_the_gradient_of_the_whole(
    make_model: MakeModel, train: Rows, max_tokens: int, precision: Precision
) -> None:
    whole, parted = make_model(), make_model()
    expected = gradients(whole, stepper(whole, train, precision=precision), ROWS)
    own = stepper(parted, train, max_tokens=max_tokens, precision=precision)
    found = gradients(parted, own, ROWS)
    assert len(list(own._parts(ROWS))) > 1
    tolerance = 1e-6 if precision == "fp32" else 2e-2
    for one, other in zip(expected, found, strict=True):
        assert (one - other).abs().max() <= tolerance * max(1.0, float(one.abs().max()))


def test_parts_hold_every_row_once_within_the_limit(make_model: MakeModel, train: Rows) -> None:
    lengths = train.tokens.lengths
    parts = list(stepper(make_model(), train, max_tokens=40)._parts(ROWS))
    assert sorted(np.concatenate(parts).tolist()) == ROWS.tolist()
    assert all(len(part) * lengths[part].max() <= 40 or len(part) == 1 for part in parts)


def test_too_little_memory_halves_the_parts_and_loses_nothing(
    make_model: MakeModel, train: Rows
) -> None:
    plain, cramped = make_model(), make_model()
    expected = gradients(plain, stepper(plain, train), ROWS)
    heard: list[int] = []
    room = 3 * int(train.tokens.lengths[ROWS].max())
    own = stepper(cramped, train, criterion=Cramped(room), heard=heard.append)
    found = gradients(cramped, own, ROWS)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    assert heard == sorted(heard, reverse=True)
    assert heard[-1] == own.max_tokens
    assert heard[-1] <= room < 2 * heard[-1] + 2


def test_too_little_memory_for_a_single_row(make_model: MakeModel, train: Rows) -> None:
    own = stepper(make_model(), train, criterion=Cramped(room=1))
    with pytest.raises(TrainingError, match="the memory does not suffice for a text of") as raised:
        own.step(ROWS, 1e-3, 1)
    assert "max_length" in str(raised.value)


def test_too_little_memory_for_texts_that_are_compared(make_model: MakeModel, train: Rows) -> None:
    criterion = Contrastive(train, "cross-entropy", num_labels=3)
    own = stepper(make_model(), train, criterion=criterion)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(TrainingError) as raised:
        patch.setattr(_contrastive, "contrastive_losses", raise_memory_error)
        own.step(ROWS, 1e-3, 1)
    assert f"the memory does not suffice for {len(ROWS)} texts" in str(raised.value)
    assert "training.batch_size" in str(raised.value)


def raise_memory_error(*_: object) -> torch.Tensor:
    raise MemoryError("not enough memory")


def test_other_failures_are_not_taken_for_a_lack_of_memory(
    make_model: MakeModel, train: Rows
) -> None:
    broken = replace(train, targets=np.full(len(train.targets), 99))
    with pytest.raises(IndexError):
        stepper(make_model(), broken).step(ROWS, 1e-3, 1)
