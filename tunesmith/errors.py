"""Everything Tunesmith raises on purpose.

TunesmithError                  exit code 1
├── InputError                  exit code 2: what was given is wrong
│   ├── ConfigError             a setting, a flag, a YAML file
│   ├── DataError               a data file, its columns, its rows
│   ├── BaseModelError          a base model's folder or id
│   ├── BundleError             a bundle's folder, or a file in it that was changed
│   ├── OutputError             where results should go: folder taken, disk full, port in use
│   └── MissingDependencyError  an optional part of Tunesmith is not installed
├── TrainingError               exit code 1: training could not go on
│   └── DivergedError           the loss is not a number any more
└── Interrupted                 exit code 130: stopped by the user; a checkpoint was kept

Every error holds one or more faults, each with what is wrong, where, and how to mend it. The tree
knows no HTTP: `tunesmith.serving` alone maps errors to status codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

__all__ = [
    "BaseModelError",
    "BundleError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "Fault",
    "InputError",
    "Interrupted",
    "MissingDependencyError",
    "OutputError",
    "TrainingError",
    "TunesmithError",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        what: the fault in one clause ("column 'lable' does not exist").
        where: file, row, column or setting ("tickets.csv, row 17"); may be empty.
        mend: what the user can do about it; may be empty.
    """

    what: str
    where: str = ""
    mend: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  → {self.mend}" if self.mend else text


class TunesmithError(Exception):
    """Base of the tree; `str()` of it is the message that a user reads."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.faults: tuple[Fault, ...] = (Fault(what, where, mend),)
        super().__init__(str(self.faults[0]))

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """One error that reports several faults at once, in the order given."""
        faults = tuple(faults)
        first = faults[0]
        error = cls(first.what, where=first.where, mend=first.mend)
        error.faults = faults
        error.args = ("\n".join(str(fault) for fault in faults),)
        return error


class InputError(TunesmithError):
    """What the user gave is wrong; no work was started and nothing was written."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class DataError(InputError):
    """A data file cannot be read, or what it holds cannot be used."""


class BaseModelError(InputError):
    """A base model is missing, unsafe to open, or does not fit the task."""


class BundleError(InputError):
    """A bundle is missing, incomplete, or was changed after it was written."""


class OutputError(InputError):
    """Results cannot be put where they were asked for."""


class MissingDependencyError(InputError):
    """An optional part of Tunesmith is needed and not installed."""


class TrainingError(TunesmithError):
    """Training could not go on."""


class DivergedError(TrainingError):
    """The loss is not a number any more; a lower rate may help."""


class Interrupted(TunesmithError):  # noqa: N818 - a stop that the user asked for is no error
    """The user stopped the work; the message says how to go on."""

    exit_code = 130
