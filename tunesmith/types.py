"""The values that travel between the layers: frozen, numpy only, no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Dataset",
    "Estimate",
    "Example",
    "Inputs",
    "LabelMetrics",
    "LabelPrediction",
    "LabelsPrediction",
    "Metrics",
    "Outputs",
    "Prediction",
    "Target",
    "Texts",
    "Value",
]

_TEXTS_AT_ONCE = 8192

Value: TypeAlias = str | bytes | NDArray[Any]
"""One input: a text, an encoded image or sound, or its samples."""

Inputs: TypeAlias = tuple[Value, ...]
"""The inputs of one example, in the order of the task's fields."""

Target: TypeAlias = str | tuple[str, ...]
"""What the model must answer: a label, a set of labels, or a text."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its inputs, the answer wanted (None where unknown), and its number in the file.

    Rows are numbered from 1; the header is not counted.
    """

    inputs: Inputs
    target: Target | None = None
    row: int = 0


class Texts(Sequence[str]):
    """n texts in one block of UTF-8, made into `str` as they are asked for.

    A million `str` of 80 characters take 140 MB; here they take 96 MB, and what `take` or a slice
    gives shares the block: two numbers a text.
    """

    __slots__ = ("_block", "_ends", "_starts")

    def __init__(
        self, block: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> None:
        """Texts that lie in `block` already; nothing is copied.

        Args:
            block: uint8, valid UTF-8 from each start to its end.
            starts, ends: int64 [n], text i is `block[starts[i]:ends[i]]`.
        """
        self._block = block
        self._starts = starts
        self._ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Copies texts into a block.

        Raises:
            UnicodeEncodeError: a text holds half a character (a lone surrogate).
        """
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends[:-1], ends[1:])

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Texts: ...

    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self._block, self._starts[index], self._ends[index])
        return str(self._block[self._starts[index] : self._ends[index]].data, "utf-8")

    def __iter__(self) -> Iterator[str]:
        block = self._block.data
        # Numbers of Python are quicker than numpy's one by one, and a million of them are too many.
        for first in range(0, len(self), _TEXTS_AT_ONCE):
            chosen = slice(first, first + _TEXTS_AT_ONCE)
            places = zip(self._starts[chosen].tolist(), self._ends[chosen].tolist(), strict=True)
            for start, end in places:
                yield str(block[start:end], "utf-8")

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def __repr__(self) -> str:
        return f"<{len(self):,} texts>"

    def take(self, indices: NDArray[np.int64]) -> Texts:
        """The texts at `indices`, in that order."""
        return Texts(self._block, self._starts[indices], self._ends[indices])


class _Rows(Sequence[Inputs]):
    """The inputs of n examples, made into tuples as they are asked for."""

    __slots__ = ("_columns",)

    def __init__(self, columns: tuple[Sequence[Value], ...]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, index: int) -> Inputs: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Inputs]: ...

    def __getitem__(self, index: int | slice) -> Inputs | Sequence[Inputs]:
        if isinstance(index, slice):
            return _Rows(tuple(column[index] for column in self._columns))
        return tuple(column[index] for column in self._columns)

    def __iter__(self) -> Iterator[Inputs]:
        return zip(*self._columns, strict=True)

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def __repr__(self) -> str:
        return f"<inputs of {len(self):,} examples>"


def _same(own: Sequence[object], other: object) -> bool:
    if not isinstance(other, Sequence) or isinstance(other, str) or len(own) != len(other):
        return False
    return all(left == right for left, right in zip(own, other, strict=True))


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples, held by column so that the columns may lie in memory or on disk.

    Attributes:
        columns: one sequence of n values for each field of the task, in the task's order.
        targets: n targets, or None where the data has no labels.
        rows: int64 [n], each example's row in its source, numbered from 1.
        source: where the rows come from, as the user named it.
    """

    columns: tuple[Sequence[Value], ...]
    targets: Sequence[Target] | None
    rows: NDArray[np.int64]
    source: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return Example(
            tuple(column[index] for column in self.columns),
            None if self.targets is None else self.targets[index],
            int(self.rows[index]),
        )

    @property
    def inputs(self) -> Sequence[Inputs]:
        """The n examples' inputs; a slice or a loop makes only those that it comes to."""
        return _Rows(self.columns)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Dataset:
        """The examples at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        places = chosen.tolist()
        return Dataset(
            columns=tuple(
                column.take(chosen) if isinstance(column, Texts) else [column[i] for i in places]
                for column in self.columns
            ),
            targets=None if self.targets is None else [self.targets[i] for i in places],
            rows=self.rows[chosen],
            source=self.source,
        )


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model gives for n examples, before the task decodes it.

    Attributes:
        scores: float32 [n, labels], unnormalised (logits); None for tasks that answer in text.
        texts: n generated texts; None for tasks that score labels.
        states: float32 [n, hidden], the pooled states that the scores are made of; None where the
            runtime does not tell them.
    """

    scores: NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None
    states: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """The answer of a single-label task. `probabilities` sums to 1.

    Attributes:
        abstained: whether the answer is too unsure to be used, where that was asked.
        label_set: labels of which one is the true one, as often as was asked; the likeliest first.
        in_scope: whether the input is like the training data, where that was asked.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]
    abstained: bool | None = None
    label_set: tuple[str, ...] | None = None
    in_scope: bool | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels given, in no order that matters."""
        return (self.label,)

    def as_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "label": self.label,
            "probability": self.probability,
            "probabilities": dict(self.probabilities),
        }
        if self.abstained is not None:
            values["abstained"] = self.abstained
        if self.label_set is not None:
            values["label_set"] = list(self.label_set)
        if self.in_scope is not None:
            values["in_scope"] = self.in_scope
        return values


