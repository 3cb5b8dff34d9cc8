"""Datasets: labels alike across formats, missing values, several labels a row."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tunesmith.data import (
    Columns,
    LoadedData,
    Table,
    build_dataset,
    check_trainable,
    fingerprint,
    read_table,
    write_table,
)
from tunesmith.errors import ConfigError, DataError

COLUMNS = Columns(("text",), "label")


def build(labels: list, texts: list | None = None, **settings) -> LoadedData:
    texts = [f"text {n}" for n in range(len(labels))] if texts is None else texts
    table = Table(pa.table({"text": texts, "label": labels}), "x.csv", ("read",))
    return build_dataset(table, COLUMNS, **settings)


def test_rows_and_source() -> None:
    dataset = build(["a", "b"]).dataset
    assert dataset.columns == (["text 0", "text 1"],)
    assert dataset.targets == ["a", "b"]
    assert dataset.rows.tolist() == [1, 2]
    assert dataset.rows.dtype == "int64"
    assert dataset.source == "x.csv"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0], ["1", "0"]),
        ([1.0, 0.0], ["1", "0"]),
        (["1", "0"], ["1", "0"]),
        (["1.0", "0.00"], ["1", "0"]),
        (["1.0", "1.5"], ["1.0", "1.5"]),
        ([True, False], ["true", "false"]),
        (["True", "FALSE"], ["true", "false"]),
        (["True", "Unknown"], ["True", "Unknown"]),
        ([" good ", "bad"], ["good", "bad"]),
        (["01", "1"], ["01", "1"]),
    ],
)
def test_labels_are_alike(values: list, expected: list[str]) -> None:
    assert build(values).dataset.targets == expected


@pytest.mark.parametrize(
    "labels", [[1, 0, 1], [True, False, True], ["a", "b", "a"], [2.0, 3.0, 2.0]]
)
def test_every_format_gives_the_same_dataset(tmp_path: Path, make_workbook, labels: list) -> None:
    texts = ["one, two", 'a "quote"', "ü"]
    table = Table(pa.table({"text": texts, "label": labels}), "x")
    paths = [tmp_path / f"x{suffix}" for suffix in (".csv", ".tsv.gz", ".jsonl", ".parquet")]
    for path in paths:
        write_table(table, path)
    cells = [["text", "label"], *map(list, zip(texts, labels, strict=True))]
    paths.append(make_workbook("x.xlsx", {"S": cells}))
    prints = {fingerprint(build_dataset(read_table(path), COLUMNS).dataset) for path in paths}
    assert len(prints) == 1


def test_missing_values_are_named() -> None:
    with pytest.raises(DataError) as caught:
        build(["a", None, " ", "b"], ["x", "y", "z", "\u3000"])
    assert str(caught.value) == (
        "x.csv, row 4: column 'text' is empty in 1 of 4 rows\n"
        "  → --drop-missing leaves such rows out\n"
        "x.csv, rows 2, 3: column 'label' is empty in 2 of 4 rows\n"
        "  → --drop-missing leaves such rows out"
    )


def test_missing_values_are_left_out() -> None:
    loaded = build([1.0, float("nan"), None, 2.0], missing="drop")
    assert loaded.dataset.targets == ["1", "2"]
    assert loaded.dataset.rows.tolist() == [1, 4]
    assert loaded.dropped == {"missing": 2}
    assert loaded.notes == ("left out 2 of 4 rows with missing values: rows 2, 3",)
    assert build([1, 2], missing="drop").dropped == {}


def test_empty_column() -> None:
    with pytest.raises(DataError, match="column 'label' is empty in all rows"):
        build([None, None], missing="drop")


def test_numbers_as_texts() -> None:
    assert build(["a", "b", "c"], [1, 2, 3]).dataset.columns == (["1", "2", "3"],)
    assert build(["a", "b"], [1.5, 2.0]).dataset.columns == (["1.5", "2"],)


def test_texts_are_kept_as_they_are() -> None:
    assert build(["a"], ["  A\n b "]).dataset.columns == (["  A\n b "],)


@pytest.mark.parametrize(("value", "kind"), [(["a"], "list"), ({"k": 1}, "dict"), (b"x", "bytes")])
def test_texts_that_are_none(value: object, kind: str) -> None:
    with pytest.raises(DataError, match=f"column 'text' holds {kind} values, not text"):
        build(["a"], [value])


def test_pairs_of_texts() -> None:
    table = Table(pa.table({"a": ["x", None], "b": ["y", "z"], "label": ["1", "2"]}), "x.csv")
    columns = Columns(("a", "b"), "label")
    loaded = build_dataset(table, columns, missing="drop")
    assert loaded.dataset.inputs == [("x", "y")]


def test_without_target() -> None:
    table = Table(pa.table({"text": ["x", None]}), "x.csv")
    loaded = build_dataset(table, Columns(("text",), None), missing="drop")
    assert loaded.dataset.targets is None
    assert loaded.dataset.rows.tolist() == [1]


def test_unknown_column() -> None:
    with pytest.raises(DataError, match="column 'nope' does not exist"):
        build_dataset(Table(pa.table({"text": ["x"]}), "x.csv"), Columns(("nope",), None))


def test_lists_are_several_labels() -> None:
    loaded = build([["b", "a", "b"], [], None, [" c", None, ""]], missing="drop")
    assert loaded.multi_label
    assert loaded.dataset.targets == [("a", "b"), (), ("c",)]
    assert loaded.dropped == {"missing": 1}
    assert build([[1, 0], [2]]).dataset.targets == [("0", "1"), ("2",)]


def test_json_arrays_as_text() -> None:
    loaded = build(['["joy", "anger"]', "[]", None], missing="drop")
    assert loaded.multi_label
    assert loaded.dataset.targets == [("anger", "joy"), ()]
    python = build(["['joy', 'anger']", "['joy']"])
    assert not python.multi_label
    assert not build(["[1]", "no list"]).multi_label


def test_separator_given() -> None:
    loaded = build(["1,2", "3", " 2 , ", ","], label_separator=",")
    assert loaded.multi_label
    assert loaded.dataset.targets == [("1", "2"), ("3",), ("2",), ()]
    assert build([1, 2], label_separator=",").dataset.targets == [("1",), ("2",)]


@pytest.mark.parametrize("separator", ["|", ";"])
def test_separator_noticed(separator: str) -> None:
    values = ["joy", "anger", f"joy{separator}anger", f"anger {separator} joy"]
    loaded = build(values)
    assert loaded.multi_label
    assert loaded.dataset.targets == [("joy",), ("anger",), ("anger", "joy"), ("anger", "joy")]
    assert f"separated by '{separator}' (guessed" in loaded.notes[0]
    single = build(values, multi_label=False)
    assert not single.multi_label
    assert single.notes == ()


@pytest.mark.parametrize(
    "values",
    [
        ["billing|refund", "billing|invoice", "login|password"],
        ["sport;tennis", "sport;golf", "sport"],
        ["a|", "a", "b", "a|b"],
        ["a,b", "a", "b"],
        [1, 2, 3],
    ],
)
def test_separators_that_explain_nothing(values: list) -> None:
    assert not build(values).multi_label


def test_separators_that_are_not_used_are_said() -> None:
    (note,) = build(["billing|refund", "billing|invoice", "login"]).notes
    assert "hold '|', and are taken whole (--set data.multi_label=true splits them)" in note


def test_several_labels_told() -> None:
    loaded = build(["billing|refund", "login|password"], multi_label=True)
    assert loaded.dataset.targets == [("billing", "refund"), ("login", "password")]
    assert build(["a", "b"], multi_label=True).dataset.targets == [("a",), ("b",)]
    assert build([1, 2], multi_label=True).dataset.targets == [("1",), ("2",)]


def test_one_label_told_of_lists() -> None:
    assert build([["a"], ["b"], [None]], multi_label=False, missing="drop").dataset.targets == [
        "a",
        "b",
    ]
    assert build(["[]", "[1]"], multi_label=False).dataset.targets == ["[]", "[1]"]
    with pytest.raises(DataError, match="rows 2, 3: column 'label' holds 0 labels"):
        build([["a"], [], ["a", "b"]], multi_label=False)


def test_settings_that_contradict() -> None:
    with pytest.raises(ConfigError, match="each row is said to have one label"):
        build(["a"], multi_label=False, label_separator="|")
    with pytest.raises(ConfigError, match="the label separator is empty"):
        build(["a"], label_separator="")


def test_targets_that_are_no_labels() -> None:
    with pytest.raises(DataError, match="holds objects or bytes, not labels"):
        build([{"a": 1}])


def test_rare_labels_are_left_out() -> None:
    loaded = build(["a", "b", "a", "c", None], missing="drop", drop_rare_labels=True)
    assert loaded.dataset.targets == ["a", "a"]
    assert loaded.dataset.rows.tolist() == [1, 3]
    assert loaded.dropped == {"missing": 1, "rare_label": 2}
    assert loaded.notes[1] == ("left out 2 of 5 rows with a label that no other row has: rows 2, 4")


def test_rare_labels_of_several_a_row() -> None:
    # "b" becomes rare only when the row with "c" is gone.
    labels = [["b", "c"], ["a", "b"], ["a"], ["a"], []]
    loaded = build(labels, drop_rare_labels=True)
    assert loaded.dataset.targets == [("a",), ("a",), ()]


@pytest.mark.parametrize(
    "values",
    [["ab", "cd", "ab"], [" ab", "cd ", "ab "], ["True", "FALSE", "True"], ["1.0", "2.0", "1.0"]],
)
def test_equal_labels_are_one_object(values: list[str]) -> None:
    targets = build(values).dataset.targets
    assert targets is not None
    assert targets[0] is targets[2]
    sets = build([[value] for value in values]).dataset.targets
    assert sets is not None
    assert sets[0] is sets[2]


def test_trainable() -> None:
    check_trainable(build(["a", "b", "a", "b"]))
    check_trainable(build([["a"], ["a"], []]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], "all rows have the same label: 'a'"),
        ([["a", "b"], ["b", "a"]], "all rows have the same label: 'a', 'b'"),
        ([[], []], "no row has a label"),
        (["a", "a", "b", "c"], "2 of 3 labels have a single row: 'b', 'c'"),
        ([["a"], ["a", "b"], []], "1 of 2 labels has a single row: 'b'"),
    ],
)
def test_labels_that_cannot_be_learned(labels: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_trainable(build(labels, multi_label=True if isinstance(labels[0], list) else None))


def test_mend_for_rare_labels() -> None:
    with pytest.raises(DataError, match=r"--set data\.drop_rare_labels=true"):
        check_trainable(build(["a", "a", "b", "c", "c"]))
    with pytest.raises(DataError, match=r"add rows$"):  # one label alone would be left
        check_trainable(build(["a", "a", "b"]))
    with pytest.raises(DataError, match="with --target"):
        check_trainable(build([f"l{n}" for n in range(30)]))


def test_all_faults_at_once() -> None:
    with pytest.raises(DataError) as caught:
        check_trainable(build(["a", "a", "a"], ["1", "2.5", "-3e7 %"]))
    assert [fault.what for fault in caught.value.faults] == [
        "all values of the text column are numbers",
        "all rows have the same label: 'a'",
    ]
    assert "--text" in caught.value.faults[0].mend


def test_texts_that_are_all_the_same() -> None:
    with pytest.raises(DataError, match="all values of the text column are the same"):
        check_trainable(build(["a", "b"] * 2, ["x"] * 4))


def test_no_rows_left() -> None:
    loaded = build(["a", None], [None, "x"], missing="drop")
    with pytest.raises(DataError, match="no rows are left") as caught:
        check_trainable(loaded)
    assert "missing values" in str(caught.value)


def test_training_needs_a_target() -> None:
    table = Table(pa.table({"text": ["x", "y"]}), "x.csv")
    with pytest.raises(DataError, match="there is no target column"):
        check_trainable(build_dataset(table, Columns(("text",), None)))
