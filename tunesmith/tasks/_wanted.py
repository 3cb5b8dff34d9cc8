"""What may be asked for beside the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.errors import ConfigError, Fault
from tunesmith.tasks._assurance import Conformal, Scope, Selective

__all__ = ["Wanted", "check_wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer should say beside the labels and their probabilities.

    Attributes:
        abstain_below: answers less likely than this are marked as `abstained`.
        precision: the same with the threshold from which on answers were right so often on
            validation rows; see `Selective`.
        coverage: a `label_set` that holds the true label so often; see `Conformal`.
        scope: whether the input is `in_scope`; see `Scope`.
    """

    abstain_below: float | None = None
    precision: float | None = None
    coverage: float | None = None
    scope: bool = False

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = Wanted()


def check_wanted(
    wanted: Wanted,
    selective: Selective | None,
    conformal: Conformal | None,
    scope: Scope | None,
    *,
    several: bool,
) -> None:
    """Checks all that is wanted against what the task has.

    Args:
        several: whether a text may have several labels.

    Raises:
        ConfigError: something wanted is no probability, or the model cannot give it; each is named.
    """
    faults: list[Fault] = []
    for name in ("abstain_below", "precision", "coverage"):
        value = getattr(wanted, name)
        if value is None:
            continue
        if several:
            faults.append(Fault("is for models that give one label a text", name))
        elif not 0 < value < 1:
            faults.append(Fault(f"{value:g} is not between 0 and 1", name, "give 0.9 for 90 %"))
        elif name == "precision":
            faults += _faults(name, None if selective is None else selective.threshold, value)
        elif name == "coverage":
            faults += _faults(name, None if conformal is None else conformal.limits, value)
    if wanted.abstain_below is not None and wanted.precision is not None:
        faults.append(Fault("gives a threshold of its own", "precision", "leave abstain_below out"))
    if wanted.scope and scope is None:
        faults += _faults("scope", None, 0)
    if faults:
        raise ConfigError.of(faults)


def _faults(
    name: str, look_up: Callable[[float], object] | None, value: float
) -> tuple[Fault, ...]:
    if look_up is None:
        mend = "train it again, with 50 validation rows or more"
        return (Fault("the model was not given this when it was trained", name, mend),)
    try:
        look_up(value)
    except ConfigError as error:
        return error.faults
    return ()
