"""Parent and child on the parent's rows: labels that differ, the change, and where it was lost."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tunesmith.evaluation import Answers, Forgetting, Report, judge_forgetting
from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Estimate

from .test_report import Page, make_report

FIELDS = (Field("text"),)
OLD = ("a", "b", "c")


def one_label(labels: tuple[str, ...], answers: list[str]) -> Answers:
    """A model that is nearly sure of each answer."""
    task = TextClassification(FIELDS, labels)
    probabilities = np.full((len(answers), len(labels)), 0.1 / max(len(labels) - 1, 1))
    probabilities[np.arange(len(answers)), [labels.index(one) for one in answers]] = 0.9
    return Answers(task, probabilities)


def judge(targets: list[str], before: Answers, after: Answers) -> Forgetting:
    return judge_forgetting(targets, before, after, parent="3fa2", resamples=200)


def test_nothing_changed() -> None:
    targets = ["a", "b", "c", "a"] * 25
    same = one_label(OLD, targets)
    found = judge(targets, same, same)
    assert (found.metric, found.before, found.change.value) == ("accuracy", found.after, 0)
    assert found.change.low < 0 < found.change.high
    assert found.sentence() == (
        "on the 100 test rows of its parent: 100.0 % accuracy now, 100.0 % with the parent; "
        f"not clearly different (0.0 points, −{-100 * found.change.low:.1f} to "
        f"{100 * found.change.high:.1f})"
    )


def test_a_label_is_forgotten() -> None:
    targets = ["a", "b", "c", "a"] * 25
    after = one_label(OLD, ["a" if target == "b" else target for target in targets])
    found = judge(targets, one_label(OLD, targets), after)
    assert found.change.value == pytest.approx(-0.25)
    assert found.change.high < 0
    assert (found.before["accuracy"].value, found.after["accuracy"].value) == (1.0, 0.75)
    first, *others = found.labels
    assert (first.label, first.support, first.change) == ("b", 25, -1.0)
    assert all(label.change == 0 for label in others)
    lost = f"25.0 points ({-100 * found.change.high:.1f}–{-100 * found.change.low:.1f}) lower"
    assert found.sentence().endswith(f"75.0 % accuracy now, 100.0 % with the parent; {lost}")


def test_a_sure_loss_comes_before_one_by_chance() -> None:
    targets = ["a"] * 2 + ["b"] * 40 + ["c"] * 40
    answers = ["a", "c"] + ["b"] * 20 + ["c"] * 60
    found = judge(targets, one_label(OLD, targets), one_label(OLD, answers))
    losses = [(label.label, label.change) for label in found.labels if label.change < 0]
    assert losses == [("b", -0.5), ("a", -0.5)]


def test_an_old_row_may_be_taken_for_a_new_label() -> None:
    targets = ["a", "b"] * 10
    after = one_label((*OLD, "new"), ["a", "new"] * 10)
    found = judge(targets, one_label(OLD, targets), after)
    assert found.after["accuracy"].value == 0.5
    assert [label.label for label in found.labels] == ["b", "a"], "only labels that have rows"


def test_labels_are_matched_by_name() -> None:
    targets = ["a", "b", "c"] * 10
    found = judge(targets, one_label(OLD, targets), one_label(("c", "x", "b", "a"), targets))
    assert (
        found.before["accuracy"]
        == found.after["accuracy"]
        == Estimate(1.0, found.before["accuracy"].low, 1.0)
    )
    assert found.change.value == 0


def test_several_labels_are_compared_where_both_have_them() -> None:
    targets: list[tuple[str, ...]] = [("a",), ("a", "b"), ()] * 10
    before = Answers(
        MultiLabelClassification(FIELDS, ("a", "b"), (0.5, 0.9)),
        np.array([[0.9, 0.6], [0.9, 0.95], [0.1, 0.1]] * 10),
    )
    after = Answers(
        MultiLabelClassification(FIELDS, ("new", "b", "a"), (0.5, 0.5, 0.5)),
        np.array([[0.9, 0.1, 0.9], [0.9, 0.1, 0.9], [0.9, 0.1, 0.1]] * 10),
    )
    found = judge_forgetting(targets, before, after, parent="3fa2", resamples=100)
    assert found.metric == "macro_f1"
    assert found.before["macro_f1"].value == 1.0, "by the parent's own thresholds"
    assert found.after["macro_f1"].value == 0.5
    assert found.before.labels.keys() == {"a", "b"}
    assert found.labels[0].label == "b"


def with_forgetting(size: int = 4, *, replayed: int = 0, label: str = "label") -> Report:
    report = make_report(size=size, label=label)
    labels = tuple(report.task["labels"])
    generator = np.random.default_rng(0)
    targets = [labels[place] for place in generator.integers(size, size=300)]
    answers = [labels[0] if generator.random() < 0.2 else target for target in targets]
    forgetting = judge_forgetting(
        targets,
        one_label(labels, targets),
        one_label(labels, answers),
        parent="3fa2c1d09e77",
        num_left_out=7,
        num_replayed=replayed,
        resamples=100,
    )
    return dataclasses.replace(report, forgetting=forgetting)


def test_the_report_holds_it() -> None:
    report = with_forgetting()
    saved = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert saved["forgetting"]["change"]["value"] < 0
    again = Report.from_dict(saved)
    assert again.forgetting == report.forgetting
    assert again.to_html() == report.to_html()


def test_a_report_of_before_has_none() -> None:
    saved = make_report().as_dict()
    assert saved.pop("forgetting") is None
    assert Report.from_dict(saved).forgetting is None


def test_the_summary_has_the_leading_figures() -> None:
    forgetting = with_forgetting().forgetting
    assert forgetting is not None
    summary = forgetting.summary()
    assert summary["before"] == forgetting.before["accuracy"].as_dict()
    assert (summary["num_examples"], summary["num_left_out"]) == (300, 7)


@pytest.mark.parametrize(("size", "replayed"), [(4, 0), (40, 120)])
def test_the_page_shows_it(size: int, replayed: int) -> None:
    report = with_forgetting(size, replayed=replayed, label="<b>&")
    page = Page(report.to_html())
    text = " ".join(" ".join(page.texts).split())
    assert "What it kept of its parent" in text
    assert "parent 3fa2c1d09e77" in text
    assert "On 300 of the 307 test rows of its parent: " in text
    assert "7 more were left out" in text
    assert ("--replay does that" in text) == (replayed == 0)
    assert f"{replayed} of the parent’s training rows were mixed" in text or not replayed
    assert "Labels that lost most" in text
    assert "b" not in page.tags
    assert "What it kept" not in make_report().to_html()
