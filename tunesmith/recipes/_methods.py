"""What a method changes: which weights are trained, on what, and what is minimised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from tunesmith.bases import (
    ADAPTERS,
    Classifier,
    PartialMethod,
    Precision,
    PrefixCache,
    TokenizedDataset,
    TokenSource,
    attach_adapter,
    check_four_bit,
    choose_device,
    train_only,
)
from tunesmith.config import Method, RunConfig, TrainingConfig
from tunesmith.errors import ConfigError, Fault, InputError
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._prepare import PreparedData
from tunesmith.tasks import Task
from tunesmith.training import Rows, can_shard
from tunesmith.training.callbacks import check_trackers
from tunesmith.training.criteria import Contrastive, Criterion, Supervised, balanced_weights

__all__ = [
    "check_method",
    "check_rows",
    "has_very_few_rows",
    "is_adapter",
    "is_supervised",
    "make_criterion",
    "may_be_souped",
    "prepare_method",
    "racing_methods",
    "suited_dropout",
    "suited_factor",
    "wants_soft_labels",
    "warn_of_unused",
]

_CACHE_BYTES = 4_000_000_000
_FEW_ROWS_A_LABEL, _VERY_FEW_ROWS_A_LABEL = 64, 16
_ROWS_TO_TELL_BY = 50
_MOST_ROWS_COMPARED = 200_000

# Fewer weights want a higher rate: about ten times for adapters of low rank (Schulman et al. 2025,
# "LoRA Without Regret"); measured on validation rows for the others, see docs/log.md.
_RATE_FACTORS: dict[str, float] = {
    "full": 1.0,
    "few-shot": 1.0,
    "last-k": 5.0,
    "bitfit": 10.0,
    "norms": 10.0,
    "ia3": 50.0,
    "vera": 50.0,
}
_RATE_FACTOR_OF_ADAPTERS = 10.0

_UNUSED: dict[Method, tuple[str, ...]] = {
    "probe": (
        *("loss", "label_smoothing", "soft_labels", "class_weights", "r_drop", "dropout"),
        "model_soup",
    ),
    "few-shot": ("loss", "label_smoothing", "soft_labels", "class_weights", "r_drop", "max_tokens"),
}

_PARTIAL: dict[Method, PartialMethod] = {"last-k": "last-k", "bitfit": "bitfit", "norms": "norms"}


def is_adapter(method: Method) -> bool:
    """Whether the method trains adapters beside the base's own weights."""
    return method in ADAPTERS


def suited_factor(method: Method) -> float:
    """By how much the method's rate is higher than that of full fine-tuning."""
    return _RATE_FACTORS.get(method, _RATE_FACTOR_OF_ADAPTERS)


def is_supervised(method: Method) -> bool:
    """Whether the method minimises a loss of scores against labels; few-shot compares texts."""
    return method not in ("probe", "few-shot")


def wants_soft_labels(config: RunConfig) -> bool:
    """Whether labels are to be softened for the method, or for one of those that race."""
    return config.training.soft_labels != "none" and is_supervised(config.training.method)


def may_be_souped(method: Method, config: RunConfig) -> bool:
    """Whether the mean of several trainings' weights is a model.

    A probe's trainings are all alike. An adapter changes the base by more than the sum of its
    numbers, which begin by chance: there is a mean of the changed bases, and none of adapters.
    """
    apart = is_adapter(method) and config.adapter.keep == "apart"
    return method != "probe" and not apart


def suited_dropout(method: Method, config: RunConfig, classifier: Classifier) -> float:
    """The dropout as given; where it is left open, none but the base's own for R-Drop.

    Raises:
        ConfigError: R-Drop is wanted of a base without dropout.
    """
    training = config.training
    dropout = training.dropout
    if dropout is None:
        dropout = 0.0
        if training.r_drop and is_supervised(method):
            dropout = classifier.dropout
            if not dropout:
                raise ConfigError.of([_no_dropout("the base has none of its own")])
    return dropout


def _no_soup(method: Method) -> Fault:
    what = "cannot be more than 1: adapters that are kept apart have no mean"
    other = ", or --set adapter.keep=merged"
    if method == "probe":
        what, other = "cannot be more than 1 with a probe, whose trainings are all alike", ""
    return Fault(what, "training.model_soup", f"--set training.model_soup=1{other}")


