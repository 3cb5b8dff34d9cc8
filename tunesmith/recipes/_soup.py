"""A soup: trainings that differ in the order of their rows, averaged into one model.

They begin with the same head and end in one basin, so that the mean of their weights answers much
as all of them asked together would, at the cost of one (Wortsman et al. 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tunesmith.bases import Classifier
from tunesmith.errors import TrainingError
from tunesmith.recipes._fine_tune import Tuned
from tunesmith.recipes._listener import Listener
from tunesmith.training import Checkpoints, Processes

__all__ = ["Mean", "average_trainings", "weights_of"]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of several trainings' weights, on the processor; `count` says of how many."""

    weights: Mapping[str, Tensor]
    count: int

    @torch.no_grad()
    def put_into(self, classifier: Classifier) -> None:
        """Gives the classifier these weights."""
        state = classifier.state_dict()
        for name, weight in self.weights.items():
            state[name].copy_(weight)


def weights_of(classifier: Classifier) -> dict[str, Tensor]:
    """Copies, on the processor, of all that a mean can be taken of."""
    state = classifier.state_dict()
    return {
        name: value.detach().to("cpu", copy=True)
        for name, value in state.items()
        if value.is_floating_point()
    }


def average_trainings(
    first: Tuned,
    train: Callable[[int], Tuned],
    goes_on: Callable[[int], bool],
    listener: Listener,
    *,
    place: Path,
    resume: bool,
) -> Mean:
    """The mean of the first training's weights and those of more.

    It is kept on disk after each training, whose own state may go then. A training whose time is
    over, or that fails, is left out and is the last one.

    Args:
        train: makes training number 2 and so on.
        goes_on: whether another one is to be made, after so many.
        place: where the first one keeps its checkpoints; the others' stand beside it.
        resume: whether to go on with the mean as it was kept.

    Raises:
        Interrupted, OutputError: see `tunesmith.training.fit`.
    """
    processes = Processes()
    checkpoints = Checkpoints(place.with_name(f"{place.name}-soup"), keep=1)
    mean, count = weights_of(first.classifier), 1
    device = next(first.classifier.parameters()).device
    first.classifier.cpu()  # the memory of a GPU is for those that are trained
    kept = checkpoints.load_newest() if resume else None
    if kept is not None:
        mean, count = kept[0], kept[1]["count"]
    while goes_on(count):
        weights = _another(train, count, listener)
        if weights is None:
            break
        count += 1
        for name, weight in weights.items():
            if not torch.equal(mean[name], weight):
                mean[name].lerp_(weight, 1.0 / count)
        if processes.is_first:
            checkpoints.save(count, mean, {"count": count})
            shutil.rmtree(place.with_name(f"{place.name}-{count}"), ignore_errors=True)
        processes.wait()
    first.classifier.to(device)
    return Mean(mean, count)


def _another(
    train: Callable[[int], Tuned], count: int, listener: Listener
) -> dict[str, Tensor] | None:
    """The weights of one more training; None where it did not come to its end."""
    try:
        another = train(count + 1)
    except TrainingError as error:  # the others are whole
        listener.warn(f"training {count + 1} of the soup failed and is left out: {error}")
        return None
    if another.out_of_time:
        listener.say(f"the time given is over: training {count + 1} of the soup is left out")
        return None
    return weights_of(another.classifier)
