"""What a search varies, where it begins, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.config import Method, RunConfig
from tunesmith.errors import ConfigError
from tunesmith.recipes._fine_tune import fit_settings
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._methods import is_adapter, racing_methods
from tunesmith.recipes._model import Model
from tunesmith.recipes._prepare import PreparedData
from tunesmith.search import Dimension, Point, Range, Scalar, Space, ValueList, setting_value
from tunesmith.tasks import MultiLabelClassification
from tunesmith.training import FitSettings

__all__ = ["SearchPlan", "plan_search"]

_SMALL_DATA = 1000
_EPOCHS_AT_MOST = 30
_WITH_DROPOUT = ("lora", "dora", "rslora", "qlora", "pissa")
_WITHOUT_RANK = ("ia3", "road")
_DROPOUT = ValueList((0.0, 0.1))


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What a search varies.

    Attributes:
        space: what is varied.
        start: the settings of a training without a search, as far as the space has them.
        fixed: setting → value that is decided once for all trials.
    """

    space: Space
    start: Point
    fixed: Mapping[str, Scalar]


def plan_search(
    config: RunConfig, space: Space | None, model: Model, data: PreparedData, listener: Listener
) -> SearchPlan:
    """Takes the user's space, or ranges around what suits method, base and data.

    What the user has set stays as it is.

    Raises:
        ConfigError: nothing is left to vary.
    """
    methods = _methods(config, data)
    suited = fit_settings(methods[0], config, model, len(data.split.train))
    given = _settings_of_user(config)
    wanted = space or _default_space(methods, suited, data)
    if config.training.r_drop:  # which needs dropout, and settles it
        wanted = wanted.without({"training.dropout"})
    if space is not None and (both := [name for name in space.dimensions if name in given]):
        listener.say(f"set, and so not searched over: {', '.join(both)}")
    chosen = wanted.without(given)
    if not chosen.dimensions:
        raise ConfigError("nothing is left to search over", mend="set fewer of the settings")
    values = {name: setting_value(config, name) for name in chosen.dimensions}
    values |= {"training.learning_rate": suited.learning_rate, "training.epochs": suited.epochs}
    fixed: dict[str, Scalar] = {
        "training.method": methods[0],
        "training.epochs": suited.epochs,
        "training.precision": model.precision,
    }
    return SearchPlan(
        space=chosen,
        start=chosen.nearest(values),
        fixed={name: value for name, value in fixed.items() if name not in chosen.dimensions},
    )


def _methods(config: RunConfig, data: PreparedData) -> tuple[Method, ...]:
    """The methods that are tried: the one that is set, or for `auto` those that fit the data."""
    method = config.training.method
    if method == "probe":
        raise ConfigError(
            "the probe has nothing to tune",
            where="training.method",
            mend="tunesmith train … --method probe; or tune another --method",
        )
    if method != "auto":
        return (method,)
    return racing_methods(data)


def _default_space(methods: Sequence[Method], suited: FitSettings, data: PreparedData) -> Space:
    longest = int(np.clip(2 * suited.epochs, 2, _EPOCHS_AT_MOST))
    low, high = (float(f"{suited.learning_rate * factor:.2g}") for factor in (0.25, 4.0))
    is_small = len(data.split.train) < _SMALL_DATA
    dimensions: dict[str, Dimension] = {}
    if len(methods) > 1:
        dimensions["training.method"] = ValueList(tuple(methods))
    dimensions |= {
        "training.learning_rate": Range(low, high, log=True),
        "training.epochs": Range(max(1, min(suited.epochs // 2, longest - 1)), longest),
        "training.batch_size": ValueList((8, 16, 32) if is_small else (16, 32, 64)),
        "training.weight_decay": ValueList((0.0, 0.01, 0.1)),
        "training.averaging": ValueList(("ema", "none")),
    }
    for method in methods:
        dimensions |= _of_method(method)
    if not isinstance(data.task, MultiLabelClassification):
        dimensions["training.label_smoothing"] = ValueList((0.0, 0.05, 0.1, 0.2))
    return Space(dimensions)


def _settings_of_user(config: RunConfig) -> set[str]:
    """The dotted names of what was given, in whatever way; the rest is at its default."""
    given: set[str] = set()
    for section in config.model_fields_set:
        value = getattr(config, section)
        names = getattr(value, "model_fields_set", None)
        given |= {section} if names is None else {f"{section}.{name}" for name in names}
    return given - {"training.method"} if config.training.method == "auto" else given


def _of_method(method: Method) -> dict[str, Dimension]:
    """What only some methods have."""
    own: dict[str, Dimension] = {}
    if is_adapter(method):
        if method not in _WITHOUT_RANK:
            own["adapter.rank"] = ValueList((4, 8, 16, 32))
        if method in _WITH_DROPOUT:
            own["adapter.dropout"] = _DROPOUT
        return own
    own["training.dropout"] = _DROPOUT
    if method in ("bitfit", "norms"):
        return own
    own["training.layer_decay"] = ValueList((0.8, 0.9, 1.0))
    if method == "last-k":
        return {**own, "training.layers": Range(1, 4)}
    own["training.freeze_embeddings"] = ValueList((True, False))
    if method == "few-shot":
        own["few_shot.temperature"] = Range(0.05, 0.3, log=True)
        own["few_shot.rows_a_label"] = ValueList((2, 4, 8))
    return own