def _no_dropout(why: str) -> Fault:
    return Fault(
        f"compares two passes under dropout, and {why}",
        "training.r_drop",
        "--set training.dropout=0.1",
    )


def racing_methods(data: PreparedData) -> tuple[Method, ...]:
    """What `auto` tries: full fine-tuning, and few-shot where labels have few rows.

    Of very few rows full fine-tuning learns hardly more than the probe (docs/log.md), and those
    that are left to choose by could not tell.
    """
    if has_very_few_rows(data):
        return ("few-shot",)
    return ("full", "few-shot") if _rows_a_label(data) <= _FEW_ROWS_A_LABEL else ("full",)


def has_very_few_rows(data: PreparedData) -> bool:
    """Whether labels have so few rows, and validation so few, that these can tell nothing apart."""
    is_short = len(data.split.validation) < _ROWS_TO_TELL_BY
    return is_short and _rows_a_label(data) <= _VERY_FEW_ROWS_A_LABEL


def _rows_a_label(data: PreparedData) -> float:
    return len(data.split.train) / max(len(data.task.labels), 1)


def check_method(config: RunConfig) -> None:
    """Checks what no single setting shows, before any work is done.

    Raises:
        ConfigError: settings that do not go together; all of them at once.
    """
    training, faults = config.training, []
    if training.r_drop and training.dropout == 0:
        faults.append(_no_dropout("there is none"))
    if config.data.replay_from is not None and config.data.replay == 0:
        faults.append(
            Fault("names rows to replay, but no share of them", "data.replay_from", "--replay 0.2")
        )
    if training.precision == "fp16" and choose_device().type == "cpu":
        faults.append(
            Fault(
                "processors compute in fp16 slower than in fp32, and less exactly; it is for GPUs",
                "training.precision",
                "--set training.precision=auto",
            )
        )
    if training.method == "qlora":
        faults += _faults_of(lambda: check_four_bit(choose_device()))
    faults += _faults_of(lambda: check_trackers(training.track))
    if training.soft_labels != "none" and training.loss != "likelihood":
        faults.append(
            Fault(
                f"the {training.loss} loss is of one right label, and soft labels name several",
                "training.soft_labels",
                "--set training.loss=likelihood, or --set training.soft_labels=none",
            )
        )
    if training.packing:
        faults += _against_packing(config)
    if (training.model_soup or 1) > 1 and not may_be_souped(training.method, config):
        faults.append(_no_soup(training.method))
    if training.sharding == "full":
        faults += _against_sharding(config)
    if faults:
        raise ConfigError.of(faults)


def check_rows(config: RunConfig, task: Task, num_rows: int) -> None:
    """Checks what settings ask of the rows that are learned, before the base is opened.

    Raises:
        ConfigError: the rows are not such.
    """
    if config.training.soft_labels == "none":
        return
    what = ""
    if task.objective != "cross-entropy":
        what = "needs one label a row, and here there are several"
    elif num_rows > _MOST_ROWS_COMPARED:
        what = (
            f"compares every row with every other, and of {num_rows:,} that takes too "
            f"long: at most {_MOST_ROWS_COMPARED:,}"
        )
    if what:
        mend = "--set training.soft_labels=none"
        raise ConfigError(what, where="training.soft_labels", mend=mend)


def warn_of_unused(method: Method, config: RunConfig, listener: Listener) -> None:
    """Says which settings that were given have no part in how the method trains."""
    names = _UNUSED.get(method, ())
    given = [name for name in names if getattr(config.training, name) != _default(name)]
    if given:
        listed = ", ".join(f"training.{name}" for name in given)
        listener.warn(
            f"{method} does not use {listed}: its head is a logistic regression, and what else it "
            "trains has a loss of its own"
        )


def _default(name: str) -> object:
    return TrainingConfig.model_fields[name].default


def _faults_of(check: Callable[[], None]) -> tuple[Fault, ...]:
    """What a check that ends with an error finds."""
    try:
        check()
    except InputError as error:
        return error.faults
    return ()


