"""Every setting with its default and its meaning, here and nowhere else.

The command line's flags and `--set section.name=value` are two ways to write to the same place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_serializer,
    model_validator,
)

from tunesmith.config._redact import redact

__all__ = [
    "AdapterConfig",
    "BaseConfig",
    "CardConfig",
    "DataConfig",
    "EvaluationConfig",
    "FewShotConfig",
    "Loss",
    "Method",
    "Optimizer",
    "RunConfig",
    "Schedule",
    "Section",
    "Tracker",
    "TrainingConfig",
    "parse_duration",
]

Method: TypeAlias = Literal[
    "auto", "probe", "full", "few-shot", "last-k", "bitfit", "norms",
    "lora", "dora", "rslora", "qlora", "pissa", "olora", "gralora", "hira", "delora", "vera",
    "randlora", "loha", "lokr", "miss", "ia3", "glora", "road", "oft", "boft", "hra", "psoft",
    "shira", "fourierft", "waveft", "c3a",
]  # fmt: skip
Optimizer: TypeAlias = Literal[
    "adamw", "adam", "amsgrad", "sgd", "rmsprop", "adafactor", "muon", "lion", "schedule-free"
]
Schedule: TypeAlias = Literal["linear", "cosine", "constant", "wsd"]
Loss: TypeAlias = Literal["likelihood", "focal", "robust"]
Tracker: TypeAlias = Literal[
    "tensorboard", "mlflow", "wandb", "trackio", "comet_ml", "aim", "clearml", "dvclive", "swanlab"
]
Fraction: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


def parse_duration(value: object) -> object:
    """ "90", "90s", "10m", "2h" or "1h30m" as seconds; anything else as it is.

    Raises:
        ValueError: a text that is none of these.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip().lower())
    if match is None or not any(match.groups()):
        raise ValueError("must be a time such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m)?\s*(?:(\d+(?:\.\d+)?)\s*s?)?"
)


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Duration: TypeAlias = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]


class Section(BaseModel):
    """Some settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Section):
    """Which file, which columns, which rows."""

    source: str = ""
    """Labelled rows: a file (csv, tsv, jsonl, parquet, xlsx …), a folder, a pattern such as
    "data/*.csv", or an address: sqlite:///shop.db?table=tickets, hf://datasets/owner/name."""
    target: str | None = None
    """Column that holds the label; guessed where there is only one sensible choice."""
    text: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(max_length=2)] = ()
    """One or two columns to read; guessed where there is only one sensible choice."""
    multi_label: bool | None = None
    """Whether a row may have several labels; null: decided from the label column."""
    label_separator: str | None = None
    """What separates labels in one cell, such as "|"; setting it makes the task multi-label."""
    validation: str | None = None
    """File with validation rows; null: held out of `source`."""
    test: str | None = None
    """File with test rows, opened once, for the report; null: held out of `source`."""
    validation_fraction: Fraction | None = None
    """Share held out for validation where no validation file is given; null: a tenth; of fewer
    than 2,000 rows 200, but at most a quarter; of more than 5,000 rows 500, which are enough to
    choose an epoch by."""
    test_fraction: Fraction = 0.1
    """Share held out for the test where no test file is given."""
    split: Literal["stable", "stratified"] = "stable"
    """stable: each row's part follows from its text, so that rows which come later move no others;
    stratified: each part has the exact share of every label, and a few rows change sides."""
    group: str | None = None
    """Column whose equal values stay on one side, such as the contract or the patient."""
    time: str | None = None
    """Column that says when: the latest rows become the test, those before them validation."""
    near_duplicates: Literal["together", "apart"] = "together"
    """Whether texts that say nearly the same stay on one side."""
    drop_missing: bool = False
    """Leave out rows without text or label, rather than refuse them."""
    drop_rare_labels: bool = False
    """Leave out labels with a single row, rather than refuse them."""
    corrections: str | None = None
    """File of decisions that `tunesmith review` wrote; rows of `source` are relabelled and left out
    as it says, before they are split."""
    clean: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """Cleaning steps to take before training, by name, or "safe" for all that lose nothing; files
    with validation and test rows stay as they are."""
    checks: bool = True
    """Look for faults in the rows before training, and say what is found."""
    names: bool = False
    """Take names of persons for personal data as well, in the checks and in what reports show;
    needs the extra `presidio` and a spaCy model, and is slow."""
    names_model: str | None = None
    """The spaCy model that finds names, a package or a folder; null: the best one installed for
    the language of the texts."""
    replay: Fraction = 0.0
    """Where the base is a bundle: rows of its own training data, mixed into the new ones, as a
    share of the new; so that less of the old is forgotten."""
    replay_from: str | None = None
    """File with the rows to replay; null: those that the bundle's run folder kept."""
    keep_held_out: bool = True
    """Keep test rows in the bundle, so that what is trained from it can be judged on them."""

    @field_serializer("source", "validation", "test", "replay_from", when_used="json")
    def _without_password(self, value: str | None) -> str | None:
        """What is written to a file keeps no password; the settings in memory do."""
        return None if value is None else redact(value)


