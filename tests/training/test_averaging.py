"""The moving average of the weights, and the mean of the epochs."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from tunesmith.training._averaging import Averaging, Soup, WeightAverage


def test_the_average_follows_the_weights() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average = WeightAverage([weight], decay=0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]):
        weight.data.fill_(value)
        average.after_step(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.tensors()["0"].tolist() == pytest.approx([expected] * 3)


def test_swapping_twice_changes_nothing() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    average = WeightAverage([weight], decay=0.9)
    weight.data.fill_(7.0)
    average.swap()
    assert weight.tolist() == [1.0, 2.0]
    assert average.tensors()["0"].tolist() == [7.0, 7.0]
    average.swap()
    assert weight.tolist() == [7.0, 7.0]


def test_a_soup_is_the_mean_of_the_epochs() -> None:
    weight = nn.Parameter(torch.zeros(2))
    soup = Soup([weight])
    for epoch, value in enumerate([3.0, 5.0, 13.0], start=1):
        for step in range(4):
            weight.data.fill_(float(step))
            soup.after_step(step)
        weight.data.fill_(value)
        soup.after_epoch()
        soup.swap()
        assert weight.tolist() == pytest.approx([sum([3.0, 5.0, 13.0][:epoch]) / epoch] * 2)
        soup.swap()
        assert weight.tolist() == [value] * 2


def test_before_the_first_epoch_a_soup_is_the_weights_themselves() -> None:
    weight = nn.Parameter(torch.zeros(2))
    soup = Soup([weight])
    weight.data.fill_(4.0)
    soup.swap()
    assert weight.tolist() == [4.0, 4.0]


@pytest.mark.parametrize("kind", ["ema", "soup"])
def test_a_restored_average_goes_on_as_before(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)

    def make() -> tuple[list[nn.Parameter], Averaging]:
        weights = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(4))]
        return weights, WeightAverage(weights, 0.99) if kind == "ema" else Soup(weights)

    def epoch(weights: list[nn.Parameter], average: Averaging, values: list[torch.Tensor]) -> None:
        for step, value in enumerate(values):
            for weight in weights:
                weight.data.copy_(value[: weight.numel()].view_as(weight))
            average.after_step(step)
        average.after_epoch()

    epochs = [[torch.randn(6, generator=generator) for _ in range(3)] for _ in range(4)]
    weights, average = make()
    for values in epochs[:2]:
        epoch(weights, average, values)
    kept = {name: value.clone() for name, value in average.tensors().items()}
    facts = json.loads(json.dumps(average.facts()))
    resumed_weights, resumed = make()
    resumed.restore(kept, facts)
    for values in epochs[2:]:
        epoch(weights, average, values)
        epoch(resumed_weights, resumed, values)
    assert all(value.equal(resumed.tensors()[name]) for name, value in average.tensors().items())
