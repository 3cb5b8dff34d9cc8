"""What every task must hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunesmith.errors import DataError
from tunesmith.tasks import Task, from_dict
from tunesmith.types import Outputs

__all__ = ["TaskContract"]

_ROWS = 7


class TaskContract:
    """Give a fixture `task`: a label task with at least two labels."""

    @pytest.fixture
    def outputs(self, task: Task) -> Outputs:
        scores = np.random.default_rng(0).normal(size=(_ROWS, task.head.size))
        return Outputs(scores=scores.astype(np.float32))

    def test_is_a_task(self, task: Task) -> None:
        assert isinstance(task, Task)
        assert task.fields
        assert task.default_metrics

    def test_survives_json(self, task: Task) -> None:
        assert from_dict(json.loads(json.dumps(task.as_dict()))) == task

    def test_reads_a_mapping_and_a_sequence_alike(self, task: Task) -> None:
        values = [f"text {place}" for place in range(len(task.fields))]
        named = {field.name: value for field, value in zip(task.fields, values, strict=True)}
        assert task.read(named) == task.read(values) == tuple(values)

    def test_refuses_inputs_of_another_shape(self, task: Task) -> None:
        for item in ([], ["text"] * (len(task.fields) + 1), {"no such field": "text"}, 7, None):
            with pytest.raises(DataError):
                task.read(item)

    def test_decodes_every_row_in_order(self, task: Task, outputs: Outputs) -> None:
        scores = outputs.scores
        assert scores is not None
        together = task.decode(outputs)
        alone = [task.decode(Outputs(scores=scores[i : i + 1]))[0] for i in range(_ROWS)]
        assert together == alone

    def test_probabilities_are_probabilities(self, task: Task, outputs: Outputs) -> None:
        probabilities = task.probabilities(outputs)
        assert probabilities.shape == (_ROWS, len(task.labels))
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        if task.objective == "cross-entropy":
            assert np.allclose(probabilities.sum(axis=1), 1)

    def test_extreme_scores_stay_finite(self, task: Task) -> None:
        scores = np.full((1, task.head.size), 3e38, dtype=np.float32)
        scores[0, 0] = -3e38
        assert np.isfinite(task.probabilities(Outputs(scores=scores))).all()

    def test_encodes_one_row_a_target(self, task: Task) -> None:
        targets = (
            [task.labels[0], task.labels[1]]
            if task.objective == "cross-entropy"
            else [(task.labels[0],), ()]
        )
        assert len(task.encode(targets)) == 2

    def test_names_unknown_labels(self, task: Task) -> None:
        target = "no such label" if task.objective == "cross-entropy" else ("no such label",)
        with pytest.raises(DataError, match="no such label"):
            task.encode([target])
