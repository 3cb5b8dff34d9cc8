"""The report's JSON, its page and its sentence."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tunesmith.errors import BundleError
from tunesmith.evaluation import (
    Candidate,
    Report,
    confusion_matrix,
    evaluate,
    most_confident_mistakes,
    paired_difference,
)
from tunesmith.evaluation._figures import learning_curve
from tunesmith.tasks import Field, MultiLabelClassification, TextClassification
from tunesmith.types import Dataset, Estimate

HOSTILE = '<script>alert("x")</script>$\\frac{" onload=x \'&\u202e'


def make_report(size=4, rows=200, multi_label=False, text="a text", label="label"):
    generator = np.random.default_rng(0)
    labels = tuple(f"{label} {place}" for place in range(size))
    fields = (Field("text"),)
    scores = generator.random((rows, size))
    places = generator.integers(size, size=rows)
    scores[np.arange(rows), places] += 0.6
    if multi_label:
        task = MultiLabelClassification(fields, labels)
        targets = np.eye(size, dtype=np.float32)[places]
        better, worse = scores / 1.6, scores[:, ::-1] / 1.6
    else:
        task = TextClassification(fields, labels)
        targets = places
        better = scores / scores.sum(axis=1, keepdims=True)
        worse = np.full((rows, size), 1 / size)
    data = Dataset(([text] * rows,), None, np.arange(1, rows + 1), "tickets.csv")
    lead = task.default_metrics[0]
    metrics = {
        name: evaluate(task, targets, each, resamples=50)
        for name, each in (("baseline", worse), ("fine-tuned model", better))
    }
    return Report(
        title=f"Tickets {text}",
        task=task.as_dict(),
        created="2026-11-23T22:00:00Z",
        candidates=tuple(Candidate(name, each, 1.5) for name, each in metrics.items()),
        chosen="fine-tuned model",
        metrics=metrics["fine-tuned model"],
        split_sizes={"train": 1000, "validation": 100, "test": rows},
        split_source="test.csv",
        data={"source": text, "dropped": {"missing": 3}, "columns": ["text", label], "notes": []},
        base={"id": "MiniLM", "digest": None, "parameters": 22_713_216},
        config={"learning_rate": 1e-4, "data": {"text": "text"}, text: text},
        versions={"tunesmith": "0.1.0"},
        seconds=3725.0,
        machine="two cores",
        advantage=paired_difference(task, targets, better, worse, metric=lead, resamples=50),
        advantage_over="baseline",
        notes=("3 rows were left out", f"beware: {text}"),
        history=(
            {"epoch": 0, "train_loss": None, "validation_loss": 0.9, "metric": 0.7, "seconds": 9.0},
            {"epoch": 1, "train_loss": 0.6, "validation_loss": 0.5, "metric": 0.8, "seconds": 99.0},
        ),
        confusion=confusion_matrix(task, targets, better),
        mistakes=most_confident_mistakes(task, data, targets, better, limit=5),
    )


CASES = {
    "heat map": {},
    "pairs": {"size": 40, "rows": 400},
    "many labels": {"multi_label": True},
    "hostile": {"text": HOSTILE, "label": HOSTILE},
    "chinese": {"text": "房间很干净", "label": "好评"},
}


@pytest.fixture(params=CASES, scope="module")
def report(request):
    return make_report(**CASES[request.param])


class Page(HTMLParser):
    """Collects tags and attributes, and checks that tags nest."""

    VOID = frozenset({"meta", "wbr"})
    SELF_CLOSING = frozenset({"rect", "line", "circle", "polyline", "path"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.open, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.SELF_CLOSING
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_round_trip_through_json(report):
    saved = report.as_dict()
    assert saved["schema_version"] == 3
    text = json.dumps(saved, allow_nan=False)
    again = Report.from_dict(json.loads(text))
    assert again.as_dict() == saved
    assert again.metrics == report.metrics
    assert again.candidates == report.candidates
    assert again.mistakes == report.mistakes
    assert again.to_html() == report.to_html()
    assert again.headline() == report.headline()


def test_the_page_stands_alone(report):
    html = report.to_html()
    page = Page(html)
    assert not {"script", "img", "link", "iframe", "object", "base", "form"} & set(page.tags)
    loading = {"src", "href", "xlink:href", "srcset", "action", "style"}
    assert not [entry for entry in page.attributes if entry[1] in loading]
    assert not [entry for entry in page.attributes if entry[1].startswith("on")]
    assert not re.search(r"https?://|@import|url\(", html)
    policy = next(value for _, name, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.tags.count("h1") == 1
    for tag, name, value in page.attributes:
        if (tag, name) == ("svg", "role"):
            assert value == "img"


def test_the_page_is_deterministic(report):
    assert report.to_html() == report.to_html()


def test_what_users_write_is_escaped():
    report = make_report(text=HOSTILE, label=HOSTILE)
    page = Page(report.to_html())
    assert "script" not in page.tags
    assert any(HOSTILE in text for text in page.texts)
    assert "<script" not in report._repr_html_()


def test_the_fragment_styles_nothing_but_itself():
    report = make_report()
    html = report._repr_html_()
    page = Page(html)
    assert not {"html", "head", "body"} & set(page.tags)
    assert page.tags.count("article") == 1
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    for selectors in re.findall(r"([^{}@;]+)\{", re.sub(r"@(media|page)[^{]*", "", style)):
        for selector in filter(None, map(str.strip, selectors.split(","))):
            assert selector.startswith((".tunesmith-report", ".tunesmith-page")), selector


def test_figures_and_pairs():
    assert "Confusion matrix" in make_report().to_html()
    pairs = make_report(size=40, rows=400).to_html()
    assert "Confusion matrix" not in pairs
    assert "confused most often" in pairs
    many = make_report(multi_label=True).to_html()
    assert "What is taken for what" not in many


def test_hardly_anything_known():
    bare = dataclasses.replace(
        make_report(),
        candidates=(),
        advantage=None,
        notes=(),
        history=(),
        confusion=None,
        mistakes=(),
        data={},
        base={},
    )
    Page(bare.to_html())
    assert Report.from_dict(bare.as_dict()).as_dict() == bare.as_dict()
    assert bare.headline().endswith("on 200 unseen rows")


def test_write(tmp_path):
    report = make_report()
    report.write(tmp_path / "report")
    saved = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert saved == report.as_dict()
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert html == report.to_html()


@pytest.mark.parametrize(
    ("advantage", "words"),
    [
        (Estimate(0.046, 0.037, 0.055), "4.6 points (3.7–5.5) better than TF-IDF + linear"),
        (Estimate(-0.02, -0.03, -0.01), "2.0 points (1.0–3.0) worse than TF-IDF + linear"),
        (
            Estimate(0.004, -0.006, 0.014),
            "NOT significantly better than TF-IDF + linear (+0.4 points, −0.6 to 1.4)",
        ),
        (
            Estimate(-0.001, -0.006, 0.004),
            "NOT significantly better than TF-IDF + linear (−0.1 points, −0.6 to 0.4)",
        ),
    ],
)
def test_headline(advantage, words):
    base = make_report()
    metrics = dataclasses.replace(
        base.metrics, values={"accuracy": Estimate(0.9412, 0.932, 0.949)}, num_examples=3080
    )
    report = dataclasses.replace(
        base, metrics=metrics, advantage=advantage, advantage_over="TF-IDF + linear"
    )
    known = "94.1 % accuracy (93.2–94.9) on 3,080 unseen rows"
    # What is no better than a cheap model says so before its own figure.
    parts = (known, words) if advantage.low > 0 else (words, known)
    assert report.headline() == f"fine-tuned model: {'; '.join(parts)}"
    assert ('class="headline warning"' in report.to_html()) == (advantage.low <= 0)


def test_copies_and_near_copies_of_training_rows_are_told_apart():
    base = make_report()
    copies = dataclasses.replace(base, data={"trained_rows": 1, "nearly_trained_rows": 2})
    assert (
        "rows, TOO GOOD: 1 of them was trained on, and 2 more differ hardly from rows that were "
        "trained on"
    ) in copies.headline()
    near = dataclasses.replace(base, data={"nearly_trained_rows": 1})
    assert "TOO GOOD: 1 of them differs hardly from rows that were" in near.headline()
    single = dataclasses.replace(base.metrics, num_examples=1)
    assert "on 1 unseen row" in dataclasses.replace(base, metrics=single).headline() + "."
    assert "1 unseen rows" not in dataclasses.replace(base, metrics=single).headline()


def test_lead_metric_of_many_labels():
    report = make_report(multi_label=True)
    assert report.lead_metric == "macro_f1"
    assert "macro-F1" in report.headline()


def test_what_json_cannot_hold():
    report = dataclasses.replace(
        make_report(),
        history=({"epoch": 1, "train_loss": float("nan")},),
        config={"n": np.int64(3)},
    )
    saved = report.as_dict()
    assert saved["history"] == [{"epoch": 1, "train_loss": None}]
    assert saved["config"] == {"n": 3}
    Page(report.to_html())


@pytest.mark.parametrize("change", [{"schema_version": 99}, {"metrics": {}}, {"task": None}])
def test_unreadable_reports(change):
    saved = {**make_report().as_dict(), **change}
    if "task" in change:
        del saved["task"]
    with pytest.raises(BundleError):
        Report.from_dict(saved)


def test_a_metric_that_stays_has_ticks_that_can_be_read() -> None:
    history = [{"epoch": epoch, "metric": 0.78126} for epoch in range(3)]
    curve = learning_curve("accuracy", history, {"metric": ("", "accent")}, percent=True)
    assert curve is not None
    assert [text for _, text in curve.y_ticks] == ["78.0 %", "78.5 %"]
    history[1]["metric"] = 0.7815
    curve = learning_curve("accuracy", history, {"metric": ("", "accent")}, percent=True)
    assert curve is not None
    assert len(curve.y_ticks) <= 3
