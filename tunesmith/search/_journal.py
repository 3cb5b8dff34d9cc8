"""A study on disk: each change is a line of `journal.log`, written through before the next."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tunesmith.search._space import Range, Space

__all__ = ["distributions", "open_journal"]

_NAME = "tunesmith"  # part of what decides a trial's bracket, so it must never change


def open_journal(file: Path) -> optuna.Study:
    """The study in `file`, which is made where it is missing.

    The caller must be the only process that writes to it: what a killed process left behind, a
    half-written last line or a lock, is removed first.
    """
    _mend(file)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))),
        study_name=_NAME,
        direction="maximize",
        # Hyperband is asked by `Study` itself: as the study's own pruner it would show the sampler
        # the trials of one bracket only, too few to learn from.
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space in the sampler's terms."""
    found: dict[str, BaseDistribution] = {}
    for name, one in space.dimensions.items():
        if not isinstance(one, Range):
            found[name] = CategoricalDistribution(one.values)
        elif isinstance(one.low, int) and isinstance(one.high, int):
            found[name] = IntDistribution(one.low, one.high, log=one.log, step=int(one.step or 1))
        else:
            found[name] = FloatDistribution(one.low, one.high, log=one.log, step=one.step)
    return found


def _mend(file: Path) -> None:
    for lock in file.parent.glob(f"{file.name}.lock*"):
        lock.unlink(missing_ok=True)
    if file.is_file():
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with file.open("r+b") as opened:
                opened.truncate(whole)
