"""What every check, and every cleaning step, must hold."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tunesmith.checks import Check, Finding, Step, Subject, clean, revert
from tunesmith.data import Table

__all__ = ["CheckContract", "StepContract"]

_SEVERITIES = ("error", "warning", "note")


class CheckContract:
    """Give fixtures `check` and `flawed`: a subject in which the check finds something.

    A check that looks at the files beside the data gives them in `flawed`.
    """

    def test_it_finds_what_it_is_for(self, check: Check, flawed: Subject) -> None:
        assert list(check(flawed))

    def test_findings_say_what_and_how_to_mend(self, check: Check, flawed: Subject) -> None:
        for one in check(flawed):
            assert isinstance(one, Finding)
            assert one.severity in _SEVERITIES
            assert one.check == one.check.lower()
            assert " " not in one.check
            assert one.message.strip()
            assert one.fix.strip()
            json.dumps(one.as_dict())

    def test_rows_are_numbers_of_rows(self, check: Check, flawed: Subject) -> None:
        for one in check(flawed):
            most = flawed.beside.get(one.part, flawed).num_rows
            assert one.rows.dtype == np.int64
            assert len(set(one.rows.tolist())) == len(one.rows)
            named = [*one.rows.tolist(), *(row for group in one.groups for row in group)]
            assert all(1 <= row <= most for row in named)
            assert all(1 <= detail.get("row", 1) <= most for detail in one.details)

    def test_a_column_that_is_named_exists(self, check: Check, flawed: Subject) -> None:
        assert {one.column for one in check(flawed)} <= {None, *flawed.table.column_names}

    def test_nothing_is_changed(self, check: Check, flawed: Subject) -> None:
        before = flawed.table.arrow.to_pylist()
        list(check(flawed))
        assert flawed.table.arrow.to_pylist() == before

    def test_the_same_is_found_twice(self, check: Check, flawed: Subject) -> None:
        first, again = ([one.as_dict() for one in check(flawed)] for _ in range(2))
        assert first == again

    def test_hopeless_tables_are_no_trouble(self, check: Check, flawed: Subject) -> None:
        for rows in ([], [None], [""], ["one text"]):
            list(check(_of_texts(flawed, rows)))


class StepContract:
    """Give fixtures `step` and `flawed`: a subject in which the step changes something."""

    def test_it_changes_what_it_is_for(self, step: Step, flawed: Subject) -> None:
        assert clean(flawed, [step]).changes

    def test_it_says_why(self, step: Step) -> None:
        assert step.why.strip()

    def test_the_table_given_stays(self, step: Step, flawed: Subject) -> None:
        before = flawed.table.arrow.to_pylist()
        clean(flawed, [step])
        assert flawed.table.arrow.to_pylist() == before

    def test_every_lost_row_has_a_line(self, step: Step, flawed: Subject) -> None:
        cleaned = clean(flawed, [step])
        dropped = [one.row for one in cleaned.changes if one.column is None]
        every = sorted([*dropped, *cleaned.rows.tolist()])
        assert every == list(range(1, flawed.num_rows + 1))

    def test_it_can_be_undone(self, step: Step, flawed: Subject) -> None:
        cleaned = clean(flawed, [step])
        back = revert(cleaned.table, cleaned.rows, cleaned.changes)
        assert back.arrow.to_pylist() == flawed.table.arrow.to_pylist()

    def test_a_second_time_nothing_is_left_to_do(self, step: Step, flawed: Subject) -> None:
        cleaned = clean(flawed, [step])
        assert not clean(Subject(cleaned.table, flawed.text, flawed.target), [step]).changes


def _of_texts(like: Subject, texts: Sequence[str | None]) -> Subject:
    """A table with the same columns, of a few texts with one label."""
    columns = {name: pa.array(texts, pa.string()) for name in like.text}
    if like.target is not None:
        columns[like.target] = pa.array(["label"] * len(texts), pa.string())
    return Subject(Table(pa.table(columns), "rows"), like.text, like.target)
