"""A file in, the same file with predictions out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tunesmith.bundles import Bundle, open_bundle
from tunesmith.data import (
    Table,
    check_writable,
    choose_columns,
    forget_pages,
    read_table,
    write_table,
)
from tunesmith.errors import DataError, Interrupted
from tunesmith.recipes._kept_parts import KeptParts, check_parts, kept_parts
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._predictions import ROWS_A_PART, outputs_of_parts, warn_of_cut
from tunesmith.runtimes import Runtime, load
from tunesmith.tasks import Wanted
from tunesmith.types import Inputs, LabelPrediction, Prediction

__all__ = ["predict"]

_LENGTH = ""
"""The column of a part that holds the rows' tokens, for the warning; predictions have names."""


def predict(
    bundle: Bundle | Path | str,
    source: Path | str,
    output: Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    wanted: Wanted | None = None,
    runtime_name: str | None = None,
    allow_unverified: bool = False,
    listener: Listener | None = None,
) -> Table:
    """Predicts every row of a file; the input's columns are kept.

    Added are `label` and `probability`; for several labels a row `labels`, a list, and
    `probabilities`, an object (both as JSON in csv); and where they are wanted `abstained`,
    `label_set`, a list, and `in_scope`. An input column of such a name is kept as `input_label` and
    so on. Rows without text get no prediction.

    Rows are worked on some thousand at a time, and long columns lie on the disk, so that the memory
    does not grow with the file. What is done is kept beside the output, in "NAME.partial", until
    the output is written.

    Args:
        source: a file with the bundle's text columns, or "-" for standard input.
        output: csv, tsv, jsonl or parquet, by its suffix; None: nothing is written.
        overwrite: whether a file that is there may be replaced, and what a stopped run left.
        resume: go on with what a stopped run left; the output is that of a run that never stopped.
        wanted: what to say beside the labels.
        runtime_name, allow_unverified: see `runtimes.load`.

    Raises:
        ConfigError: the model cannot give what is wanted.
        BundleError, DataError, OutputError: the bundle, the file or the output cannot be used; or
            they are not those of the run to be resumed.
        Interrupted: the user stopped the work; what is done is kept.
    """
    listener = listener or Silent()
    if output is not None:
        output = Path(output)
        check_writable(output, overwrite=overwrite)
        check_parts(output, resume=resume, overwrite=overwrite)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    if wanted:
        opened.task.check(wanted)
    rows = _read(opened, source, listener)
    texts_digest = _look_through(rows, listener)
    runtime = load(opened, runtime_name, allow_unverified=allow_unverified)
    journal = {
        "bundle": opened.manifest.digest,
        "runtime": runtime.name,
        "texts": texts_digest,
        "wanted": _words(wanted),
        "rows_a_part": ROWS_A_PART,
    }
    with (
        kept_parts(output, journal, resume=resume) as parts,
        _stoppable(output, parts, rows.table.num_rows),
    ):
        _work(runtime, rows, parts, wanted, listener)
        answers = parts.all()
        lengths = answers.column(_LENGTH).drop_null().to_numpy()
        warn_of_cut(lengths, runtime.max_length, listener)
        result = _with_answers(rows.table, answers.drop_columns(_LENGTH))
        if output is not None:
            listener.stage("writing")
            write_table(result, output, overwrite=overwrite)
    return result


def _words(wanted: Wanted | None) -> str:
    """What is wanted, as the command's options spell it: "coverage 0.9, scope"."""
    given = {} if wanted is None else asdict(wanted)
    said = {
        name: value for name, value in given.items() if value is not None and value is not False
    }
    words = [name if value is True else f"{name} {value}" for name, value in said.items()]
    return ", ".join(words).replace("_", " ")


def _read(bundle: Bundle, source: Path | str, listener: Listener) -> _Rows:
    table = read_table(source)
    names = [field.name for field in bundle.task.fields]
    columns = choose_columns(table, text=names, with_target=False)
    for note in table.notes:
        listener.say(note)
    return _Rows(table, columns.text)


class _Rows(NamedTuple):
    """A table's rows as the model reads them."""

    table: Table
    names: tuple[str, ...]

    def parts(self, first: int = 0) -> Iterator[Table]:
        """The table, `ROWS_A_PART` rows at a time, from part number `first` on."""
        for start in range(first * ROWS_A_PART, self.table.num_rows, ROWS_A_PART):
            yield replace(self.table, arrow=self.table.arrow.slice(start, ROWS_A_PART))

    def with_text(self, part: Table) -> tuple[list[int], list[Inputs]]:
        """The places within the part of those rows that have text, from 0, and their texts."""
        places: list[int] = []
        inputs: list[Inputs] = []
        columns = [part.values(name) for name in self.names]
        for place, values in enumerate(zip(*columns, strict=True)):
            texts = tuple("" if value is None else str(value) for value in values)
            if all(text.strip() for text in texts):
                places.append(place)
                inputs.append(texts)
        return places, inputs


