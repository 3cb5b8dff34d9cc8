"""What is checked: a table, what its columns mean, and the files beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.checks._near import connected_places, near_pairs
from tunesmith.checks._pieces import pieces_of
from tunesmith.checks._repeats import equal_rows
from tunesmith.data import (
    CodedTargets,
    Columns,
    Table,
    build_dataset,
    labels_of,
    read_target_codes,
    spilled_column,
    text_column,
)
from tunesmith.types import Dataset, Texts

__all__ = ["Subject"]

_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True, eq=False)
class Subject:
    """The rows that a check looks at. Nothing in it is changed by a check.

    Attributes:
        table: the file, whole.
        text: the columns that the model reads, one or two.
        target: the column of the answers; None where there is none.
        multi_label, label_separator: how the answers are read; see `build_dataset`.
        beside: other files of the same kind, by their part: "validation", "test".
        left_out: places of rows that somebody reviewed and dropped; their cells are empty here.
        reviewed: places of rows that somebody reviewed and kept, with their label or another.
    """

    table: Table
    text: tuple[str, ...]
    target: str | None = None
    multi_label: bool | None = None
    label_separator: str | None = None
    beside: Mapping[str, Subject] = field(default_factory=dict)
    left_out: frozenset[int] = frozenset()
    reviewed: frozenset[int] = frozenset()

    @property
    def num_rows(self) -> int:
        return self.table.num_rows

    @property
    def source(self) -> str:
        return self.table.source

    def texts(self, name: str) -> pa.ChunkedArray:
        """A column as n strings; null where there is nothing.

        Raises:
            DataError: it holds something else than text and numbers.
        """
        if name not in self._texts:
            self._texts[name] = text_column(self.table, name)
        return self._texts[name]

    @cached_property
    def _texts(self) -> dict[str, pa.ChunkedArray]:
        return {}

    @cached_property
    def whole_texts(self) -> pa.ChunkedArray:
        """What the model reads of each row, as one string; "" where there is nothing."""
        columns = [_without_nulls(self.texts(name)) for name in self.text]
        if len(columns) == 1:
            return columns[0]
        kinds = {column.type for column in columns}
        kind = kinds.pop() if len(kinds) == 1 else pa.large_string()
        columns = [column.cast(kind) for column in columns]
        starts = range(0, self.num_rows, _ROWS_AT_ONCE)
        cut = ([one.slice(start, _ROWS_AT_ONCE) for one in columns] for start in starts)
        joined = (pc.binary_join_element_wise(*own, "\n") for own in cut)
        return spilled_column((one for own in joined for one in own.chunks), kind)

    def pieces(self, column: pa.ChunkedArray) -> Iterator[tuple[int, pa.Array]]:
        """A column cut into arrays of some thousand rows, each with its first row's place."""
        return pieces_of(column)

    def places_matching(self, name: str, pattern: str) -> NDArray[np.int64]:
        """Places of the rows whose text in column `name` holds a pattern (RE2's syntax)."""
        return self.places_where(
            self.texts(name), lambda piece: pc.match_substring_regex(piece, pattern)
        )

    def places_where(
        self, column: pa.ChunkedArray, test: Callable[[pa.Array], pa.Array]
    ) -> NDArray[np.int64]:
        """Places of the rows for which a test, of some thousand rows at a time, says true."""
        found = [
            start + np.flatnonzero(pc.fill_null(test(piece), False))
            for start, piece in self.pieces(column)
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *found])

    def text_at(self, name: str, place: int) -> str:
        """One value of a text column; "" where there is none."""
        value = self.texts(name)[place].as_py()
        return "" if value is None else str(value)

    @cached_property
    def targets(self) -> CodedTargets:
        """Of each row its label, or labels; None where it has none."""
        if self.target is None:
            return CodedTargets(np.full(self.num_rows, -1, dtype=np.int32), [])
        return read_target_codes(
            self.table,
            self.target,
            multi_label=self.multi_label,
            label_separator=self.label_separator,
        )

    @cached_property
    def has_several_labels(self) -> bool:
        """Whether a row may have several labels."""
        return any(isinstance(target, tuple) for target in self.targets.distinct)

    @cached_property
    def label_counts(self) -> Counter[str]:
        """Label → the number of rows that have it."""
        counts: Counter[str] = Counter()
        rows_of = np.bincount(self.targets.codes + 1, minlength=len(self.targets.distinct) + 1)[1:]
        for target, count in zip(self.targets.distinct, rows_of.tolist(), strict=True):
            for label in labels_of(target):
                counts[label] += count
        return counts

    @cached_property
    def label_codes(self) -> NDArray[np.int32]:
        """Of each row its label's place in `label_counts`, where rows have one; -1 for none."""
        places = {label: place for place, label in enumerate(self.label_counts)}
        codes = [places[one] if isinstance(one, str) else -1 for one in self.targets.distinct]
        return np.array([*codes, -1], dtype=np.int32)[self.targets.codes]

    def rows_with(self, labels: Collection[str]) -> NDArray[np.int64]:
        """Numbers of the rows that have one of some labels."""
        wanted = set(labels)
        has_one = [not wanted.isdisjoint(labels_of(one)) for one in self.targets.distinct]
        return np.flatnonzero(np.array([*has_one, False])[self.targets.codes]) + 1

    @property
    def other_columns(self) -> list[str]:
        """The columns that are neither text nor target."""
        return [one for one in self.table.column_names if one not in (*self.text, self.target)]

    @cached_property
    def is_complete(self) -> NDArray[np.bool_]:
        """Whether each row has all its texts and, where there are answers, one; bool [n]."""
        complete = np.ones(self.num_rows, dtype=bool)
        for name in self.text:
            complete[self.blank_places(name)] = False
        if self.target is not None:
            complete &= self.targets.codes >= 0
        return complete

    @cached_property
    def equal_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Complete rows of equal text as flat groups of places; see `_repeats.equal_rows`."""
        return equal_rows([self.texts(name) for name in self.text], self.is_complete)

    @cached_property
    def near_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that say nearly the same as flat groups of places, like `equal_rows`.

        Of rows with equal texts it is the first that stands for them.
        """
        chosen = self.is_complete.copy()
        places, starts = self.equal_rows
        chosen[places] = False
        chosen[places[starts[:-1]]] = True
        numbers, starts = connected_places(near_pairs(self._texts_of(chosen)))
        return np.flatnonzero(chosen)[numbers], starts

    def _texts_of(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, pa.Array]]:
        """The whole texts of some rows in pieces, numbered among themselves."""
        number = 0
        for start, piece in self.pieces(self.whole_texts):
            own = piece.filter(pa.array(chosen[start : start + len(piece)]))
            yield number, own
            number += len(own)

    def blank_places(self, name: str) -> NDArray[np.int64]:
        """Places of the rows with nothing in a text column, or white space only."""

        def is_blank(piece: pa.Array) -> pa.Array:
            text = pc.fill_null(piece, "")
            return pc.or_(pc.equal(text, ""), pc.utf8_is_space(text))

        return self.places_where(self.texts(name), is_blank)

    @cached_property
    def dataset(self) -> Dataset:
        """The complete rows, as `tunesmith.data` knows them."""
        if not self.is_complete.any():
            return Dataset(tuple(Texts.of(()) for _ in self.text), [], np.zeros(0, np.int64))
        return build_dataset(
            self.table,
            Columns(self.text, self.target),
            multi_label=self.multi_label,
            label_separator=self.label_separator,
            missing="drop",
        ).dataset


def _without_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of strings with "" in place of null, which is nearly never a copy.

    Where nothing lies in a column's bytes for its nulls, they are "" once it is not said that they
    are null.
    """
    return pa.chunked_array([_bare(chunk) for chunk in column.chunks], column.type)


def _bare(chunk: pa.Array) -> pa.Array:
    if not chunk.null_count:
        return chunk
    _, ends, block = chunk.buffers()
    bare = type(chunk).from_buffers(len(chunk), ends, block, None, 0, chunk.offset)
    empty = pc.equal(pc.binary_length(bare.filter(chunk.is_null())), 0)
    return bare if pc.all(empty).as_py() else pc.fill_null(chunk, "")
