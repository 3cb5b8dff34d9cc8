"""Cleaning: a log line for every change, nothing more the second time, and back again."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.checks import STEPS, Subject, clean, find_steps, log_table, revert
from tunesmith.data import Table
from tunesmith.errors import ConfigError

CELLS = st.sampled_from([
    None, "", "N/A", "ok", "cafÃ© au lait", "<b>bold</b> &amp; more", "zero\u200bwidth",
    "Hello there", "hello  THERE", "mail a.b@example.com please", "the cat sat on the mat",
    "the cat sat on a mat",
])  # fmt: skip
NAMES = st.sampled_from([None, "spam", "Spam", "ham", "n/a", "rare"])


def subject(rows: list[tuple[str | None, str | None]]) -> Subject:
    columns = {
        "text": pa.array([text for text, _ in rows], pa.string()),
        "label": pa.array([label for _, label in rows], pa.string()),
        "id": pa.array(range(len(rows))),
    }
    return Subject(Table(pa.table(columns), "rows.csv"), ("text",), "label")


@given(
    st.lists(st.tuples(CELLS, NAMES), max_size=12).filter(
        lambda rows: any((r[0] or "").strip() for r in rows) and any(r[1] for r in rows)
    ),
    st.sets(st.sampled_from(list(STEPS))),
)
def test_no_row_is_lost_without_a_line_and_all_can_be_undone(rows, names) -> None:
    before = subject(rows)
    steps = find_steps(names)
    cleaned = clean(before, steps)
    dropped = {change.row for change in cleaned.changes if change.column is None}
    assert sorted([*dropped, *cleaned.rows.tolist()]) == list(range(1, len(rows) + 1))
    back = revert(cleaned.table, cleaned.rows, cleaned.changes)
    assert back.arrow.to_pylist() == before.table.arrow.to_pylist()
    again = clean(Subject(cleaned.table, ("text",), "label"), steps)
    assert not again.changes
    assert log_table(cleaned.changes, "log").num_rows == len(cleaned.changes)


def test_safe_steps_mend_and_say_why() -> None:
    cleaned = clean(
        subject([
            ("cafÃ© au lait", "spam"), ("CAFÉ au lait", "spam"),
            ("-", "ham"), ("a good text", "Spam"),
        ]),
        find_steps(["safe"]),
    )  # fmt: skip
    assert cleaned.table.column("text") == ["café au lait", "a good text"]
    assert cleaned.table.column("label") == ["spam", "spam"]
    assert cleaned.rows.tolist() == [1, 4]
    assert cleaned.counts() == {
        "repair-mojibake": 1, "empty-placeholders": 1, "unify-labels": 1, "drop-missing": 1,
        "drop-duplicates": 1,
    }  # fmt: skip


def test_the_same_personal_data_gets_the_same_placeholder() -> None:
    rows = [("ask a.b@example.com", "x"), ("or A.B@example.com", "x"), ("c.d@example.com", "y")]
    texts = clean(subject(rows), find_steps(["redact-personal-data"])).table.column("text")
    marks = [str(text).rpartition("[")[2] for text in texts]
    assert marks[0] == marks[1] != marks[2]
    assert all("@" not in str(text) for text in texts)


def test_an_unknown_step_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ConfigError, match="drop-duplicates"):
        find_steps(["wash"])
