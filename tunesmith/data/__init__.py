"""Read a file of examples, find its columns, make a dataset of it, and split it.

    table = read_table("tickets.csv")
    loaded = build_dataset(table, choose_columns(table))
    check_trainable(loaded)
    split = split_dataset(loaded.dataset, validation=0.1, test=0.1, seed=0)

Everything the user gave wrong is a `DataError` that says where, and how to mend it.
"""

from __future__ import annotations

from tunesmith.data._build import LoadedData, build_dataset, check_trainable, labels_of
from tunesmith.data._columns import Columns, choose_columns, is_text
from tunesmith.data._compare import Changes, compare
from tunesmith.data._content import fingerprint, normal_text, overlap, row_digests
from tunesmith.data._folds import fold_rows
from tunesmith.data._groups import Groups, group_rows
from tunesmith.data._read import read_table, require_present
from tunesmith.data._sources import is_address, is_pattern, sheet_of, source_name, source_stem
from tunesmith.data._spill import forget_pages, spilled_column, writing_temporary_files
from tunesmith.data._split import Split, split_dataset
from tunesmith.data._split_by_time import split_by_time, times_of
from tunesmith.data._suggest import did_you_mean, listed, rows_text
from tunesmith.data._table import Part, Table, missing_column, table_of
from tunesmith.data._targets import CodedTargets, is_missing, read_target_codes, read_targets
from tunesmith.data._texts import text_column
from tunesmith.data._times import NO_TIME, read_times
from tunesmith.data._write import check_writable, write_table

__all__ = [
    "NO_TIME",
    "Changes",
    "CodedTargets",
    "Columns",
    "Groups",
    "LoadedData",
    "Part",
    "Split",
    "Table",
    "build_dataset",
    "check_trainable",
    "check_writable",
    "choose_columns",
    "compare",
    "did_you_mean",
    "fingerprint",
    "fold_rows",
    "forget_pages",
    "group_rows",
    "is_address",
    "is_missing",
    "is_pattern",
    "is_text",
    "labels_of",
    "listed",
    "missing_column",
    "normal_text",
    "overlap",
    "read_table",
    "read_target_codes",
    "read_targets",
    "read_times",
    "require_present",
    "row_digests",
    "rows_text",
    "sheet_of",
    "source_name",
    "source_stem",
    "spilled_column",
    "split_by_time",
    "split_dataset",
    "table_of",
    "text_column",
    "times_of",
    "write_table",
    "writing_temporary_files",
]
