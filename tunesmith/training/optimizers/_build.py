"""From an optimiser's name to the optimiser, with its parameter groups."""

from __future__ import annotations

from collections.abc import Callable

from torch import optim

from tunesmith.bases import Classifier
from tunesmith.config import Optimizer
from tunesmith.errors import MissingDependencyError
from tunesmith.training.optimizers._groups import (
    Group,
    hidden_matrices,
    parameter_groups,
    rate_scales,
)
from tunesmith.training.optimizers._lion import Lion
from tunesmith.training.optimizers._muon import MuonWithAdamW

__all__ = ["build_optimizer"]


def build_optimizer(
    name: Optimizer,
    model: Classifier,
    *,
    rate: float,
    weight_decay: float = 0.01,
    momentum: float = 0.9,
    layer_decay: float = 1.0,
) -> optim.Optimizer:
    """An optimiser over the parameters that want a gradient.

    Before each step the loop sets each group's `lr` to the step's rate times its `rate_scale`. An
    optimiser with methods `train` and `eval` trains on other weights than those that are to be
    judged, and exchanges them there.

    Args:
        rate: peak rate of the head and the last layer; see `suited_rate`.
        weight_decay: of matrices. Each step takes rate × weight_decay of them; with sgd, adam and
            rmsprop it is an L2 penalty, whose gradient is treated as the loss's own.
        momentum: of sgd, rmsprop and muon; the others have none, or one of their own.
        layer_decay: see `rate_scales`.

    Raises:
        BaseModelError: layer decay, or muon, with a base that keeps its layers in no list.
        MissingDependencyError: the optimiser's package is not installed.
    """
    scales = rate_scales(model, layer_decay)
    hidden = hidden_matrices(model) if name == "muon" else set()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def groups_of(*, inside: bool) -> list[Group]:
        chosen = [parameter for parameter in trained if (parameter in hidden) is inside]
        return parameter_groups(chosen, rate=rate, weight_decay=weight_decay, scales=scales)

    if name == "muon":
        return MuonWithAdamW(groups_of(inside=True), groups_of(inside=False), momentum=momentum)
    return _MAKERS[name](groups_of(inside=False), momentum)


def _adamw(groups: list[Group], _: float) -> optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101). One fused kernel updates all."""
    return optim.AdamW(groups, fused=True)


def _adam(groups: list[Group], _: float) -> optim.Optimizer:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980).

    The paper knows no decay; here it is the L2 penalty that AdamW was made to replace.
    """
    return optim.Adam(groups, fused=True)


def _amsgrad(groups: list[Group], _: float) -> optim.Optimizer:
    """AMSGrad (Reddi et al. 2018, arXiv:1904.09237), with AdamW's decoupled decay.

    It divides by the largest variance so far, so that a rare large gradient is not soon forgotten.
    """
    return optim.AdamW(groups, amsgrad=True, fused=True)


def _sgd(groups: list[Group], momentum: float) -> optim.Optimizer:
    """Gradient descent (Robbins & Monro 1951) with Nesterov's momentum (Sutskever et al. 2013)."""
    return optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, fused=True)


def _rmsprop(groups: list[Group], momentum: float) -> optim.Optimizer:
    """RMSProp (Tieleman & Hinton 2012, "Lecture 6.5"), with momentum as in arXiv:1308.0850."""
    return optim.RMSprop(groups, momentum=momentum)


def _adafactor(groups: list[Group], _: float) -> optim.Optimizer:
    """Adafactor (Shazeer & Stern 2018, arXiv:1804.04235).

    Of a matrix's variances it keeps the sums of rows and columns alone. Its rate is relative: a
    step is this share of the root mean square of the weights.
    """
    return optim.Adafactor(groups)


def _lion(groups: list[Group], _: float) -> optim.Optimizer:
    """Lion (Chen et al. 2023, arXiv:2302.06675); see the class."""
    return Lion(groups)


def _schedule_free(groups: list[Group], _: float) -> optim.Optimizer:
    """Schedule-free AdamW (Defazio et al. 2024, arXiv:2405.15682).

    What is judged is an average of the weights instead of weights at a fallen rate. Its decay is
    decoupled.

    Raises:
        MissingDependencyError: the package `schedulefree` is not installed.
    """
    try:
        from schedulefree import AdamWScheduleFree  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "schedule-free needs the package schedulefree, which is not installed",
            where="training.optimizer",
            mend="pip install schedulefree",
        ) from error
    # On a processor its passes over all weights at once take a fourth longer than one by one.
    on_gpu = groups[0]["params"][0].is_cuda
    optimizer: optim.Optimizer = AdamWScheduleFree(groups, foreach=on_gpu)
    optimizer.train()  # type: ignore[attr-defined]
    return optimizer


_MAKERS: dict[Optimizer, Callable[[list[Group], float], optim.Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "amsgrad": _amsgrad,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "adafactor": _adafactor,
    "lion": _lion,
    "schedule-free": _schedule_free,
}
