"""Expectations: read from YAML, held against figures and sections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tunesmith.errors import ConfigError
from tunesmith.evaluation import KnownNames, evaluate, hold_against, read_expectations
from tunesmith.tasks import Field, TextClassification

TASK = TextClassification((Field("text"),), ("refund", "parcel", "spam"))
TARGETS = np.array([0] * 50 + [1] * 50)
ANSWERS = np.array([0] * 45 + [1] * 5 + [1] * 40 + [0] * 10)
METRICS = evaluate(TASK, TARGETS, 0.8 * np.eye(3)[ANSWERS] + 0.2 / 3)


class Part:
    """A section that is nothing but its values."""

    template = ""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name = name
        self._values = values

    def view(self) -> Mapping[str, Any]:
        return self._values

    def sentences(self) -> tuple[str, ...]:
        return ()

    def as_dict(self) -> Mapping[str, Any]:
        return self._values


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": min(1.0, value + 0.1)}


SECTIONS = (
    Part(
        "slices",
        {
            "slices": [
                {"name": "length", "value": "short", "num_rows": 60, "metric": "accuracy",
                 "estimate": estimate(0.9)},
                {"name": "length", "value": "long", "num_rows": 40, "metric": "accuracy",
                 "estimate": estimate(0.75)},
                {"name": "language", "value": "fr", "num_rows": 3, "metric": "accuracy",
                 "estimate": estimate(0.0)},
            ]
        },
    ),
    Part("robustness", {"checks": [{"name": "typos", "kept": estimate(0.88), "num_rows": 100}]}),
    Part("calibration", {"ece": {"before": 0.1, "after": 0.03}}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "place", "mend"),
    [
        ({"metrics": {"accuracy": {"min": 95}}}, "metrics.accuracy.min", "write min: 0.95"),
        ({"metrics": {"mcc": {"min": 60}}}, "metrics.mcc.min", "write min: 0.6"),
        ({"labels": {"*": {"f1": {"min": 80.5}}}}, "labels.*.f1.min", "write min: 0.805"),
        ({"slices": [{"min": 0.5}, {"min": 70}]}, "slices.1.min", "write min: 0.7"),
        ({"robustness": {"typos": {"min": 90}}}, "robustness.typos.min", "write min: 0.9"),
        ({"metrics": {"accuracy": {"max": 99}}}, "metrics.accuracy.max", "write max: 0.99"),
        ({"calibration": {"max_error": 5}}, "calibration.max_error", "write max_error: 0.05"),
        ({"metrics": {"accuracy": {"min": 1.5}}}, "metrics.accuracy.min", "a number from 0 to 1"),
        ({"metrics": {"accuracy": {"min": 950}}}, "metrics.accuracy.min", "a number from 0 to 1"),
    ],
)
def test_percentages_are_refused(values: Mapping[str, Any], place: str, mend: str) -> None:
    with pytest.raises(ConfigError, match="is above 1, which this figure never is") as caught:
        read_expectations(values)
    (fault,) = caught.value.faults
    assert fault.where == f"expectations: {place}"
    assert mend in fault.mend


def test_what_is_no_share_may_be_above_one() -> None:
    read = read_expectations(
        {"metrics": {"log_loss": {"max": 2}, "brier": {"max": 1.5}, "accuracy": {"min": 1}},
         "slices": [{"metric": "log_loss", "max": 3}]}
    )  # fmt: skip
    assert read.metrics["log_loss"].max == 2
    assert read.slices[0].max == 3


def held(
    values: Mapping[str, Any], sections: tuple[Part, ...] = SECTIONS
) -> list[tuple[str, bool]]:
    verdict = hold_against(read_expectations(values), TASK, METRICS, sections)
    return [(outcome.name, outcome.kept) for outcome in verdict.outcomes]


@pytest.mark.parametrize(
    ("bound", "kept"),
    [
        ({"min": 0.8}, True),
        ({"min": 0.85}, True),
        ({"min": 0.851}, False),
        ({"min": 0.8, "of": "low"}, False),
        ({"min": 0.7, "of": "low"}, True),
        ({"max": 0.9}, True),
        ({"max": 0.9, "of": "high"}, False),
        ({"min": 1}, False),
    ],
)
def test_bounds_of_a_metric(bound: dict[str, Any], kept: bool) -> None:
    assert held({"metrics": {"accuracy": bound}}) == [("accuracy", kept)]


def test_labels() -> None:
    recall = {"recall": {"min": 0.85}, "precision": {"min": 0.8}}
    assert held({"labels": {"refund": recall}}) == [
        ("refund recall", True),
        ("refund precision", True),
    ]
    # A label without rows says nothing of itself under "*", and is not kept where it is named.
    assert held({"labels": {"*": {"recall": {"min": 0.85}}}}) == [
        ("refund recall", True),
        ("parcel recall", False),
    ]
    assert held({"labels": {"spam": {"recall": {"min": 0}}}}) == [("spam recall", False)]


def test_slices() -> None:
    assert held({"slices": [{"metric": "accuracy", "min": 0.8}]}) == [
        ("length = short, accuracy", True),
        ("length = long, accuracy", False),
    ]
    assert held({"slices": [{"name": "language", "min": 0.0, "min_rows": 1}]}) == [
        ("language = fr, accuracy", True)
    ]
    assert held({"slices": [{"name": "label", "min": 0.1}]}) == [("slices by label", False)]


def test_robustness_and_calibration() -> None:
    assert held({"robustness": {"*": {"min": 0.8}, "names": {"min": 0.8}}}) == [
        ("typos", True),
        ("names", False),
    ]
    assert held({"calibration": {"max_error": 0.03}}) == [("calibration error", True)]
    assert held({"calibration": {"max_error": 0.02}}) == [("calibration error", False)]


def test_sections_that_are_not_there() -> None:
    expectations = read_expectations(
        {"slices": [{"min": 0.1}], "robustness": {"typos": {"min": 0.1}},
         "calibration": {"max_error": 0.5}}
    )  # fmt: skip
    verdict = hold_against(expectations, TASK, METRICS, ())
    assert not verdict.kept
    assert [outcome.found for outcome in verdict.outcomes] == [
        f"the report has no section {name!r}" for name in ("slices", "robustness", "calibration")
    ]


def test_figures_that_are_not_defined() -> None:
    one_class = evaluate(TASK, np.zeros(5, dtype=np.int64), np.full((5, 3), 1 / 3))
    expectations = read_expectations({"metrics": {"mcc": {"min": 0.1}}})
    (outcome,) = hold_against(expectations, TASK, one_class, ()).outcomes
    assert (outcome.found, outcome.kept) == ("not defined on these rows", False)


def test_as_json_and_junit() -> None:
    expectations = read_expectations(
        {"metrics": {"accuracy": {"min": 0.99}, "macro_f1": {"min": 0.1}}}
    )
    verdict = hold_against(expectations, TASK, METRICS, ())
    values = verdict.as_dict()
    assert values["kept"] is False
    assert values["checks"][0] == {
        "part": "metrics",
        "name": "accuracy",
        "wanted": "at least 0.99",
        "found": f"0.850 ({METRICS['accuracy'].low:.3f}–{METRICS['accuracy'].high:.3f})",
        "value": 0.85,
        "kept": False,
    }
    root = ElementTree.fromstring(verdict.to_junit('a <bundle> & "x"\x00'))
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        'a <bundle> & "x"\ufffd', "2", "1",
    )  # fmt: skip
    first, second = suite
    assert (first.get("classname"), first.get("name")) == ("tunesmith.metrics", "accuracy")
    assert "wanted at least 0.99" in (first.find("failure").get("message") or "")  # type: ignore[union-attr]
    assert second.find("failure") is None


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ("metric:\n  accuracy: {min: 0.9}", "metric: there is no such entry", "'metrics'"),
        ("metrics:\n  accuracy: {mni: 0.9}", "accuracy.mni: there is no such entry", "'min'"),
        ("labels:\n  refund: {recal: {min: 0.9}}", "refund.recal: there is no such", "'recall'"),
        ("slices:\n  - {min: 0.9, metrc: f1}", "slices.0.metrc: there is no such", "'metric'"),
        ("calibration: {max: 0.1}", "calibration.max: there is no such", "max_error"),
        ("metrics:\n  accuracy: {}", "needs min or max", ""),
        ("metrics:\n  accuracy: {min: 0.9, max: 0.8}", "min is above max", ""),
        ("metrics:\n  accuracy: 0.9", "must hold entries, such as {min: 0.9}", ""),
        ("metrics:\n  accuracy: {min: high}", "must be a valid number (got 'high')", ""),
        ("metrics:\n  accuracy: {min: .nan}", "must be a finite number", ""),
        ("metrics:\n  accuracy: {min: 0.9, of: lower}", "'lower' is none of", ""),
        ("slices:\n  - {min: 0.9, min_rows: 0}", "greater than or equal to 1", ""),
        ("{}", "expects nothing", ""),
        ("", "holds no expectations", "metrics:"),
        ("metrics: [", "is not YAML: line 1", ""),
    ],
)
def test_faulty_files(tmp_path: Path, text: str, what: str, mend: str) -> None:
    file = tmp_path / "expectations.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_expectations(file)
    assert what in str(caught.value)
    assert mend in str(caught.value)
    assert str(file) in str(caught.value)


def test_all_faults_at_once_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_expectations({"metrics": {"accuracy": {"mim": 1}, "mcc": {"of": "low"}}, "label": {}})
    assert len(caught.value.faults) >= 3
    with pytest.raises(ConfigError, match="No such file"):
        read_expectations(tmp_path / "none.yaml")


def test_names_that_the_model_does_not_have() -> None:
    expectations = read_expectations(
        {"metrics": {"acuracy": {"min": 0.9}}, "labels": {"refunds": {"f1": {"min": 0.9}}}}
    )
    with pytest.raises(ConfigError) as caught:
        hold_against(expectations, TASK, METRICS, (), where="e.yaml")
    metric, label = caught.value.faults
    assert (metric.where, metric.mend) == ("e.yaml: metrics.acuracy", "did you mean 'accuracy'?")
    assert (label.where, label.mend) == ("e.yaml: labels.refunds", "did you mean 'refund'?")


def test_every_fault_of_the_file_at_once() -> None:
    values = {
        "metric": {},
        "metrics": {"acuracy": {"min": 0.9}, "macro_f1": {"mni": 0.9}, "mcc": {"min": 60}},
        "labels": {"refunds": {"f1": {"min": "high"}}, "*": {"recall": {"min": 95}}},
        "slices": [{"min": 0.9, "name": "lenght"}, {"min": 0.9, "metric": "macro_f1"}],
        "robustness": {"typo": {"min": 0.9}},
    }
    with pytest.raises(ConfigError) as caught:
        read_expectations(values, KnownNames.of(TASK, ["customer"]))
    found = {fault.where.removeprefix("expectations: "): fault for fault in caught.value.faults}
    assert {place: fault.mend.partition(";")[0] for place, fault in found.items()} == {
        "metric": "did you mean 'metrics'? entries: metrics, labels, slices, robustness, "
        "calibration",
        "metrics.acuracy": "did you mean 'accuracy'?",
        "metrics.macro_f1.mni": "did you mean 'min'? entries: min, max, of",
        "metrics.mcc.min": "write min: 0.6",
        "labels.refunds.f1.min": "",
        "labels.refunds": "did you mean 'refund'?",
        "labels.*.recall.min": "write min: 0.95",
        "slices.0.name": "did you mean 'length'?",
        "slices.1.metric": "write metric: accuracy, the figure that they are given in",
        "robustness.typo": "did you mean 'typos'?",
    }


def test_columns_that_the_rows_are_sliced_by() -> None:
    names = KnownNames.of(TASK, ["customer"])
    read_expectations({"slices": [{"min": 0.5, "name": "customer"}]}, names)
    with pytest.raises(ConfigError, match="not sliced by 'color'") as caught:
        read_expectations({"slices": [{"min": 0.5, "name": "color"}]}, names)
    (fault,) = caught.value.faults
    assert "there are confidence, label, language, length, customer" in fault.mend
    assert "--slice COLUMN" in fault.mend


def test_labels_that_yaml_reads_as_something_else(tmp_path: Path) -> None:
    file = tmp_path / "expectations.yaml"
    text = "labels:\n  7: {f1: {min: 1}}\n  true: {f1: {min: 1}}\n  2.0: {f1: {min: 1}}\n"
    file.write_text(text, encoding="utf-8")
    assert list(read_expectations(file).labels) == ["7", "true", "2"]
