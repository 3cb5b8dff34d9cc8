"""The base opened with a head on it, and the splits as its token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tunesmith.bases import (
    DTYPES,
    Base,
    Classifier,
    Pooling,
    Precision,
    TokenCache,
    TokenizedDataset,
    choose_device,
    choose_precision,
    load_tokenizer,
    new_classifier,
    set_threads,
    tokenize,
)
from tunesmith.config import RunConfig
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._predictions import warn_of_cut
from tunesmith.recipes._prepare import PreparedData
from tunesmith.tasks import Task
from tunesmith.training import Processes

__all__ = [
    "UNKNOWN_SHARE_WORTH_A_WARNING",
    "Model",
    "TokenizedSplit",
    "build_model",
    "space_needed",
    "tokenize_split",
]

UNKNOWN_SHARE_WORTH_A_WARNING = 0.05
_REPORT_BYTES = 15_000_000  # with the tokenizer, twice, and the held-out rows


@dataclass(frozen=True, slots=True)
class Model:
    """A base with its head, its tokenizer, and how both are used."""

    classifier: Classifier
    tokenizer: Any
    pooling: Pooling
    max_length: int
    precision: Precision


@dataclass(frozen=True, slots=True)
class TokenizedSplit:
    """The three splits as token ids."""

    train: TokenizedDataset
    validation: TokenizedDataset
    test: TokenizedDataset


def build_model(
    base: Base,
    config: RunConfig,
    task: Task,
    listener: Listener,
    *,
    precision: Precision | None = None,
) -> Model:
    """Opens the base, puts a head on it, and chooses pooling, length and precision.

    Args:
        precision: that of the run that goes on; None: as set, or as measured.

    Raises:
        BaseModelError: the base cannot be opened.
    """
    threads = set_threads(config.training.threads)
    torch.manual_seed(config.seed)
    pooling = base.pooling if config.base.pooling == "auto" else config.base.pooling
    reason = base.pooling_reason if config.base.pooling == "auto" else "as set"
    max_length = min(config.base.max_length or base.max_length, base.max_length)
    tokenizer = load_tokenizer(base.path)
    classifier = new_classifier(
        base.path,
        pooling,
        task.head.size,
        dropout=config.training.dropout or 0.0,
        adapter=base.adapter,
    )
    device = choose_device()
    classifier.to(device)
    chosen, why = choose_precision(precision or config.training.precision, device)
    why = "as before" if precision else why
    # Processes that train together may measure differently.
    agreed = Processes().from_first(lambda: chosen)
    used = next(name for name in DTYPES if name == agreed)
    listener.say(f"base {base.id} ({base.family}); {pooling} pooling: {reason}")
    cores = "1 thread" if threads == 1 else f"{threads} threads"
    listener.say(f"{used} on {device}, {cores}: {why}")
    return Model(classifier, tokenizer, pooling, max_length, used)


def tokenize_split(model: Model, data: PreparedData, listener: Listener) -> TokenizedSplit:
    """Turns the splits into token ids; says what is cut and what the base does not know."""
    parts = (data.split.train, data.split.validation, data.test)
    listener.stage("reading the texts", sum(len(part) for part in parts))
    cache = TokenCache.of_user()
    tokenized = [
        tokenize(
            model.tokenizer, part.inputs, model.max_length, cache=cache, on_rows=listener.advance
        )
        for part in parts
    ]
    lengths = np.concatenate([part.full_lengths for part in tokenized])
    warn_of_cut(lengths, model.max_length, listener)
    unknown = tokenized[0].unknown_share
    if unknown >= UNKNOWN_SHARE_WORTH_A_WARNING:
        listener.warn(
            f"the base does not know {unknown:.0%} of the tokens in the training texts: it was "
            f"made for another language or alphabet; choose one that fits with --base"
        )
    return TokenizedSplit(*tokenized)


def space_needed(model: Model, config: RunConfig) -> int:
    """About the most that a run writes, in bytes: its bundle, and checkpoints until that is there.

    A checkpoint holds the trained weights five times over: as they are, the best, the average, and
    two moments of the optimiser. One more than is kept is there while it is written. Those of the
    trainings before stay until the bundle is there, beside a soup that is made of them.
    """
    size = sum(parameter.numel() * 4 for parameter in model.classifier.parameters())
    training, bundle = config.training, size + _REPORT_BYTES
    if training.method == "probe":
        return bundle
    # What a budget adds by itself is not asked for, and no reason to refuse a run.
    is_refitted, is_souped = training.refit == "always", (training.model_soup or 1) > 1
    kept = training.checkpoints_kept * 5 * (1 + is_refitted + is_souped)
    return bundle + (kept + 5 + 2 * is_souped) * size
