"""Tables: columns by name, and Python values as Arrow."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

import tunesmith.data
from tunesmith.data import Table
from tunesmith.data._suggest import did_you_mean, listed, rows_text
from tunesmith.data._table import column_array, table_of
from tunesmith.errors import DataError


def test_columns_by_name() -> None:
    table = Table(pa.table({"text": ["a", "b"], "label": [1, None]}), "x.csv")
    assert table.num_rows == 2
    assert table.column_names == ["text", "label"]
    assert table.column("label") == [1, None]


def test_unknown_column_says_what_was_meant() -> None:
    table = Table(pa.table({"text": ["a"], "label": ["b"]}), "x.csv")
    with pytest.raises(DataError, match=r"x\.csv: column 'lable' does not exist") as caught:
        table.column("lable")
    assert "did you mean 'label'?" in str(caught.value)
    assert "'text', 'label'" in str(caught.value)


def test_with_columns_replaces_and_adds() -> None:
    table = Table(pa.table({"a": [1, 2], "b": ["x", "y"]}), "x.csv", ("note",))
    changed = table.with_columns({"a": ["p", None], "c": [[1], []]})
    assert changed.column_names == ["a", "b", "c"]
    assert changed.column("a") == ["p", None]
    assert changed.column("c") == [[1], []]
    assert (changed.source, changed.notes) == ("x.csv", ("note",))
    assert table.column("a") == [1, 2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "a", None, True, 2.0, float("nan")], ["1", "a", None, "true", "2", None]),
        (["a", ["b", 1], None], [["a"], ["b", "1"], None]),
        ([{"k": "é"}, "x"], ['{"k": "é"}', "x"]),
        ([2**70, 1], [str(2**70), "1"]),
        (["bad \ud800 half"], ["bad \ufffd half"]),
        ([[], ["a"]], [[], ["a"]]),
        ([1, 2.5], [1.0, 2.5]),
        ([None, None], [None, None]),
    ],
)
def test_column_array_makes_mixed_values_text(values: list[object], expected: object) -> None:
    assert column_array(values).to_pylist() == expected


def test_too_many_columns() -> None:
    from tunesmith.data._table import check_names

    with pytest.raises(DataError, match="2,001 columns are more"):
        check_names([str(n) for n in range(2001)], "x.json")


def test_table_of() -> None:
    assert table_of(["a"], [[1]], "s").column("a") == [1]


def test_suggestions() -> None:
    assert did_you_mean("LABLE", ["Label", "x"]) == "did you mean 'Label'?"
    assert did_you_mean("zzz", ["label"]) == ""
    assert listed(["a", "b", "c"], 2) == "'a', 'b' and 1 more"
    assert rows_text([3]) == "row 3"
    assert rows_text(list(range(1, 9))) == "rows 1, 2, 3, 4, 5 and 3 more"


def test_exports_are_there() -> None:
    assert all(hasattr(tunesmith.data, name) for name in tunesmith.data.__all__)


def test_import_is_light() -> None:
    code = (
        "import sys, tunesmith.data; "
        "print(sorted({'torch', 'transformers', 'sklearn', 'charset_normalizer', "
        "'python_calamine', 'pyarrow.parquet'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