class BaseConfig(Section):
    """The pretrained model to start from."""

    id: str = "minilm"
    """"minilm" (embedded), a folder, a bundle, or a Hugging Face hub id."""
    pooling: Literal["auto", "mean", "first", "last"] = "auto"
    """How the tokens' states become one vector; auto: what fits the base."""
    max_length: Annotated[int, Field(ge=4)] | None = None
    """Most tokens read of one example; null: the base's own limit, at most 512."""
    labels: Literal["keep", "extend", "new"] = "keep"
    """Where the base is a bundle: keep its labels and head; extend them by those that are new in
    the data; or begin with a new head for the labels of the data alone."""


class TrainingConfig(Section):
    """How the weights are trained."""

    method: Method = "auto"
    """probe: a linear head on the frozen base; full: then all of its layers; last-k: its last
    layers; bitfit, norms: its biases, its norms; few-shot: contrastive, for a few rows a label;
    lora and other names of PEFT: adapters; auto: the best of several on validation."""
    budget_s: Duration | None = None
    """Time for training, in seconds or as 10m; null: as long as it takes."""
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Passes over the training rows; null: chosen by their number."""
    layers: Annotated[int, Field(ge=1)] = 2
    """How many of the base's last layers `last-k` trains."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """Rows a step."""
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    """Tokens that are worked on at once; a step with more is done in parts, to the same result.
    null: what fits; halved where the memory does not suffice."""
    optimizer: Optimizer = "adamw"
    """What updates the weights: adamw, adam, amsgrad, sgd, rmsprop, adafactor, muon, lion or
    schedule-free."""
    learning_rate: Annotated[float, Field(gt=0, lt=10)] | None = None
    """Peak rate; null: what suits the base's size, the method and the optimiser."""
    momentum: Fraction = 0.9
    """Momentum of sgd, rmsprop and muon."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Decoupled decay of matrices (an L2 penalty with adam, sgd and rmsprop); biases and norms have
    none."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the rate from each layer to the one below it; 1: the same rate everywhere."""
    schedule: Schedule = "linear"
    """How the rate falls after the warm-up: in a line, as a cosine, not at all, or (wsd) in a line
    over the last fifth. schedule-free keeps its rate."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps in which the rate rises."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    averaging: Literal["ema", "soup", "none"] = "ema"
    """What is evaluated and kept: a moving average of the weights; the mean of the weights after
    each epoch so far; or the weights themselves. schedule-free averages by itself."""
    average_decay: Fraction | None = None
    """Decay of the moving average; null: an average over about a quarter of an epoch."""
    loss: Loss = "likelihood"
    """likelihood: cross-entropy, or binary cross-entropy for several labels a row; focal: less
    weight on rows that are right already; robust: less pull from rows labelled wrongly."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """How much less such rows weigh in the focal loss; 0: cross-entropy."""
    robustness: Annotated[float, Field(gt=0, le=1)] = 0.7
    """q of the robust loss: near 0 it is cross-entropy, 1 the absolute error."""
    label_smoothing: Fraction = 0.1
    """Share of a single-label target that is spread over all labels while fine-tuning, where the
    loss is likelihood."""
    soft_labels: Literal["none", "neighbours"] = "none"
    """neighbours: learn of each row what the labels of the nearest texts say, not its own label;
    for files in which people gave many wrongly. With one label a row, and loss=likelihood."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare labels weigh more, by the inverse of their number of rows."""
    r_drop: Annotated[float, Field(ge=0)] | None = None
    """Weight of the difference between two passes under dropout; 0: one pass. null: 1 where a
    budget leaves time for it, else 0."""
    dropout: Fraction | None = None
    """Dropout inside the base while training; null: the base's own with R-Drop, else
    none."""
    freeze_embeddings: bool = True
    """Leave the token embeddings as they are: about a fifth faster, a little less accurate."""
    gradient_checkpointing: bool = False
    """Compute the layers' inner states again instead of keeping them: less
    memory, a third slower."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better validation metric; null: never early."""
    refit: Literal["auto", "always", "never"] = "auto"
    """Whether the chosen method is trained once more, on training and validation rows together, and
    that is shipped; auto: where both are at most 2,000 rows of one file and the budget allows, and
    of larger ones where a budget leaves time for it."""
    model_soup: Annotated[int, Field(ge=1, le=20)] | None = None
    """How many trainings of the chosen method, 1 to 20, each with the rows in another order and as
    long as the first, the shipped weights are the mean of; null: 1, or up to 3 as a budget leaves
    time. Not for probe, nor for adapters that are kept apart."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the base's layers; auto: bf16 where a measurement says that it is faster; fp16
    on GPUs that have no bf16."""
    sharding: Literal["none", "full"] = "none"
    """Where several processes train together (torchrun), what each holds: none: the whole model;
    full: a part of every weight, gradient and average, for a base that one GPU cannot train."""
    packing: bool = False
    """Read a step's texts one behind the other, without padding, where the base's family can; for
    GPUs, in bf16 or fp16."""
    compile: bool = False
    """Compile the layers (torch.compile); pays on GPUs in long runs."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads; null: the cores that this process may use, or fewer where OMP_NUM_THREADS
    says so."""
    checkpoint_interval_s: Annotated[float, Field(ge=0)] = 60.0
    """How much work, in seconds, a crash may cost."""
    checkpoints_kept: Annotated[int, Field(ge=1)] = 2
    """The newest so many checkpoints stay."""
    track: Annotated[tuple[Tracker, ...], BeforeValidator(_as_tuple)] = ()
    """Trackers that get losses and metrics, such as tensorboard or mlflow."""


