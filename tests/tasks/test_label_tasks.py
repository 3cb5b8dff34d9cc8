"""The label tasks: the contract of every task, labels as text, thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import BundleError, DataError
from tunesmith.tasks import (
    Field,
    MultiLabelClassification,
    Task,
    TextClassification,
    from_dict,
    label_text,
)
from tunesmith.testing import TaskContract
from tunesmith.types import LabelPrediction, LabelsPrediction, Outputs

ONE = (Field("text"),)
TWO = (Field("question"), Field("answer"))
LABELS = ("ham", "eggs", "späm")


class TestTextClassification(TaskContract):
    @pytest.fixture(params=[ONE, TWO])
    def task(self, request: pytest.FixtureRequest) -> Task:
        return TextClassification(request.param, LABELS)


class TestMultiLabelClassification(TaskContract):
    @pytest.fixture(params=[(ONE, ()), (TWO, (0.2, 0.5, 0.9))])
    def task(self, request: pytest.FixtureRequest) -> Task:
        fields, thresholds = request.param
        return MultiLabelClassification(fields, LABELS, thresholds)


def logits(*probabilities: float) -> Outputs:
    values = np.array([probabilities])
    return Outputs(scores=np.log(values / (1 - values)).astype(np.float32))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (np.float32(3), "3"),
        (np.int64(3), "3"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (True, "true"),
        (np.False_, "false"),
        ("  spam ", "spam"),
        ("True", "True"),
        ("垃圾", "垃圾"),
        (float("inf"), "inf"),
    ],
)
def test_a_label_reads_alike_from_every_format(value: object, text: str) -> None:
    assert label_text(value) == text


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_read_alike(number: int) -> None:
    assert label_text(number) == label_text(float(number)) == label_text(str(number))


@given(st.text() | st.floats() | st.booleans() | st.integers())
def test_reading_twice_changes_nothing(value: object) -> None:
    assert label_text(label_text(value)) == label_text(value)


def test_single_label_chooses_the_likeliest_and_of_equals_the_first() -> None:
    task = TextClassification(ONE, LABELS)
    first, tie = task.decode(Outputs(scores=np.array([[0, 2, 1], [1, 0, 1]], dtype=np.float32)))
    assert isinstance(first, LabelPrediction)
    assert isinstance(tie, LabelPrediction)
    assert (first.label, tie.label) == ("eggs", "ham")
    assert first.probability == first.probabilities["eggs"] == pytest.approx(0.6652, abs=1e-4)


def test_encoding_follows_the_order_of_the_labels() -> None:
    assert TextClassification(ONE, LABELS).encode(["späm", "ham"]).tolist() == [2, 0]
    several = MultiLabelClassification(ONE, LABELS)
    encoded = several.encode([("späm", "ham"), (), ("eggs",)])
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_all_unknown_labels_are_counted() -> None:
    task = MultiLabelClassification(ONE, LABELS)
    with pytest.raises(DataError, match=r"'a' \(1×\), 'b' \(2×\)"):
        task.encode([("b", "ham"), ("a", "b")])


def test_thresholds_decide_each_label_by_itself() -> None:
    task = MultiLabelClassification(ONE, LABELS)
    outputs = logits(0.4, 0.6, 0.95)
    assert task.decode(outputs)[0].as_dict()["labels"] == ["späm", "eggs"]
    own = task.with_thresholds([0.3, 0.7, 0.99])
    assert own.decode(outputs)[0].as_dict()["labels"] == ["ham"]
    assert own.with_thresholds([1, 1, 1]).decode(outputs)[0].as_dict()["labels"] == []
    assert task.thresholds == ()


def test_a_probability_at_its_threshold_counts() -> None:
    task = MultiLabelClassification(ONE, ("a", "b"), (0.5, 0.5))
    prediction = task.decode(Outputs(scores=np.zeros((1, 2), dtype=np.float32)))[0]
    assert isinstance(prediction, LabelsPrediction)
    assert prediction.labels == ("a", "b")


def test_two_fields_need_two_texts() -> None:
    with pytest.raises(DataError, match=r"reads 2 text\(s\) \(question, answer\), and got 1"):
        TextClassification(TWO, LABELS).read("only one")
    with pytest.raises(DataError, match="'answer' must be text, and is int"):
        TextClassification(TWO, LABELS).read({"question": "a", "answer": 1})
    assert TextClassification(ONE, LABELS).read("bare") == ("bare",)


def test_unknown_descriptions_are_refused() -> None:
    with pytest.raises(BundleError, match="unknown task 'song-writing'"):
        from_dict({"name": "song-writing", "fields": [], "labels": []})
    with pytest.raises(BundleError, match="incomplete"):
        from_dict({"name": "text-classification"})
