"""A run's settings: load YAML → dotted overrides → validate everything at once → dump."""

from tunesmith.config._load import dump, in_plain_words, load, setting_names
from tunesmith.config._redact import password_in, redact
from tunesmith.config._schema import (
    AdapterConfig,
    BaseConfig,
    DataConfig,
    EvaluationConfig,
    FewShotConfig,
    Loss,
    Method,
    Optimizer,
    RunConfig,
    Schedule,
    Tracker,
    TrainingConfig,
    parse_duration,
)

__all__ = [
    "AdapterConfig",
    "BaseConfig",
    "DataConfig",
    "EvaluationConfig",
    "FewShotConfig",
    "Loss",
    "Method",
    "Optimizer",
    "RunConfig",
    "Schedule",
    "Tracker",
    "TrainingConfig",
    "dump",
    "in_plain_words",
    "load",
    "parse_duration",
    "password_in",
    "redact",
    "setting_names",
]
