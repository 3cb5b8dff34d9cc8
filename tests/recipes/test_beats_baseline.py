"""The promise itself: the embedded base, fine-tuned for real, beats TF-IDF on unseen rows."""

from __future__ import annotations

from pathlib import Path

from tunesmith import config, recipes
from tunesmith.samples import sample


def test_fine_tuning_beats_tfidf(tmp_path: Path) -> None:
    tickets = sample("support_tickets")
    settings = {
        "data.source": str(tickets.path),
        "data.text": (tickets.text,),
        "data.target": tickets.target,
        "data.drop_missing": True,
        "data.test_fraction": 0.25,
        "training.epochs": 3,
        "evaluation.robustness": False,
        "evaluation.explanation_seconds": 0,
        "output": str(tmp_path / "run"),
    }
    report = recipes.train(config.load(settings=settings)).report
    by_name = {candidate.name: candidate.metrics for candidate in report.candidates}
    majority, tfidf = by_name["majority class"], by_name["TF-IDF + linear"]
    assert report.metrics.num_examples > 100
    for metric in ("accuracy", "macro_f1"):
        assert report.metrics[metric].value > tfidf[metric].value > majority[metric].value
    assert report.metrics["accuracy"].value > 0.8
