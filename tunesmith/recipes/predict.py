"""A file in, the same file with predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.bundles import Bundle, open_bundle
from tunesmith.data import Table, check_writable, choose_columns, read_table, write_table
from tunesmith.errors import DataError
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes._predictions import outputs_in_chunks
from tunesmith.runtimes import load
from tunesmith.tasks import Wanted
from tunesmith.types import Inputs, LabelPrediction, Prediction

__all__ = ["predict"]


def predict(
    bundle: Bundle | Path | str,
    source: Path | str,
    output: Path | None = None,
    *,
    overwrite: bool = False,
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

    Args:
        source: a file with the bundle's text columns, or "-" for standard input.
        output: csv, tsv, jsonl or parquet, by its suffix; None: nothing is written.
        wanted: what to say beside the labels.
        runtime_name, allow_unverified: see `runtimes.load`.

    Raises:
        BundleError, DataError, OutputError: the bundle, the file or the output cannot be used.
        ConfigError: the model cannot give what is wanted.
    """
    listener = listener or Silent()
    if output is not None:
        check_writable(output, overwrite=overwrite)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    if wanted:
        opened.task.check(wanted)
    table = read_table(source)
    runtime = load(opened, runtime_name, allow_unverified=allow_unverified)
    columns = choose_columns(
        table, text=[field.name for field in runtime.task.fields], with_target=False
    )
    for note in table.notes:
        listener.say(note)
    rows, inputs = _rows_with_text(table, columns.text)
    empty = table.num_rows - len(rows)
    if not rows:
        raise DataError(
            f"no row has text in {' and '.join(map(repr, columns.text))}",
            where=table.source,
            mend="fill the column, or give another file",
        )
    if empty:
        rows_have = "row has" if empty == 1 else "rows have"
        listener.warn(f"{empty:,} {rows_have} no text and no prediction")
    predictions = runtime.task.decode(outputs_in_chunks(runtime, inputs, listener), wanted)
    result = _with_predictions(table, rows, predictions)
    if output is not None:
        write_table(result, output, overwrite=overwrite)
    return result


def _rows_with_text(table: Table, names: tuple[str, ...]) -> tuple[list[int], list[Inputs]]:
    columns = [table.column(name) for name in names]
    rows: list[int] = []
    inputs: list[Inputs] = []
    for row, values in enumerate(zip(*columns, strict=True)):
        texts = tuple("" if value is None else str(value) for value in values)
        if all(text.strip() for text in texts):
            rows.append(row)
            inputs.append(texts)
    return rows, inputs


def _with_predictions(table: Table, rows: list[int], predictions: list[Prediction]) -> Table:
    left_out = "probabilities" if isinstance(predictions[0], LabelPrediction) else ""
    names = [name for name in predictions[0].as_dict() if name != left_out]
    added: dict[str, list[object]] = {name: [None] * table.num_rows for name in names}
    for row, prediction in zip(rows, predictions, strict=True):
        values = prediction.as_dict()
        for name in names:
            added[name][row] = values[name]
    return _keeping_aside(table, names).with_columns(added)


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