def _look_through(rows: _Rows, listener: Listener) -> str:
    """The sha256 of the texts in their order; says how many rows have none.

    Raises:
        DataError: not one row has text.
    """
    digest, num_filled = sha256(), 0
    for part in rows.parts():
        places, inputs = rows.with_text(part)
        num_filled += len(places)
        digest.update(json.dumps([part.num_rows, places, inputs]).encode())
    forget_pages()
    empty = rows.table.num_rows - num_filled
    if not num_filled:
        raise DataError(
            f"no row has text in {' and '.join(map(repr, rows.names))}",
            where=rows.table.source,
            mend="fill the column, or give another file",
        )
    if empty:
        rows_have = "row has" if empty == 1 else "rows have"
        listener.warn(f"{empty:,} {rows_have} no text and no prediction")
    return digest.hexdigest()


def _work(
    runtime: Runtime, rows: _Rows, parts: KeptParts, wanted: Wanted | None, listener: Listener
) -> None:
    """Predicts the parts that are not done, and keeps each."""
    num_rows = rows.table.num_rows
    num_kept = min(parts.num_done * ROWS_A_PART, num_rows)
    if num_kept:
        listener.say(f"{num_kept:,} of {num_rows:,} rows were done before")
    listener.stage("predicting", num_rows - num_kept)
    reading: list[tuple[int, list[int]]] = []

    def read() -> Iterator[list[Inputs]]:
        for part in rows.parts(parts.num_done):
            places, inputs = rows.with_text(part)
            reading.append((part.num_rows, places))
            yield inputs

    with closing(outputs_of_parts(runtime, read(), listener.advance)) as done:
        for number, part in enumerate(done, start=parts.num_done):
            size, places = reading.pop(0)
            listener.advance(size - len(places))
            predictions = runtime.task.decode(part.outputs, wanted) if places else []
            parts.add(number, _as_arrow(size, places, predictions, part.lengths.tolist()))
            forget_pages()


@contextmanager
def _stoppable(output: Path | None, parts: KeptParts, num_rows: int) -> Iterator[None]:
    """Says on Ctrl-C what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        if output is None:
            raise
        num_kept = min(parts.count() * ROWS_A_PART, num_rows)
        raise Interrupted(
            f"{num_kept:,} of {num_rows:,} rows are done, and kept in {output.name}.partial",
            where=str(output),
            mend="the same command with --resume goes on",
        ) from error


def _as_arrow(
    size: int, places: Sequence[int], predictions: Sequence[Prediction], lengths: Sequence[int]
) -> pa.Table:
    """The predictions of a part's rows, null for the others, and how many tokens they have."""
    answers = [_answer(prediction) for prediction in predictions]
    columns = {name: [answer[name] for answer in answers] for name in (answers[:1] or [{}])[0]}
    takers = np.full(size, -1)
    takers[np.array(places, dtype=np.int64)] = np.arange(len(places))
    order = pa.array(takers, mask=takers < 0)
    arrays = {
        _LENGTH: pa.array(lengths, pa.int64()),
        **{name: pa.array(values, _type(values[0])) for name, values in columns.items()},
    }
    return pa.table({name: array.take(order) for name, array in arrays.items()})


def _answer(prediction: Prediction) -> dict[str, object]:
    """What of a prediction is written: of one label not the others' probabilities too."""
    answer = prediction.as_dict()
    if isinstance(prediction, LabelPrediction):
        del answer["probabilities"]
    return answer


def _type(value: object) -> pa.DataType:
    """The type of an answer's column: said, since a part's values alone may not show it."""
    if isinstance(value, list):
        return pa.list_(pa.string())
    if isinstance(value, Mapping):
        return pa.struct([(label, pa.float64()) for label in value])
    return {bool: pa.bool_(), float: pa.float64(), str: pa.string()}[type(value)]


def _with_answers(table: Table, answers: pa.Table) -> Table:
    kept = _keeping_aside(table, answers.column_names)
    arrow = kept.arrow
    for name in answers.column_names:
        arrow = arrow.append_column(name, answers.column(name))
    return replace(kept, arrow=arrow)


def _keeping_aside(table: Table, names: Sequence[str]) -> Table:
    """The table with columns called as one of `names` renamed, such as "label" to "input_label"."""
    taken = {*table.column_names, *names}
    kept: list[str] = []
    for name in table.column_names:
        free = name
        while name in names and free in taken:
            free = f"input_{free}"
        taken.add(free)
        kept.append(free)
    return replace(table, arrow=table.arrow.rename_columns(kept))
