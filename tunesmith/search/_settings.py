"""How long and how widely to search, and what one trial may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tunesmith.config import in_plain_words, parse_duration
from tunesmith.errors import ConfigError, Fault

__all__ = ["SearchSettings", "make_settings"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


def _parse_size(value: object) -> object:
    """ "4GB", "512MiB" or "2g" as bytes; anything else as it is.

    Raises:
        ValueError: a text that is none of these.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("must be a size such as 4GB or 512MB")
    return round(float(match[1]) * _UNITS[(match[2] or "").lower()])


Duration: TypeAlias = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
Size: TypeAlias = Annotated[int, BeforeValidator(_parse_size), Field(ge=100_000_000)]


class SearchSettings(BaseModel):
    """What decides how a study goes on, beside the space and the settings that it varies."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    trials: Annotated[int, Field(ge=1, le=100_000)] = 30
    """How many settings to try; repeated and interrupted trials are not counted."""
    budget_s: Duration | None = None
    """Time for all trials, in seconds or as 2h; null: as long as they take."""
    jobs: Annotated[int, Field(ge=1, le=1024)] = 1
    """Trials at once; they share the cores."""
    memory_bytes: Size | None = None
    """The most memory that one trial may take; null: a job's share of what is free at the start."""
    trial_limit_s: Duration | None = None
    """The most time that one trial may take; null: no limit of its own."""


def make_settings(
    values: Mapping[str, object], *, names: Mapping[str, str] | None = None
) -> SearchSettings:
    """Settings from values; those that are None keep their default.

    Args:
        names: field → how the user knows it ("--budget"), for the errors.

    Raises:
        ConfigError: all faults at once.
    """
    try:
        return SearchSettings.model_validate({n: v for n, v in values.items() if v is not None})
    except ValidationError as error:
        faults = []
        for entry in error.errors():
            field = str(entry["loc"][0])
            where = (names or {}).get(field, f"search.{field}")
            faults.append(Fault(in_plain_words(entry), where))
        raise ConfigError.of(faults) from None
