"""A smaller model made of some of a larger one's own layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunesmith.bases._classifier import Classifier, load_classifier
from tunesmith.bases._layers import layers_of, name_of
from tunesmith.bases._tokens import TokenBatch
from tunesmith.errors import BaseModelError, ConfigError

__all__ = ["spread_layers", "with_layers"]

_PER_LAYER = ("layer_types", "layers_block_type")
_TOLERANCE = 1e-4


def spread_layers(num_layers: int, num_kept: int) -> tuple[int, ...]:
    """Places of the layers that are kept, from 0: the first, the last, and evenly between them.

    Of twelve layers six are 0, 2, 4, 7, 9 and 11, as in DistilBERT (Sanh et al. 2019,
    arXiv:1910.01108); for "shrink and fine-tune" see Shleifer & Rush 2020 (arXiv:2010.13002). A
    single one is the first, which is used to reading the embeddings (Sajjad et al. 2020,
    arXiv:2004.03844: the upper layers are missed least).
    """
    if num_kept == 1:
        return (0,)
    return tuple(round(place * (num_layers - 1) / (num_kept - 1)) for place in range(num_kept))


def with_layers(
    model: Classifier, kept: Sequence[int], folder: Path, trial: TokenBatch
) -> Classifier:
    """A model of its own with some of the layers; all else is copied, pooling and head too.

    It is written in Hugging Face layout and opened again, so that it is what its config says.

    Args:
        model: in float32, without an adapter.
        kept: places of the layers, in their order.
        folder: a new folder, for the smaller model.
        trial: texts on which the opened model must score as the cut one.

    Raises:
        ConfigError: the family's layers depend on their places, so that none can be left out.
        BaseModelError: see `layers_of`.
        OSError: the disk is full.
    """
    cut = copy.deepcopy(model).cpu().eval()
    layers = layers_of(cut)
    num_layers = len(layers)
    name = name_of(layers, cut.backbone)
    cut.backbone.set_submodule(name, nn.ModuleList([layers[place] for place in kept]))
    config: Any = cut.backbone.config
    config.num_hidden_layers = len(kept)
    for key in _PER_LAYER:
        values = getattr(config, key, None)  # some configs make it of the number
        if isinstance(values, list) and len(values) == num_layers:
            setattr(config, key, [values[place] for place in kept])
    cannot = ConfigError(
        f"layers of {type(model.encoder).__name__} cannot be left out: each depends on its place",
        where="--distil",
        mend="leave it out, or train on a smaller base",
    )
    folder.mkdir(parents=True)
    cut.save(folder)
    try:
        opened = load_classifier(folder, model.pooling, model.head.out_features)
        gap = _gap(cut, opened, trial)
    except (BaseModelError, RuntimeError, ValueError, LookupError, AttributeError) as error:
        raise cannot from error
    if not gap <= _TOLERANCE:
        raise cannot
    return opened


def _gap(cut: Classifier, opened: Classifier, trial: TokenBatch) -> float:
    with torch.inference_mode():
        return float((cut(trial) - opened(trial)).abs().max())
