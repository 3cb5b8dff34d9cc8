"""All sections together on the page, whatever is in the data."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tunesmith.evaluation import (
    ExplainedRow,
    Explanations,
    Piece,
    Report,
    find_weak_slices,
    judge_errors,
    judge_fairness,
    judge_robustness,
    judge_slices,
)
from tunesmith.tasks import Field, TextClassification
from tunesmith.types import Estimate

from .rows_for_tests import answers, dataset_of, random_texts
from .test_report import HOSTILE, Page, make_report


def explained(text: str) -> Explanations:
    names = ("comprehensiveness", "sufficiency")
    figures = [name for own in names for name in (own, f"random_{own}", f"{own}_gain")]
    pieces = (Piece(text, 1.5), Piece(" "), Piece("card", -0.7), Piece("."))
    rows = [
        ExplainedRow(7, is_right, target, text, text, 0.9, (pieces,), f"log-odds {text}", True)
        for is_right, target in ((False, "other"), (True, text))
    ]
    faithfulness = {name: Estimate(0.1, 0.05, 0.2) for name in figures}
    return Explanations("integrated-gradients", tuple(rows), faithfulness, 2, text, text)


@pytest.mark.parametrize("text", [HOSTILE, "房间很干净"])
def test_every_section_is_shown_escaped_and_comes_back(text):
    generator = np.random.default_rng(0)
    task = TextClassification((Field("text"),), tuple(f"{text} {place}" for place in range(3)))
    targets = generator.integers(3, size=300)
    bad = np.arange(300) % 10 == 0
    texts = [f"{one}. {text}" if has else one
             for one, has in zip(random_texts(generator, 300), bad, strict=True)]  # fmt: skip
    probabilities = answers(targets, bad | (generator.random(300) < 0.1))
    scores = np.log(probabilities).astype(np.float32)
    values = [f"{text} {place % 3}" for place in range(300)]
    data = dataset_of(texts)
    known = dataclasses.replace(data, targets=[task.labels[place] for place in targets])
    judged = (task, data, targets, probabilities)
    sections = (
        judge_slices(*judged, columns={text: values}),
        find_weak_slices(*judged, columns={text: values}),
        judge_fairness(task, targets, probabilities, text, values, resamples=100),
        judge_robustness(task, data, scores, lambda own: np.roll(scores[: len(own)], 1, axis=1)),
        judge_errors(*judged, known=known),
        explained(text),
    )
    assert None not in sections
    report = dataclasses.replace(make_report(), sections=sections)
    html = report.to_html()
    page = Page(html)
    assert "script" not in page.tags
    assert page.tags.count("h1") == 1
    again = Report.from_dict(json.loads(json.dumps(report.as_dict(), allow_nan=False)))
    assert again.sections == sections
    assert again.to_html() == html
    assert all(isinstance(one, str) for section in sections for one in section.sentences())
