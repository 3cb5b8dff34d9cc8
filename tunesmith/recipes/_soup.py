"""A soup: trainings that differ in the order of their rows, averaged into one model.

They begin with the same head and end in one basin, so that the mean of their weights answers much
as all of them asked together would, at the cost of one (Wortsman et al. 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from tunesmith.bases import Classifier, score
from tunesmith.config import RunConfig
from tunesmith.recipes._compare import is_clearly_better
from tunesmith.recipes._fine_tune import Tuned
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.training import Checkpoints, Processes

__all__ = ["stir"]


def stir(
    first: Tuned,
    train: Callable[[int], Tuned],
    size: int,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
    *,
    place: Path,
    resume: bool,
) -> tuple[Classifier, int]:
    """The mean of the first training's weights and those of more, where it is no worse.

    Weights that did not end in one basin make a mean that knows nothing; the validation rows, which
    may be learned from by then, tell it, and the first training's weights are kept.

    Args:
        train: makes training number 2 and so on; one whose time is over is left out, and ends it.
        size: of how many trainings.
        place: where the first one keeps its checkpoints; the others' stand beside it.
        resume: whether to go on with the trainings that the mean, as it was kept, lacks.

    Returns:
        The first one's model, with the mean of so many trainings in it.

    Raises:
        Interrupted, TrainingError, OutputError: see `tunesmith.training.fit`.
    """
    if size == 1:
        return first.classifier, 1
    mean, count = _mean(first, train, size, listener, place, resume=resume)
    if count == 1:
        return first.classifier, 1
    alone = _floating(first.classifier, copied=True)
    before = score(first.classifier, tokens.validation)
    _put(first.classifier, mean)
    after = score(first.classifier, tokens.validation)
    is_worse = is_clearly_better(before, after, data, config, by_loss=False)
    # Scores may differ in their last digits between GPUs.
    if Processes().from_first(lambda: "worse" if is_worse else "no worse") == "worse":
        listener.warn(
            f"the mean of {count} trainings' weights is worse on the validation rows than the "
            "first of them, which is kept"
        )
        _put(first.classifier, alone)
        return first.classifier, 1
    listener.say(f"the weights of {count} trainings are averaged")
    return first.classifier, count


def _mean(
    first: Tuned,
    train: Callable[[int], Tuned],
    size: int,
    listener: Listener,
    place: Path,
    *,
    resume: bool,
) -> tuple[dict[str, Tensor], int]:
    """The mean, and of how many; it is kept after each training, whose own state may go then."""
    processes = Processes()
    checkpoints = Checkpoints(place.with_name(f"{place.name}-soup"), keep=1)
    mean, count = _floating(first.classifier, copied=True), 1
    kept = checkpoints.load_newest() if resume else None
    if kept is not None:
        tensors, count = kept[0], kept[1]["count"]
        mean = {name: value.to(mean[name].device) for name, value in tensors.items()}
    while count < size:
        another = train(count + 1)
        if another.out_of_time:
            listener.say(f"the time given is over: the soup is of {count} of {size} trainings")
            break
        count += 1
        for name, weight in _floating(another.classifier).items():
            mean[name].lerp_(weight, 1.0 / count)
        if processes.is_first:
            checkpoints.save(count, mean, {"count": count})
            shutil.rmtree(place.with_name(f"{place.name}-{count}"), ignore_errors=True)
        processes.wait()
    return mean, count


def _floating(classifier: Classifier, *, copied: bool = False) -> dict[str, Tensor]:
    """Weights and buffers that a mean can be taken of."""
    state = classifier.state_dict()
    found = {name: value for name, value in state.items() if value.is_floating_point()}
    return {name: value.clone() for name, value in found.items()} if copied else found


@torch.no_grad()
def _put(classifier: Classifier, weights: Mapping[str, Tensor]) -> None:
    own = _floating(classifier)
    for name, weight in weights.items():
        own[name].copy_(weight)
