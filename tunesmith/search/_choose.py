"""Which trial's settings are taken: the quickest of those that are as good as the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.search._trial import Trial

__all__ = ["Choice", "choose_trial"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The trial that was chosen, and why.

    Attributes:
        best: the trial with the highest metric.
        chosen: the trial whose settings are taken.
        tied: the numbers of the trials that are not clearly worse than the best, itself included.
        num_complete: trials that were trained to their end.
    """

    best: Trial
    chosen: Trial
    tied: tuple[int, ...]
    num_complete: int

    def reason(self) -> str:
        """The choice in a sentence or two."""
        if self.num_complete == 1:
            return f"Trial {self.best.number} is the only one that was trained to its end."
        best = f"Trial {self.best.number} is the best on the validation rows"
        if len(self.tied) == 1:
            return f"{best}, by more than a standard error."
        others = len(self.tied) - 1
        verb = "is" if others == 1 else "are"
        what = f"{best}; {others} more {verb} within a standard error of it"
        if self.chosen.number == self.best.number:
            return f"{what}, none of them quicker."
        return f"{what}, and trial {self.chosen.number} is the quickest of them: it is taken."

    def as_dict(self) -> dict[str, Any]:
        return {
            "best": self.best.number,
            "chosen": self.chosen.number,
            "tied": list(self.tied),
            "reason": self.reason(),
        }


def choose_trial(
    trials: Sequence[Trial], is_clearly_better: Callable[[Trial, Trial], bool]
) -> Choice | None:
    """The quickest complete trial that the best one is not clearly better than.

    The best of many trials is partly the luckiest on these validation rows. Among those that
    differ by less than a standard error this is a choice by cost instead (the one-standard-error
    rule; Breiman et al. 1984, "Classification and Regression Trees").

    Args:
        trials: of any state.
        is_clearly_better: whether the first is ahead of the second by more than a standard error
            of their difference.

    Returns:
        None where no trial is complete.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        return None
    best = max(complete, key=lambda trial: (trial.metric or 0.0, -trial.seconds))
    tied = [trial for trial in complete if trial is best or not is_clearly_better(best, trial)]
    chosen = min(tied, key=lambda trial: trial.seconds)
    return Choice(best, chosen, tuple(trial.number for trial in tied), len(complete))