class AdapterConfig(Section):
    """Adapters, for the methods that train them (lora and the others of PEFT)."""

    rank: Annotated[int, Field(ge=1)] = 16
    """Rank of the update of each matrix."""
    alpha: Annotated[float, Field(gt=0)] | None = None
    """Scale of the update, divided by the rank; null: twice the rank."""
    dropout: Fraction = 0.0
    """Dropout on an adapter's input while training."""
    targets: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """Names of the layers that get an adapter; none: all linear layers of the base."""
    keep: Literal["merged", "apart"] = "merged"
    """Whether the bundle holds the base with the adapter merged into it, or
    both, each for itself."""


class FewShotConfig(Section):
    """Contrastive training, for the method few-shot."""

    temperature: Annotated[float, Field(gt=0)] = 0.1
    """How sharply near rows are told from far ones."""
    rows_a_label: Annotated[int, Field(ge=2)] = 4
    """Rows of each label in a batch."""


class EvaluationConfig(Section):
    """How the result is judged."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Level of the intervals."""
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Bootstrap resamples behind the intervals."""
    slices: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """Columns whose values the test rows are taken apart by, beside length, language and label;
    they need not be columns that the model reads."""
    fairness: str | None = None
    """Column whose groups are compared: how often each gets a label, and rightly."""
    robustness: bool = True
    """Change test texts in ways that should not matter, and see whether the answers stay."""
    max_robustness_rows: Annotated[int, Field(ge=20, le=10_000)] = 200
    """Test rows that are changed, at most; of long texts fewer, so that it takes seconds."""
    explanation_seconds: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Time for explaining some test rows word by word, the surest mistakes first; 0: none."""
    conformal: Literal["lac", "raps"] = "lac"
    """How sets of labels are made: lac: the smallest on average; raps: larger where a text is hard,
    and in all."""


class CardConfig(Section):
    """What the model card says that only the user knows."""

    intended_use: str | None = None
    """What the model is for, and for whom; Markdown."""
    limitations: str | None = None
    """What it must not be used for, and where it is known to fail; Markdown."""
    license: str | None = None
    """Licence of the model, such as apache-2.0; null: that of the base."""
    watts: Annotated[float, Field(gt=0)] | None = None
    """Power that the machine draws while it trains; null: measured by the processor's counters
    where they can be read, else reckoned at 12 W a core and 300 W a GPU."""
    carbon_intensity: Annotated[float, Field(ge=0)] = 475.0
    """Grams of CO2 equivalent a kilowatt-hour of the electricity used; the default is the world's
    average (IEA 2019)."""


class RunConfig(Section):
    """Everything that decides a run's result, beside the data and the code."""

    data: DataConfig = DataConfig()
    base: BaseConfig = BaseConfig()
    training: TrainingConfig = TrainingConfig()
    adapter: AdapterConfig = AdapterConfig()
    few_shot: FewShotConfig = FewShotConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    card: CardConfig = CardConfig()
    output: str | None = None
    """Folder for the run; null: a new one under `runs/`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seed of the split, the order of the rows and the intervals."""

    @model_validator(mode="before")
    @classmethod
    def _no_null_sections(cls, values: Any) -> Any:
        # An empty section in YAML ("training:") reads as null and means "all defaults".
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if value is not None}
        return values
