"""The model card: what a hub reads, what a person reads, and nothing of the data's markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard as HubCard

from tunesmith.evaluation import CardFacts, Cost, ModelCard, model_card

from .test_report import HOSTILE, make_report

COST = Cost(60.0, 2.5, "an estimate: 2 cores at 12 W", 1.19, 475.0)
MARKUP = "---\nlicense: stolen\n---\n# [x](javascript:alert(1)) | `a` <img src=x onerror=alert(1)>"


def card(text: str = "a text", label: str = "label", **facts: object) -> ModelCard:
    report = make_report(text=text, label=label)
    findings = [
        {"check": "personal-data", "severity": "warning", "num_rows": 3,
         "message": "3 texts hold personal data"},
        {"check": "placeholder-texts", "severity": "warning", "num_rows": 2,
         "message": "2 texts are placeholders"},
    ]  # fmt: skip
    report = replace(
        report,
        data={**report.data, "findings": findings, "steps": {"trim": 4}},
        config={"seed": 7, "data": {"source": "tickets.csv"}},
    )
    rows = dict.fromkeys(map(str, report.task["labels"]), 250) | {f"{label} 0": 3}
    usual = {
        "languages": {"en": 0.9, "de": 0.1},
        "characters": (40, 200),
        "label_rows": rows,
        "settings": {"training.epochs": "3"},
        "base_hub_id": "sentence-transformers/all-MiniLM-L6-v2",
        "base_license": "apache-2.0",
    }
    return model_card(text, report, CardFacts(COST, **{**usual, **facts}))


def test_the_hub_reads_it(tmp_path: Path) -> None:
    card().write(tmp_path)
    read = HubCard.load(tmp_path / "README.md")
    data = read.data
    assert data.language == ["en", "de"]
    assert data.license == "apache-2.0"
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.pipeline_tag == "text-classification"
    assert data.to_dict()["co2_eq_emissions"]["emissions"] == 1.19
    report = make_report()
    found = {one.metric_name: one.metric_value for one in data.eval_results}
    assert found["accuracy"] == pytest.approx(report.metrics["accuracy"].value, abs=1e-5)
    assert {one.dataset_name for one in data.eval_results} == {"a text"}
    assert read.text.lstrip().startswith("# a text")


def test_what_a_reader_must_know_is_said() -> None:
    text = card(intended_use="For *our* desk.", limitations="Not for the law.").to_markdown()
    for said in (
        "For *our* desk.",
        "Not for the law.",
        "en 90%, de 10%",
        "fewer than 20 training rows: label 0 (3)",
        "3 texts hold personal data",
        "The data: 2 texts are placeholders.",
        "trim (4 changes)",
        "training.epochs:** 3",
        "about 1.2 g of CO₂ equivalent, at 475 g a kilowatt-hour",
        "an estimate: 2 cores at 12 W",
    ):
        assert said in text
    assert "stolen" not in card().to_markdown()
    assert "license: my-own" in card(license="my-own").to_markdown()


@pytest.mark.parametrize("hostile", [HOSTILE, MARKUP])
def test_hostile_titles_and_labels_stay_text(tmp_path: Path, hostile: str) -> None:
    own = card(text=hostile, label=hostile, base_license=None)
    own.write(tmp_path)
    read = HubCard.load(tmp_path / "README.md")
    assert read.data.license is None
    assert read.data.eval_results is not None
    assert not re.search(r"<(script|img)", read.text)
    assert "[x](" not in read.text
    tables = [line for line in read.text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {4, 7}
    html = (tmp_path / "report" / "model-card.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|link|iframe)", html)


def test_the_page_loads_nothing() -> None:
    html = card().to_html()
    assert "default-src 'none'" in html
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?://""", html)


def test_what_would_begin_a_list_or_a_heading_does_not() -> None:
    for text, shown in (
        ("1. first", "1\\. first"),
        ("- point", "\\- point"),
        ("---", "\\---"),
        ("# big", "\\# big"),
        ("82.6 % (69.3–90.9)", "82.6 % (69.3–90.9)"),
        ("-5 degrees", "-5 degrees"),
    ):
        lines = ModelCard("name", text, ()).to_markdown().splitlines()
        assert lines[-1] == shown


def test_no_text_ends_the_metadata() -> None:
    metadata = card(text=MARKUP).to_markdown().split("---\n")[1]
    assert yaml.safe_load(metadata)["model-index"][0]["name"].startswith("--- license: stolen ---")
