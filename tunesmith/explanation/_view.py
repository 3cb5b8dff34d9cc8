"""Explanations of many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunesmith.explanation._attribution import Method
from tunesmith.explanation._drivers import LabelDrivers
from tunesmith.explanation._faithfulness import Faithfulness
from tunesmith.explanation._results import ExplainedText

__all__ = ["GlobalView"]


@dataclass(frozen=True, slots=True)
class GlobalView:
    """What drives a model's answers over labelled rows.

    Attributes:
        method: how words were given their weight.
        num_rows, of_rows: rows that were explained, and rows that there were.
        min_rows: words in fewer rows of a label are left out.
        num_not_converged: explanations whose convergence delta stayed large.
        drivers: the words that speak for each label.
        faithfulness: whether the explanations hold; None where no row has two words.
        mistakes: wrong answers and why they were given, the surest first; personal data masked.
    """

    method: Method
    num_rows: int
    of_rows: int
    min_rows: int
    num_not_converged: int
    drivers: tuple[LabelDrivers, ...]
    faithfulness: Faithfulness | None
    mistakes: tuple[ExplainedText, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "num_rows": self.num_rows,
            "of_rows": self.of_rows,
            "min_rows": self.min_rows,
            "num_not_converged": self.num_not_converged,
            "labels": [one.as_dict() for one in self.drivers],
            "faithfulness": None if self.faithfulness is None else self.faithfulness.as_dict(),
            "mistakes": [one.as_dict() for one in self.mistakes],
        }
