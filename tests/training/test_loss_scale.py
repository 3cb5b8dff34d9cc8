"""float16: small gradients are kept, large ones cost a step and not the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tunesmith.bases import Classifier
from tunesmith.errors import TrainingError
from tunesmith.training import FitSettings, Processes, Rows, Supervised, fit
from tunesmith.training._loss_scale import LossScale
from tunesmith.training._step import Stepper
from tunesmith.training._working_copy import WorkingCopy
from tunesmith.training.optimizers import build_optimizer

MakeModel = Callable[..., Classifier]
ROWS = np.arange(16)
INFINITE = float("inf")


def stepper(model: Classifier, rows: Rows, scale: LossScale) -> Stepper:
    return Stepper(
        WorkingCopy(model, "fp16"),
        build_optimizer("adamw", model, rate=1e-3),
        Supervised("cross-entropy"),
        rows,
        Processes(),
        clip_norm=1.0,
        max_tokens=None,
        on_less_memory=lambda tokens: None,
        loss_scale=scale,
    )


def test_the_scale_falls_with_what_overflows_and_grows_with_what_does_not() -> None:
    scale = LossScale(needed=True)
    first = scale.value
    assert not scale.allows(INFINITE)
    assert not scale.allows(float("nan"))
    assert scale.value == first / 4
    kept = LossScale(needed=True)
    assert all(scale.allows(1.0) for _ in range(1999))
    kept.restore(scale.facts())
    for one in (scale, kept):
        assert one.allows(1.0)
        assert one.value == first / 2


def test_without_float16_nothing_is_scaled() -> None:
    scale = LossScale(needed=False)
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    scale.undo([weight])
    assert scale.allows(1.0)
    assert (scale.value, float(weight.grad)) == (1.0, 1.0)


def test_what_overflows_at_any_scale_ends_the_training() -> None:
    scale = LossScale(needed=True)
    with pytest.raises(TrainingError, match="too large for fp16"):
        for _ in range(100):
            scale.allows(INFINITE)


def test_a_step_that_overflows_is_left_out(make_model: MakeModel, train: Rows) -> None:
    model, scale = make_model(), LossScale(needed=True)
    torch.nn.init.normal_(model.head.weight, std=0.02)  # at 0 nothing goes back into the base
    scale.restore({"value": 2.0**40, "good_steps": 0})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    own = stepper(model, train, scale)
    own.step(ROWS, 1e-3, 1)
    assert scale.value == 2.0**39
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    while scale.value > 2.0**16:
        own.step(ROWS, 1e-3, 1)
    own.step(ROWS, 1e-3, 2)
    assert not model.head.weight.equal(before["head.weight"])
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_gradients_that_float16_would_lose_are_kept(make_model: MakeModel, train: Rows) -> None:
    """With a loss a millionth of the usual one, unscaled gradients would be 0."""

    class Faint(Supervised):
        def losses(self, model, batch, targets):  # type: ignore[no-untyped-def]
            return super().losses(model, batch, targets) * 1e-6

    found = {}
    for needed in (True, False):
        model = make_model()
        torch.nn.init.normal_(model.head.weight, std=0.02)
        own = stepper(model, train, LossScale(needed=needed))
        own.criterion = Faint("cross-entropy")
        own._gradients(ROWS)
        own.loss_scale.undo(own.working.trained.values())
        gradient = own.working.trained["backbone.encoder.layer.0.attention.self.value.weight"].grad
        assert gradient is not None
        found[needed] = float((gradient != 0).float().mean())
    assert found[True] > 0.99
    assert found[False] < 0.5


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_it_learns_what_float32_learns(
    make_model: MakeModel, train: Rows, validation: Rows, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    found = []
    plain = FitSettings(epochs=2, batch_size=8, learning_rate=3e-3, average_decay=0.9)
    for settings in (plain, replace(plain, precision="fp16")):
        result = fit(
            make_model().to(device), train, validation, objective="cross-entropy",
            criterion=Supervised("cross-entropy"), judge=lambda scores: float(scores.std()),
            settings=settings,
        )  # fmt: skip
        found.append([record.validation_loss for record in result.history])
    assert found[1] == pytest.approx(found[0], rel=0.02)
