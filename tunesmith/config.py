"""A run's settings: load YAML → dotted overrides → validate everything at once → dump.

Every setting has its default and its meaning here, and nowhere else; the command line's flags and
`--set section.name=value` are two ways to write to the same place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tunesmith.errors import ConfigError, Fault

__all__ = [
    "BaseConfig",
    "DataConfig",
    "EvaluationConfig",
    "Method",
    "RunConfig",
    "TrainingConfig",
    "dump",
    "load",
]

Method: TypeAlias = Literal["auto", "probe", "full"]
Fraction: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(_Section):
    """Which file, which columns, which rows."""

    source: str = ""
    """File with labelled rows (csv, tsv, jsonl, parquet, xlsx, `datasets` folder)."""
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
    """Share held out for validation where no validation file is given; null: a tenth, and of
    more than 5,000 rows 500, which are enough to choose an epoch by."""
    test_fraction: Fraction = 0.1
    """Share held out for the test where no test file is given."""
    drop_missing: bool = False
    """Leave out rows without text or label, rather than refuse them."""
    drop_rare_labels: bool = False
    """Leave out labels with a single row, rather than refuse them."""


class BaseConfig(_Section):
    """The pretrained model to start from."""

    id: str = "minilm"
    """"minilm" (embedded), a folder, a bundle, or a Hugging Face hub id."""
    pooling: Literal["auto", "mean", "first", "last"] = "auto"
    """How the tokens' states become one vector; auto: what fits the base."""
    max_length: Annotated[int, Field(ge=4)] | None = None
    """Most tokens read of one example; null: the base's own limit, at most 512."""


class TrainingConfig(_Section):
    """How the weights are trained."""

    method: Method = "auto"
    """probe: a linear head on the frozen base; full: then all of its layers; auto: the better of
    the two on validation."""
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Passes over the training rows; null: chosen by their number."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """Rows a step."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Peak rate of AdamW; null: what suits the base's size."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Decoupled decay of matrices; biases and norms have none."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps in which the rate rises; then it falls in a line to zero."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    average_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay of the moving average of the weights, which is what is evaluated and kept; 0: none;
    null: an average over about a quarter of an epoch."""
    dropout: Fraction = 0.0
    """Dropout inside the base while training."""
    label_smoothing: Fraction = 0.1
    """Share of a single-label target that is spread over all labels while fine-tuning."""
    freeze_embeddings: bool = True
    """Leave the token embeddings as they are: about a fifth faster, a little less accurate."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better validation metric; null: never early."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the base's layers; auto: bf16 where a measurement says that it is faster."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads; null: the cores that this process may use."""


class EvaluationConfig(_Section):
    """How the result is judged."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Level of the intervals."""
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Bootstrap resamples behind the intervals."""


class RunConfig(_Section):
    """Everything that decides a run's result, beside the data and the code."""

    data: DataConfig = DataConfig()
    base: BaseConfig = BaseConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
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


def load(
    file: Path | None = None,
    overrides: Iterable[str] = (),
    settings: Mapping[str, object] | None = None,
) -> RunConfig:
    """Settings from a YAML file, then `a.b=value` overrides, then explicit settings.

    Args:
        file: YAML with the sections of `RunConfig`.
        overrides: "section.name=value" with the value in YAML ("training.epochs=4").
        settings: dotted name → value, as flags give them; None values are passed over.

    Raises:
        ConfigError: all faults at once, each with its place and, for a near miss, the name meant.
    """
    values: dict[str, Any] = _read_yaml(file) if file else {}
    faults: list[Fault] = []
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            faults.append(Fault("is not of the form section.name=value", f"--set {override}"))
            continue
        try:
            _place(values, name.strip(), yaml.safe_load(text))
        except (yaml.YAMLError, ConfigError) as error:
            faults.append(Fault(f"cannot be read: {error}", f"--set {override}"))
    for name, value in (settings or {}).items():
        if value is not None:
            try:
                _place(values, name, value)
            except ConfigError as error:
                faults.append(Fault(str(error), name))
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        faults.extend(_fault(entry, str(file) if file else "") for entry in error.errors())
    if faults:
        raise ConfigError.of(faults)
    return config


def dump(config: RunConfig) -> str:
    """The settings as YAML that `load` reads back to the same."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {error}", where=str(file)) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError("must hold sections such as 'training:'", where=str(file))
    return values


def _place(values: dict[str, Any], name: str, value: object) -> None:
    *sections, last = name.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if inner is None:
            inner = values[section] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{section!r} is a value, not a section")
        values = inner
    values[last] = value


def _fault(entry: Any, file: str) -> Fault:
    name = ".".join(str(part) for part in entry["loc"])
    where = f"{file}: {name}" if file else name
    if entry["type"] != "extra_forbidden":
        return Fault(f"{entry['msg']} (got {entry['input']!r})", where)
    known = setting_names()
    # An unknown section is reported by its own name, without the settings in it.
    peers = known if "." in name else list(RunConfig.model_fields)
    near = difflib.get_close_matches(name, peers, n=1) or [
        full for full in known if full.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]
    ]
    mend = f"did you mean {near[0]!r}?" if near else f"settings: {', '.join(known)}"
    return Fault("there is no such setting", where, mend)


def setting_names() -> list[str]:
    """Every setting's dotted name, in the order of this file."""
    names: list[str] = []
    for name, info in RunConfig.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            names.extend(f"{name}.{inner}" for inner in section.model_fields)
        else:
            names.append(name)
    return names