@dataclass(frozen=True, slots=True)
class LabelsPrediction:
    """The answer of a multi-label task: every label whose probability reaches its threshold.

    `in_scope` says whether the input is like the training data, where that was asked.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    in_scope: bool | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels given, in the order of the task's labels."""
        return tuple(label for label in self.probabilities if label in self.labels)

    def as_dict(self) -> dict[str, Any]:
        values = {"labels": list(self.labels), "probabilities": dict(self.probabilities)}
        return values if self.in_scope is None else {**values, "in_scope": self.in_scope}


Prediction: TypeAlias = LabelPrediction | LabelsPrediction


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the interval that it is believed to lie in.

    Where no interval can be had, as from one row or one group, its ends are infinite: it then
    agrees with whatever it is compared with.
    """

    value: float
    low: float
    high: float

    @classmethod
    def alone(cls, value: float) -> Estimate:
        """A figure of which nothing says how sure it is."""
        return cls(value, -math.inf, math.inf)

    @property
    def has_interval(self) -> bool:
        """Whether the ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def as_dict(self) -> dict[str, float | None]:
        """As JSON values; ends that are not known are None."""
        low, high = (self.low, self.high) if self.has_interval else (None, None)
        return {"value": self.value, "low": low, "high": high}

    @classmethod
    def from_dict(cls, saved: Mapping[str, float | None]) -> Estimate:
        """What `as_dict` described."""
        value, low, high = (saved[name] for name in ("value", "low", "high"))
        assert value is not None
        return cls.alone(value) if low is None or high is None else cls(value, low, high)


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """Figures of one label.

    Attributes:
        precision, recall, f1: of the decision whether an example has the label. None where there is
            nothing to divide by: no example was given the label (precision), none has it (recall),
            or neither (F1).
        support: how many examples truly have it.
        roc_auc, pr_auc: of its probability against the rest; None where all examples have the
            label, or none, for then there is nothing to tell apart.
    """

    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    support: int
    roc_auc: Estimate | None = None
    pr_auc: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        figures = {name: getattr(self, name) for name in _OF_A_LABEL}
        known = {name: own and own.as_dict() for name, own in figures.items()}
        return {**known, "support": self.support}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> LabelMetrics:
        """What `as_dict` described; what older reports called 0 without a row becomes None."""
        figures = {
            name: None if saved.get(name) is None else Estimate.from_dict(saved[name])
            for name in _OF_A_LABEL
        }
        if not saved["support"]:
            figures["recall"] = None
        return cls(**figures, support=saved["support"])


_OF_A_LABEL = ("precision", "recall", "f1", "roc_auc", "pr_auc")


@dataclass(frozen=True, slots=True)
class Metrics:
    """An evaluation's figures.

    Attributes:
        values: name → figure: accuracy, macro_f1, log_loss, and what else the task asks for. A
            figure that these examples do not define is absent, and a note says why.
        labels: label → its figures.
        num_examples: how many examples were judged.
        confidence: the intervals' level, 0.95 unless told otherwise.
        notes: what a reader of the figures must know: few examples, figures that are absent.
    """

    values: Mapping[str, Estimate]
    num_examples: int
    labels: Mapping[str, LabelMetrics] = field(default_factory=dict)
    confidence: float = 0.95
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        return self.values[name]

    def as_dict(self) -> dict[str, Any]:
        return {
            **{name: estimate.as_dict() for name, estimate in self.values.items()},
            "labels": {label: figures.as_dict() for label, figures in self.labels.items()},
            "num_examples": self.num_examples,
            "confidence": self.confidence,
            "notes": list(self.notes),
        }
