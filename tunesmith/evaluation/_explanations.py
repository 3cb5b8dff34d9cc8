"""Why some test rows got their answers, word by word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from tunesmith.checks import counted
from tunesmith.pages import shades_of
from tunesmith.types import Estimate, Target

__all__ = ["ExplainedRow", "Explanations", "Piece"]

_FIGURES = (
    "comprehensiveness", "random_comprehensiveness", "comprehensiveness_gain",
    "sufficiency", "random_sufficiency", "sufficiency_gain",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: a word with what it adds to the log-odds, or what stands between words.

    Attributes:
        adds: None between words.
    """

    text: str
    adds: float | None = None


@dataclass(frozen=True, slots=True)
class ExplainedRow:
    """A test row and why it got its answer.

    Attributes:
        row: its row in the source, numbered from 1.
        is_right: whether the answer is right.
        label: that is explained: of several that were given the likeliest.
        probability: the label's.
        fields: each text of the row as pieces, personal data masked, cut where it is long.
        facts: the log-odds, what they are compared with and the convergence delta, in words.
        is_converged: whether that delta is small; None for methods that have none.
    """

    row: int
    is_right: bool
    target: Target
    predicted: Target
    label: str
    probability: float
    fields: tuple[tuple[Piece, ...], ...]
    facts: str
    is_converged: bool | None

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` of the section holds of it."""
        fields = tuple(tuple(Piece(**piece) for piece in pieces) for pieces in saved["fields"])
        targets = {
            name: own if isinstance(own := saved[name], str) else tuple(own)
            for name in ("target", "predicted")
        }
        return cls(**{**saved, **targets, "fields": fields})

    def shaded(self) -> list[list[tuple[str, int, float]]]:
        """Of each text the pieces with their shade and what they add, for the page."""
        shades = iter(shades_of([one.adds or 0.0 for pieces in self.fields for one in pieces]))
        return [
            [(one.text, next(shades), one.adds or 0.0) for one in pieces] for pieces in self.fields
        ]


@dataclass(frozen=True, slots=True)
class Explanations:
    """The report's section on explanations.

    Attributes:
        method: "integrated-gradients", or "leave-one-out" where only answers can be asked for.
        rows: the surest mistakes, then a right answer of each label, as far as time allowed.
        faithfulness: name → estimate, in probability: what the answer loses without the words named
            (comprehensiveness) and with nothing but them (sufficiency), the same for words drawn by
            lot, and how much better the method is; empty where it was not measured.
        num_measured: rows that it was measured on.
        verdict: what it says, in words.
        left_out: why there is nothing, or less than there might be; "" where all is there.
    """

    method: str
    rows: tuple[ExplainedRow, ...]
    faithfulness: Mapping[str, Estimate]
    num_measured: int
    verdict: str
    left_out: str

    name: ClassVar[str] = "explanations"
    template: ClassVar[str] = "explanations.html"

    def view(self) -> Mapping[str, Any]:
        found = self.faithfulness
        return {
            "mistakes": [(one, one.shaded()) for one in self.rows if not one.is_right],
            "right": [(one, one.shaded()) for one in self.rows if one.is_right],
            "method": self.method.replace("-", " ").replace(" x ", " × "),
            "figures": [(found[a], found[b], found[c]) for a, b, c in _TRIPLES] if found else [],
            "num_measured": self.num_measured,
            "verdict": self.verdict,
            "left_out": self.left_out,
        }

    def sentences(self) -> tuple[str, ...]:
        if not self.faithfulness:
            return (f"explanations: {self.left_out}",) * bool(self.left_out)
        own, lot = (
            100 * self.faithfulness[name].value
            for name in ("comprehensiveness", "random_comprehensiveness")
        )
        lost = (
            f"{own:.1f} points lost without the words named, {lot:.1f} without words drawn by lot"
        )
        return (
            f"explanations: {self.verdict} ({lost}; {counted(self.num_measured, 'row', 'rows')})",
        )

    def as_dict(self) -> dict[str, Any]:
        figures = {name: own.as_dict() for name, own in self.faithfulness.items()}
        rows = [asdict(one) for one in self.rows]
        return {
            "method": self.method,
            "rows": rows,
            "faithfulness": figures,
            "num_measured": self.num_measured,
            "verdict": self.verdict,
            "left_out": self.left_out,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        figures = {name: Estimate.from_dict(own) for name, own in saved["faithfulness"].items()}
        rows = tuple(ExplainedRow.from_dict(one) for one in saved["rows"])
        return cls(**{**saved, "rows": rows, "faithfulness": figures})


_TRIPLES = (_FIGURES[:3], _FIGURES[3:])
