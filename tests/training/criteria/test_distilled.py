"""Distillation: the contract, and that a student learns what its teacher answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith.bases import Classifier, score_features
from tunesmith.tasks import Objective
from tunesmith.testing import CriterionContract
from tunesmith.training import Rows
from tunesmith.training.criteria import (
    Criterion,
    Distilled,
    lessons,
    row_losses,
    teacher_losses,
)

_LABELLED = 30  # of 44 rows


def taught(model: Classifier, rows: Rows, objective: Objective, labelled: int = _LABELLED) -> Rows:
    """What another head's answers teach of the rows."""
    teacher = type(model)(model.backbone, model.pooling, model.head.in_features, 3).eval()
    nn.init.normal_(teacher.head.weight, generator=torch.Generator().manual_seed(5))
    scores, states = score_features(teacher, rows.tokens)
    turned = np.roll(states, 1, axis=1)  # or there would be nothing to learn of them
    return Rows(rows.tokens, lessons(objective, scores, turned, rows.targets[:labelled]))


class TestOneLabel(CriterionContract):
    @pytest.fixture
    def criterion(self) -> Criterion:
        return Distilled("cross-entropy", 3)

    @pytest.fixture
    def rows(self, model: Classifier, train: Rows) -> Rows:
        return taught(model, train, "cross-entropy")


class TestSeveralLabels(CriterionContract):
    @pytest.fixture
    def criterion(self) -> Criterion:
        return Distilled("binary-cross-entropy", 3)

    @pytest.fixture
    def rows(self, model: Classifier, several: Rows) -> Rows:
        return taught(model, several, "binary-cross-entropy")


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_it_is_the_divergence_from_the_teacher(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    scores, teacher = (3 * torch.randn(6, 4, generator=generator) for _ in range(2))
    found = teacher_losses("cross-entropy", scores, teacher, temperature=temperature)
    wanted = functional.kl_div(
        torch.log_softmax(scores / temperature, 1),
        torch.log_softmax(teacher / temperature, 1),
        log_target=True,
        reduction="none",
    ).sum(1)
    assert found.tolist() == pytest.approx((temperature**2 * wanted).tolist(), rel=1e-5)
    several = teacher_losses("binary-cross-entropy", scores, teacher, temperature=temperature)
    p, q = (torch.sigmoid(one / temperature) for one in (teacher, scores))
    each = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert several.tolist() == pytest.approx((temperature**2 * each.sum(1)).tolist(), rel=1e-4)


@pytest.mark.parametrize("objective", ["cross-entropy", "binary-cross-entropy"])
def test_the_teacher_itself_has_nothing_to_learn(objective: Objective) -> None:
    scores = 20 * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert teacher_losses(objective, scores, scores.clone(), temperature=2.0).abs().max() < 1e-4


def test_labels_count_where_they_are_known(model: Classifier, train: Rows) -> None:
    rows = taught(model, train, "cross-entropy", labelled=4)
    batch = train.tokens.batch(np.arange(8))
    targets = torch.from_numpy(rows.targets[:8])
    alone, mixed = (
        Distilled("cross-entropy", 3, label_weight=weight, state_weight=0.0).losses(
            model, batch, targets
        )
        for weight in (0.0, 0.4)
    )
    assert mixed[4:].equal(alone[4:])
    hard = row_losses("cross-entropy", model(batch), torch.from_numpy(train.targets[:8]))
    assert mixed[:4].tolist() == pytest.approx((0.6 * alone + 0.4 * hard)[:4].tolist(), rel=1e-5)


def test_states_are_drawn_to_the_teachers(model: Classifier, train: Rows) -> None:
    rows = taught(model, train, "cross-entropy", labelled=0)
    batch = train.tokens.batch(np.arange(8))
    targets = torch.from_numpy(rows.targets[:8])
    without, with_states = (
        Distilled("cross-entropy", 3, state_weight=weight).losses(model, batch, targets)
        for weight in (0.0, 1.0)
    )
    cosines = torch.cosine_similarity(model.features(batch), targets[:, 3 : 3 + 32])
    assert (with_states - without).tolist() == pytest.approx((1 - cosines).tolist(), abs=1e-5)


@pytest.mark.parametrize("objective", ["cross-entropy", "binary-cross-entropy"])
def test_a_student_comes_to_answer_as_its_teacher(
    objective: Any, make_model: Callable[..., Classifier], train: Rows
) -> None:
    torch.manual_seed(0)
    teacher, student = make_model(), make_model()
    nn.init.normal_(teacher.head.weight)
    scores, states = score_features(teacher, train.tokens)
    none = np.zeros(0, np.int64) if objective == "cross-entropy" else np.zeros((0, 3), np.float32)
    targets = torch.from_numpy(lessons(objective, scores, states, none))
    criterion = Distilled(objective, 3)
    optimizer = torch.optim.AdamW(student.parameters(), 3e-3)
    batch = train.tokens.batch(np.arange(44))
    before = float(criterion.losses(student, batch, targets).mean().detach())
    for _ in range(300):
        criterion.losses(student, batch, targets).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(criterion.losses(student, batch, targets).mean().detach()) < 0.25 * before
    answers = student(batch).argmax(1).numpy()
    assert (answers == scores.argmax(1)).mean() > 0.8