def _against_packing(config: RunConfig) -> Iterator[Fault]:
    """What does not go with texts that are read one behind the other."""
    training = config.training
    mend = "--set training.packing=false"
    if training.r_drop:
        what = "needs dropout, and there is none in attention where texts are read together"
        yield Fault(what, "training.r_drop", f"--set training.r_drop=0, or {mend}")
    if training.dropout:
        what = "there is no dropout in attention where texts are read one behind the other"
        yield Fault(what, "training.dropout", f"--set training.dropout=0, or {mend}")
    if training.method == "last-k":
        what = "last-k keeps states, and reads them with padding"
        yield Fault(what, "training.packing", mend)
    if training.compile:
        what = "attention within texts of varying length is not compiled"
        yield Fault(what, "training.compile", f"--set training.compile=false, or {mend}")


def _against_sharding(config: RunConfig) -> Iterator[Fault]:
    """What does not go with weights that processes share out."""
    training, place = config.training, "training.sharding"
    if not can_shard():
        yield Fault("needs torch 2.13 or newer", place, "pip install --upgrade torch")
    if training.optimizer in ("muon", "adafactor"):
        yield Fault(
            f"{training.optimizer} needs whole matrices, and each process has a part of them",
            "training.optimizer",
            "--set training.optimizer=adamw, or lion, whose memory is half of it",
        )
    if training.method == "qlora":
        yield Fault(
            "weights of four bits cannot be shared out",
            "training.method",
            "--method lora, or --set training.sharding=none",
        )
    if training.compile:
        yield Fault(
            "layers whose weights come and go cannot be compiled",
            "training.compile",
            "--set training.compile=false",
        )


def prepare_method(
    method: Method,
    classifier: Classifier,
    tokens: TokenizedDataset,
    config: RunConfig,
    listener: Listener,
    *,
    precision: Precision,
    folder: Path,
) -> TokenSource:
    """Makes the classifier ready in place: freezes, attaches an adapter, keeps frozen states.

    Returns:
        The training texts, with the frozen layers' states where the method keeps them.

    Raises:
        ConfigError: the method does not fit the base or this machine.
    """
    training, adapter = config.training, config.adapter
    if is_adapter(method):
        attach_adapter(
            classifier,
            method,
            rank=adapter.rank,
            alpha=adapter.alpha,
            dropout=adapter.dropout,
            targets=adapter.targets,
        )
    else:
        train_only(
            classifier,
            _PARTIAL.get(method, "full"),
            layers=training.layers,
            embeddings=not training.freeze_embeddings,
        )
    classifier.gradient_checkpointing(training.gradient_checkpointing)
    if training.compile:
        classifier.compile_layers()
    trained = [p.numel() for p in classifier.parameters() if p.requires_grad]
    total = sum(parameter.numel() for parameter in classifier.parameters())
    kept = "; word embeddings stay as they are" if training.freeze_embeddings else ""
    listener.say(
        f"{method}: {sum(trained):,} of {total:,} weights are trained "
        f"({sum(trained) / total:.1%}{kept if not is_adapter(method) else ''})"
    )
    if method != "last-k" or suited_dropout(method, config, classifier) > 0:
        return tokens
    cache = PrefixCache.build(
        classifier.at(precision), tokens, training.layers, folder / "checkpoints", _CACHE_BYTES
    )
    if cache is None:
        listener.say("last-k: the frozen layers' states are not kept, but computed in each step")
        return tokens
    return cache


def make_criterion(
    method: Method,
    task: Task,
    rows: Rows,
    config: RunConfig,
    *,
    inherited: tuple[Tensor, Tensor] | None = None,
) -> Criterion:
    """What the method minimises.

    Args:
        inherited: the head that training goes on from; None where it begins with a new one.
    """
    training = config.training
    if method == "few-shot":
        return Contrastive(
            rows,
            task.objective,
            num_labels=task.head.size,
            temperature=config.few_shot.temperature,
            rows_a_label=config.few_shot.rows_a_label,
            start=inherited,
        )
    weights = None
    if training.class_weights == "balanced":
        weights = balanced_weights(rows.targets, task.head.size)
    return Supervised(
        task.objective,
        loss=training.loss,
        label_smoothing=training.label_smoothing,
        focal_gamma=training.focal_gamma,
        robustness=training.robustness,
        class_weights=weights,
        r_drop=training.r_drop or 0.0,
    )
