"""The model beside its baselines, on test rows that nothing was fitted or chosen on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import score, tokenize
from tunesmith.config import RunConfig
from tunesmith.evaluation import Candidate
from tunesmith.explanation import Explainer
from tunesmith.recipes._calibrate import assure
from tunesmith.recipes._examine import Examined
from tunesmith.recipes._finish import Final
from tunesmith.recipes._judging import Judging
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import Model, TokenizedSplit
from tunesmith.recipes._prepare import PreparedData
from tunesmith.tasks import Task
from tunesmith.types import Estimate, Inputs, Outputs

__all__ = ["FINE_TUNED", "PROBE", "Judged", "examined", "judge_candidates"]

PROBE = "frozen encoder + linear head"
FINE_TUNED = "fine-tuned model"


@dataclass(frozen=True, slots=True)
class Judged:
    """The comparison on the test rows.

    Attributes:
        task: the task as it is shipped, with what was fitted on validation rows.
        probe_task: the same for the probe.
        candidates: baselines first, the shipped model last.
        chosen: the name of the shipped model.
        targets, probabilities: of the test rows, as the task encodes them; the shipped model's.
        scores: the shipped model's raw scores for the test rows, float32 [n, labels].
        advantage: the leading metric's gain over the best other candidate, paired row by row.
        advantage_over: that candidate's name.
    """

    task: Task
    probe_task: Task
    candidates: tuple[Candidate, ...]
    chosen: str
    targets: NDArray[Any]
    probabilities: NDArray[np.float64]
    scores: NDArray[np.float32]
    advantage: Estimate
    advantage_over: str


def judge_candidates(
    final: Final,
    tokens: TokenizedSplit,
    data: PreparedData,
    config: RunConfig,
    listener: Listener,
) -> Judged:
    """Judges baselines, probe and the chosen model: fitted on train, decided on validation."""
    targets, settings = data.task.encode(data.test.targets or []), config.evaluation
    judging = Judging(
        targets, groups=data.test_groups, confidence=settings.confidence,
        resamples=settings.resamples, seed=config.seed,
    )  # fmt: skip
    probe = final.probe
    for baseline in final.baselines:
        judging.add(baseline.name, baseline.task, baseline.test_probabilities, baseline.seconds)
    probe_task = assure(data.task, data.split.validation, probe.validation_scores, config)
    judging.add(PROBE, probe_task, _probabilities(probe_task, probe.test_scores), probe.seconds)
    chosen = PROBE if final.tuned.method == "probe" else FINE_TUNED
    listener.stage("testing the model", len(tokens.test))
    started = time.monotonic()
    task = assure(data.task, data.split.validation, final.validation_scores, config, listener)
    test = score(final.model.classifier, tokens.test, on_rows=listener.advance)
    seconds = final.seconds + time.monotonic() - started
    judging.add(chosen, task, _probabilities(task, test), seconds)
    advantage, best = judging.advantage(chosen)
    return Judged(
        task=task,
        probe_task=probe_task,
        candidates=judging.candidates,
        chosen=chosen,
        targets=targets,
        probabilities=judging.probabilities(chosen),
        scores=test,
        advantage=advantage,
        advantage_over=best,
    )


def examined(model: Model, judged: Judged, data: PreparedData, config: RunConfig) -> Examined:
    """The shipped model on the test rows, for what else the report looks into."""

    def ask(inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        return score(model.classifier, tokenize(model.tokenizer, inputs, model.max_length))

    return Examined(
        task=judged.task,
        dataset=data.test,
        targets=judged.targets,
        scores=judged.scores,
        ask=ask,
        known=data.split.train,
        extra=dict(data.extra),
        groups=data.test_groups,
        confidence=config.evaluation.confidence,
        resamples=config.evaluation.resamples,
        seed=config.seed,
        settings=config.evaluation,
        explainer=lambda: Explainer.of_model(
            model.classifier, model.tokenizer, judged.task, model.max_length
        ),
    )


def _probabilities(task: Task, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(task.probabilities(Outputs(scores=scores)), dtype=np.float64)
