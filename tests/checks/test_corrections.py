"""Decisions of a review find their rows again, or say that they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.checks import (
    Action,
    Correction,
    Corrections,
    Subject,
    apply_corrections,
    check_outliers,
    check_suspected_labels,
    clean,
    digest_text,
    find_places,
    find_steps,
    log_table,
    read_corrections,
    revert,
    row_codes,
    run_checks,
    write_corrections,
)
from tunesmith.data import Columns, Table, build_dataset, fingerprint
from tunesmith.errors import DataError
from tunesmith.types import Target

HEAD = b"row,digest,action,label_before,label_after,check,when\n"
DIGEST = b"sha256:0123456789abcdef"
WHEN = "2026-01-02T03:04:05.678Z"


def subject(rows: Sequence[tuple[object, object]]) -> Subject:
    texts, labels = zip(*rows, strict=True)
    table = pa.table({"text": list(texts), "label": list(labels), "id": list(range(len(rows)))})
    return Subject(Table(table, "rows.csv"), ("text",), "label")


def decision(
    of: Subject, row: int, action: Action, after: Target | None = None, *, at: int | None = None
) -> Correction:
    code = int(row_codes(of)[row - 1])
    before = of.targets[row - 1]
    return Correction(at or row, digest_text(code), action, before, after, "outliers", WHEN)


def corrections(*decisions: Correction) -> Corrections:
    return Corrections("fixes.csv", decisions, "0" * 64)


ROWS = [("a b", "x"), ("c d", "y"), ("e f", "x"), ("a b", "x"), ("", "y"), ("g h", None)]


def test_rows_are_relabelled_and_left_out_and_the_others_keep_their_numbers() -> None:
    given_rows = subject(ROWS)
    done = apply_corrections(
        given_rows,
        corrections(
            decision(given_rows, 1, "relabel", "y"),
            decision(given_rows, 2, "keep", "y"),
            decision(given_rows, 5, "drop"),
            decision(given_rows, 6, "relabel", "z"),
        ),
    )
    assert done.subject.targets == ["y", "y", "x", "x", None, "z"]
    assert done.subject.left_out == {4}
    assert done.subject.reviewed == {0, 1, 5}
    assert done.corrections.counts() == {"keep": 1, "relabel": 2, "drop": 1}
    assert [(one.row, one.column, one.after) for one in done.changes] == [
        (1, "label", "y"), (6, "label", "z"), (5, None, None),
    ]  # fmt: skip
    cleaned = done.cleaned()
    assert cleaned.rows.tolist() == [1, 2, 3, 4, 6]
    assert revert(cleaned.table, cleaned.rows, cleaned.changes).arrow == given_rows.table.arrow
    assert log_table(done.changes, "log").column("why") == ["somebody reviewed it"] * 3


def test_rows_left_out_are_not_found_to_be_empty_and_are_not_trained_on() -> None:
    rows = subject(ROWS)
    drops = corrections(decision(rows, 5, "drop"), decision(rows, 6, "drop"))
    done = apply_corrections(rows, drops).subject
    assert not [one for one in run_checks(done) if one.check.startswith("missing")]
    loaded = build_dataset(
        done.table, Columns(("text",), "label"), leave_out={"corrections": done.left_out}
    )
    assert loaded.dataset.rows.tolist() == [1, 2, 3, 4]
    assert loaded.dropped == {"corrections": 2}
    assert loaded.notes == ("left out 2 of 6 rows with a correction that drops them: rows 5, 6",)
    cleaned = clean(done, find_steps(["safe"]))
    assert cleaned.rows.tolist() == [1, 2, 3]
    assert {one.row for one in cleaned.changes} == {4}


def test_a_row_is_found_where_it_moved_to() -> None:
    old = subject([("a", "x"), ("b", "y"), ("c", "x"), ("a", "x")])
    new = subject([("new", "y"), ("c", "x"), ("b", "y"), ("a", "x"), ("a", "x")])
    found = find_places(
        new, corrections(decision(old, 2, "drop"), decision(old, 3, "relabel", "y"))
    )
    assert {place: one.action for place, one in found.items()} == {1: "relabel", 2: "drop"}


def test_equal_rows_are_told_apart_by_their_numbers() -> None:
    rows = subject([("a", "x"), ("a", "x"), ("a", "x"), ("b", "y")])
    assert list(find_places(rows, corrections(decision(rows, 2, "drop")))) == [1]
    moved = subject([("b", "y"), ("z", "y"), ("z", "y"), ("a", "x"), ("a", "x"), ("a", "x")])
    with pytest.raises(DataError, match=r"row 2: rows\.csv has these rows several times"):
        find_places(moved, corrections(decision(rows, 2, "drop")))
    # All of them are meant alike, so that it does not matter which is which.
    every = corrections(*(decision(rows, row, "drop") for row in (1, 2, 3)))
    assert list(find_places(moved, every)) == [3, 4, 5]


@pytest.mark.parametrize("change", ["text", "label", "gone"])
def test_rows_that_changed_are_refused(change: str) -> None:
    old = subject([("a", "x"), ("b", "y"), ("c", "x")])
    now = {"text": ("a!", "x"), "label": ("a", "y"), "gone": ("b", "y")}[change]
    with pytest.raises(DataError, match=r"fixes.csv, row 1: rows.csv does not have these rows"):
        apply_corrections(
            subject([now, ("b", "y"), ("c", "x")]), corrections(decision(old, 1, "drop"))
        )


def test_two_decisions_on_a_row_are_refused() -> None:
    rows = subject(ROWS)
    both = corrections(decision(rows, 2, "drop"), decision(rows, 2, "keep", "y"))
    with pytest.raises(DataError, match="rows 2, 2: these rows are decided twice"):
        apply_corrections(rows, both)


@pytest.mark.parametrize(
    ("labels", "after", "wanted"),
    [
        ([1, 2, 1, 2], "2", ["2", "2", "1", "2"]),
        ([1, 2, 1, 2], "new", ["new", "2", "1", "2"]),
        ([True, False, True, False], "new", ["new", "false", "true", "false"]),
        (["1.0", "2.0", "1.0", "2.0"], "new", ["new", "2", "1", "2"]),
        # Split at the bar, these would be rows with several labels.
        (["x", "y", "x", "y"], "x|y", ["x|y", "y", "x", "y"]),
        ([["x"], ["x", "y"], [], ["y"]], ("x", "z"), [("x", "z"), ("x", "y"), (), ("y",)]),
        (["x", "x|y", "y", "z"], ("x", "z"), [("x", "z"), ("x", "y"), ("y",), ("z",)]),
        (["x", "x|y", "y", "z"], (), [(), ("x", "y"), ("y",), ("z",)]),
        (['["x"]', '["x", "y"]', "[]", '["y"]'], ("q",), [("q",), ("x", "y"), (), ("y",)]),
    ],
)
def test_labels_of_any_kind_read_as_decided(
    labels: list[object], after: Target, wanted: list[Target]
) -> None:
    rows = subject([(f"text {n}", label) for n, label in enumerate(labels)])
    done = apply_corrections(rows, corrections(decision(rows, 1, "relabel", after))).subject
    assert done.targets == wanted
    loaded = build_dataset(
        done.table, Columns(("text",), "label"), multi_label=done.multi_label, missing="drop"
    )
    assert loaded.dataset.targets == wanted


def test_one_label_rows_do_not_get_several() -> None:
    rows = subject(ROWS)
    with pytest.raises(DataError, match="several labels to rows that have one"):
        apply_corrections(rows, corrections(decision(rows, 1, "relabel", ("x", "y"))))
    unlabelled = replace(rows, target=None)
    with pytest.raises(DataError, match="no label is read"):
        apply_corrections(unlabelled, corrections(decision(unlabelled, 1, "relabel", "x")))


LABELS = st.one_of(
    st.none(),
    st.text(min_size=1).filter(lambda one: one == one.strip() and not one.startswith("[")),
    st.lists(st.text(min_size=1), unique=True).map(lambda labels: tuple(sorted(labels))),
)
DECISIONS = st.builds(
    Correction,
    row=st.integers(1, 10**9),
    digest=st.integers(0, 2**64 - 1).map(digest_text),
    action=st.sampled_from(["keep", "drop"]),
    before=LABELS,
    after=LABELS,
    check=st.sampled_from(["", "outliers"]),
    when=st.just(WHEN),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(DECISIONS, unique_by=lambda one: (one.row, one.digest)))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, decisions: list[Correction]
) -> None:
    file = tmp_path_factory.getbasetemp() / "round-trip.csv"
    write_corrections(file, decisions)
    read = read_corrections(file)
    assert sorted(read.decisions, key=repr) == sorted(decisions, key=repr)
    write_corrections(file, read.decisions)
    assert read_corrections(file).sha256 == read.sha256


def test_a_file_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    rows = subject(ROWS)
    file = tmp_path / "fixes.csv"
    write_corrections(file, [decision(rows, 1, "relabel", "y")])
    file.write_bytes(
        b"\xef\xbb\xbf" + file.read_bytes().replace(b",", b";").replace(b"\n", b"\r\n")
    )
    assert read_corrections(file).decisions == (decision(rows, 1, "relabel", "y"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no corrections file: it lacks row, digest"),
        (b"row,column,before,after,why,step\n", "it lacks digest, action"),
        (HEAD + b"1,sha256:00\n", "too few"),
        (HEAD + b"0,d,keep,,,,\n", "'0' is no"),
        (HEAD + b"1,1e5,keep,,,,\n", "no digest"),
        (
            HEAD
            + b"1,sha256:0123456789abcdef,delete,,,,\n2,sha256:0123456789abcdef,relabel,x,,,\n",
            r"line 2: 'delete' is not keep(?s:.*)line 3: the row is relabelled and has no",
        ),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (HEAD + b'"1', "cannot be read as csv"),
    ],
)
def test_files_that_no_review_wrote(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "fixes.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_corrections(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such corrections file"):
        read_corrections(tmp_path / "fixes.csv")


def test_a_digest_does_not_depend_on_the_format(tmp_path: Path) -> None:
    as_numbers, as_texts = subject([("a", 1), ("b", 2)]), subject([("a", "1"), ("b", "2")])
    assert row_codes(as_numbers).tolist() == row_codes(as_texts).tolist()
    assert digest_text(int(row_codes(as_texts)[0])) == "sha256:2c4f696cf5c5f70a"


def test_a_relabelled_row_changes_the_fingerprint_and_a_kept_one_does_not() -> None:
    rows = subject(ROWS[:4])
    kept = apply_corrections(rows, corrections(decision(rows, 1, "keep", "x"))).subject
    other = apply_corrections(rows, corrections(decision(rows, 1, "relabel", "y"))).subject
    assert fingerprint(kept.dataset) == fingerprint(rows.dataset)
    assert fingerprint(other.dataset) != fingerprint(rows.dataset)


def test_reviewed_rows_are_not_suspected_again() -> None:
    generator = np.random.default_rng(0)
    centres = np.eye(3, 16, dtype=np.float32)
    features = centres[np.arange(240) % 3] + generator.normal(0, 0.15, (240, 16)).astype(np.float32)
    features[33] = -5.0
    labels = ["abc"[n % 3] for n in range(240)]
    labels[10], labels[50] = "c", "a"
    rows = subject([(f"text {n}", label) for n, label in enumerate(labels)])
    places = np.arange(240)
    (found,) = check_suspected_labels(rows, places, features)
    assert found.rows.tolist() == [11, 51]
    assert next(iter(found.details[0]["likeliest"])) == found.details[0]["suggested"]
    seen = replace(rows, reviewed=frozenset({10, 33}))
    (left,) = check_suspected_labels(seen, places, features)
    assert left.rows.tolist() == [51]
    assert 34 in next(iter(check_outliers(rows, places, features))).rows
    assert all(34 not in one.rows for one in check_outliers(seen, places, features))
