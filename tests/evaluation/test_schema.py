"""The published schema describes the reports that are written."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from tunesmith.bundles import Bundle
from tunesmith.evaluation import Report, report_schema
from tunesmith.recipes import evaluate

from .test_report import CASES, make_report

DOCS = Path(__file__).parents[2] / "docs"


def validate(saved: object) -> None:
    jsonschema_rs.Draft202012Validator(report_schema()).validate(saved)


def test_the_file_is_what_the_code_says() -> None:
    saved = json.loads((DOCS / "report-schema.json").read_text(encoding="utf-8"))
    assert saved == report_schema(), "run python scripts/report_schema.py"
    jsonschema_rs.meta.validate(saved)


@pytest.mark.parametrize("case", CASES)
def test_made_up_reports(case: str) -> None:
    validate(make_report(**CASES[case]).as_dict())


@pytest.mark.parametrize("name", ["tiny_bundle", "several_bundle"])
def test_reports_of_real_runs(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    data = request.getfixturevalue({"tiny_bundle": "labelled_csv"}.get(name, "several_csv"))
    trained = json.loads((bundle.path / "report" / "report.json").read_text(encoding="utf-8"))
    validate(trained)
    assert trained["kind"] == "training"
    found = evaluate(bundle, data, report=tmp_path / "report", resamples=50)
    judged = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    validate(judged)
    assert judged["kind"] == "evaluation"
    assert Report.from_dict(judged).as_dict() == judged == found.report.as_dict()
    assert "<article" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_what_the_schema_refuses() -> None:
    saved = make_report().as_dict()
    for change in ({"schema_version": 1}, {"metrics": {}}, {"surprise": 1}, {"better": "yes"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            validate({**saved, **change})


def test_reports_of_version_one_stay_readable() -> None:
    saved = make_report().as_dict()
    for metrics in (saved["metrics"], *(row["metrics"] for row in saved["candidates"])):
        del metrics["notes"]
        for label in metrics["labels"].values():
            del label["roc_auc"], label["pr_auc"]
    old = {name: saved[name] for name in saved if name not in ("kind", "headline", "better")}
    report = Report.from_dict({**old, "schema_version": 1})
    assert report.kind == "training"
    assert report.headline() == saved["headline"]
    assert "<article" in report.to_html()
