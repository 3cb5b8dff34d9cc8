"""A model whose answers are explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import Classifier, score, tokenize
from tunesmith.errors import BaseModelError
from tunesmith.explanation._attribution import Attributor, Method, Predict, predict_each
from tunesmith.explanation._faithfulness import Faithfulness, measure_faithfulness
from tunesmith.explanation._gradients import GradientXInput, IntegratedGradients, OnEmbeddings
from tunesmith.explanation._leave_one_out import LeaveOneOut
from tunesmith.explanation._reading import Reading, read_texts, read_words
from tunesmith.explanation._results import ExplainedText, explanation_of
from tunesmith.tasks import Calibration, Task
from tunesmith.types import Dataset, Inputs, LabelPrediction, LabelsPrediction, Outputs, Prediction

__all__ = ["Explainer", "labels_given"]

_Read: TypeAlias = Callable[[Sequence[Inputs]], list[Reading]]

_ROWS_AT_ONCE = 16


class Explainer:
    """Reads texts, answers them, and says what each word adds to the answer."""

    def __init__(self, task: Task, attributor: Attributor, predict: Predict, read: _Read) -> None:
        """Puts the parts together; `of_model` and `of_function` have them."""
        self._task = task
        self._attributor = attributor
        self._predict = predict
        self._read = read

    @classmethod
    def of_model(
        cls,
        model: Classifier,
        tokenizer: Any,
        task: Task,
        max_length: int,
        method: Method = "integrated-gradients",
        *,
        steps: int | None = None,
    ) -> Explainer:
        """Explains a model in memory.

        Args:
            model: trained, with or without an adapter on it; it is left as it is.
            max_length: the most tokens read of one example.
            steps: of integrated gradients; None: as many as it takes.
        """
        several = has_several(task)
        calibration: Calibration | None = getattr(task, "calibration", None)

        def predict(inputs: Sequence[Inputs]) -> NDArray[np.float64]:
            scores = score(model, tokenize(tokenizer, inputs, max_length))
            return np.asarray(task.probabilities(Outputs(scores=scores)), dtype=np.float64)

        def read(inputs: Sequence[Inputs]) -> list[Reading]:
            return read_texts(tokenizer, inputs, max_length)[0]

        if method == "leave-one-out":
            return cls(
                task,
                LeaveOneOut(predict, several=several),
                predict,
                lambda inputs: _read_or_split(read, inputs),
            )
        on = OnEmbeddings(model, tokenizer, max_length, several=several, calibration=calibration)
        attributor: Attributor = (
            GradientXInput(on)
            if method == "gradient-x-input"
            else IntegratedGradients(on, steps=steps)
        )
        return cls(task, attributor, predict, read)

    @classmethod
    def of_function(cls, predict: Predict, task: Task) -> Explainer:
        """Explains whatever answers with probabilities, by leave-one-out.

        Args:
            predict: n examples → probabilities, float64 [n, labels]; of a runtime:
                `lambda inputs: task.probabilities(runtime.outputs(inputs))`.
        """
        return cls(task, LeaveOneOut(predict, several=has_several(task)), predict, read_words)

    def explain(
        self,
        examples: Dataset,
        *,
        label: str | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> list[ExplainedText]:
        """Explains n examples, in their order.

        Args:
            examples: with or without targets.
            label: the label to explain; None: the one that the model gives, or all of several.
            on_rows: is told of every so many examples done.
        """
        found: list[ExplainedText] = []
        for start in range(0, len(examples), _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, len(examples))
            found += self._some(examples.take(np.arange(start, stop)), label)
            if on_rows is not None:
                on_rows(stop - start)
        return found

    def _some(self, examples: Dataset, label: str | None) -> list[ExplainedText]:
        inputs = list(examples.inputs)
        readings = self._read(inputs)
        answers = _decoded(self._task, predict_each(self._predict, [inputs])[0])
        wanted = [labels_given(answer) if label is None else (label,) for answer in answers]
        rows = [row for row, labels in enumerate(wanted) for _ in labels]
        names = [name for labels in wanted for name in labels]
        places = [self._task.labels.index(name) for name in names]
        attributions = self._attributor.attribute([readings[row] for row in rows], places)
        fields = tuple(field.name for field in self._task.fields)
        explanations: list[list[Any]] = [[] for _ in inputs]
        for row, name, attribution in zip(rows, names, attributions, strict=True):
            one = explanation_of(
                readings[row],
                attribution,
                label=name,
                probabilities=answers[row].probabilities,
                method=self._attributor.name,
                baseline=self._attributor.baseline,
                fields=fields,
            )
            explanations[row].append(one)
        return [
            ExplainedText(
                fields=fields,
                inputs=tuple(map(str, own)),
                prediction=answers[row],
                explanations=tuple(explanations[row]),
                num_tokens=readings[row].num_tokens,
                full_tokens=readings[row].full_tokens,
                row=int(examples.rows[row]) or None,
                target=examples.targets[row] if examples.targets is not None else None,
            )
            for row, own in enumerate(inputs)
        ]

    def faithfulness(
        self, texts: Sequence[ExplainedText], *, draws: int = 5, seed: int = 42
    ) -> Faithfulness | None:
        """Measures the first explanation of each text; see `measure_faithfulness`."""
        explained = [text for text in texts if text.explanations]
        if not explained:
            return None
        return measure_faithfulness(
            self._predict,
            self._read([text.inputs for text in explained]),
            [self._task.labels.index(text.explanations[0].label) for text in explained],
            [np.asarray(text.explanations[0].attribution.values) for text in explained],
            method=self._attributor.name,
            draws=draws,
            seed=seed,
        )


def _read_or_split(read: _Read, inputs: Sequence[Inputs]) -> list[Reading]:
    """Readings by the tokenizer, or without it where it does not tell where its tokens stand."""
    try:
        return read(inputs)
    except BaseModelError:
        return read_words(inputs)


def has_several(task: Task) -> bool:
    """Whether an example may have several labels."""
    return task.objective == "binary-cross-entropy"


def labels_given(answer: Prediction) -> tuple[str, ...]:
    """The labels of an answer; where it gives none, the likeliest, to show what there is of it."""
    if isinstance(answer, LabelPrediction):
        return (answer.label,)
    known = answer.probabilities
    return answer.labels or (max(known, key=lambda name: known[name]),)


def _decoded(task: Task, probabilities: NDArray[np.float64]) -> list[Prediction]:
    """The answers that the task takes from probabilities."""
    thresholds = np.array(getattr(task, "thresholds", ()) or (0.5,) * len(task.labels))
    answers: list[Prediction] = []
    for row in probabilities:
        named = dict(zip(task.labels, row.tolist(), strict=True))
        if has_several(task):
            order = np.argsort(-row, kind="stable").tolist()
            chosen = [task.labels[place] for place in order if row[place] >= thresholds[place]]
            answers.append(LabelsPrediction(tuple(chosen), named))
        else:
            best = int(row.argmax())
            answers.append(LabelPrediction(task.labels[best], float(row[best]), named))
    return answers
