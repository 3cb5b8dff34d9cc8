"""Which rows come first, and what stands beside them."""

from __future__ import annotations

from pathlib import Path

from tunesmith.checks import Finding, Subject, run_checks
from tunesmith.data import choose_columns, read_table
from tunesmith.review import Queue, make_queue


def test_suspected_labels_come_first_then_conflicts_then_near_copies(queue: Queue) -> None:
    assert [item.row for item in queue.items] == [8, 6, 1, 2, 3, 5, 7]
    checks = [queue.findings[item.findings[0]].check for item in queue.items]
    assert checks == [
        "suspected-label-errors", "suspected-label-errors", "conflicting-labels",
        "conflicting-labels", "conflicting-labels", "near-duplicates", "placeholder-values",
    ]  # fmt: skip


def test_a_row_is_there_once_with_all_that_flags_it(queue: Queue) -> None:
    assert [queue.findings[place].check for place in queue.flags(6)] == [
        "suspected-label-errors",
        "markup",
    ]
    assert queue.flags(9) == ()


def test_a_view_shows_the_suggestion_and_its_probability(queue: Queue) -> None:
    view = queue.view(8)
    assert view["texts"] == [{"name": "text", "text": "why was my card charged"}]
    assert view["labels"] == ("delivery",)
    assert view["suggestion"] == {"label": "billing", "probability": 0.97}
    assert view["choices"] == [{"label": "billing", "probability": 0.97}]
    assert view["reasons"][0]["probability"] == 0.97


def test_rows_of_the_group_stand_beside(queue: Queue) -> None:
    view = queue.view(2)
    assert [one["row"] for one in view["beside"]] == [1, 3]
    assert {one["check"] for one in view["beside"]} == {"conflicting-labels"}
    assert view["suggestion"] == {"label": "delivery", "probability": None}
    assert queue.view(1)["suggestion"] is None
    assert [one["row"] for one in queue.view(5)["beside"]] == [4]


def test_any_row_can_be_seen(queue: Queue) -> None:
    view = queue.view(9)
    assert (view["reasons"], view["beside"], view["suggestion"]) == ([], [], None)
    assert [one["label"] for one in view["choices"]] == ["billing"]


def test_large_groups_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "same.csv"
    rows = "".join(f"the same text again,{'ab'[n % 2]}\n" for n in range(40))
    file.write_text(f"text,label\n{rows}another text,a\n")
    table = read_table(file)
    columns = choose_columns(table)
    subject = Subject(table, columns.text, columns.target)
    queue = make_queue(subject, run_checks(subject))
    view = queue.view(1)
    assert len(view["beside"]) == 12
    assert view["num_beside"] >= 39


def test_findings_without_rows_are_no_rows_to_look_at(subject: Subject) -> None:
    about_all = Finding("language-mix", "note", "many languages", "see that they belong")
    assert make_queue(subject, [about_all]).items == ()


def test_two_texts_and_several_labels(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("a,b,tags\nis it,yes,x|y\nis it,no,x\nwhy,so,y\n")
    table = read_table(file)
    subject = Subject(table, ("a", "b"), "tags", multi_label=True)
    view = make_queue(subject, []).view(1)
    assert [one["name"] for one in view["texts"]] == ["a", "b"]
    assert view["labels"] == ("x", "y")
    # The labels that it has are among those to toggle.
    assert [one["label"] for one in view["choices"]] == ["x", "y"]


def test_faulty_labels_are_no_choices_and_what_is_meant_is_suggested(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = [f"text number {n} of many,{'spam' if n % 2 else 'ham'}" for n in range(12)]
    lines += ["one more text,SPAM", "and another one,N/A", "the last of them,ham"]
    file.write_text("text,label\n" + "\n".join(lines) + "\n")
    subject = Subject(read_table(file), ("text",), "label")
    queue = make_queue(subject, run_checks(subject))
    assert queue.view(13)["suggestion"] == {"label": "spam", "probability": None}
    for row in (13, 14, 15):
        assert {one["label"] for one in queue.view(row)["choices"]} <= {"spam", "ham"}
