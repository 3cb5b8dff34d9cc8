"""The card of a run: from the run's own data, base and settings."""

from __future__ import annotations

from pathlib import Path

import yaml

from tunesmith.bases import find_base
from tunesmith.recipes._card import _origin

from .conftest import Train, write_rows

LONG = "where is the parcel that was due on monday, I have been waiting for it a long time now"


def metadata(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_of_a_run(train: Train, base: Path, tmp_path: Path) -> None:
    rows = [(f"{LONG.replace(',', '')} {n}", "parcel" if n % 2 else "money") for n in range(40)]
    file = write_rows(tmp_path / "rows.csv", rows)
    own = {
        "training.method": "probe",
        "card.intended_use": "For the desk.",
        "card.license": "mit",
        "card.watts": 100.0,
        "card.carbon_intensity": 360.0,
    }
    run = train({**own, "data.near_duplicates": "apart"}, source=str(file))
    card = run.bundle.card()
    found = metadata(card)
    assert found["language"] == ["en"]
    assert found["license"] == "mit"
    assert "base_model" not in found  # a folder of this machine is no hub's id
    grams = run.report.seconds * 100 / 3600 / 1000 * 360
    assert abs(found["co2_eq_emissions"]["emissions"] - grams) < 0.01
    assert "For the desk." in card
    assert "reckoned at 100 W, as set" in card
    assert "data.near\\_duplicates:** apart" in card
    assert str(tmp_path) not in card
    assert str(tmp_path) not in (run.bundle.path / "report" / "model-card.html").read_text()
    child = train(
        {"training.method": "probe", "base.id": str(run.bundle)}, "child", source=str(file)
    )
    assert metadata(child.bundle.card())["license"] == "mit"
    assert f"({run.bundle.version}) → this model" in child.bundle.card().replace("\\", "")


def test_what_the_embedded_base_says_of_itself() -> None:
    found = _origin(find_base("minilm"))
    assert found == ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0")
