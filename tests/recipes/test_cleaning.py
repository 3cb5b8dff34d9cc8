"""Training cleans and checks its rows first, and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import labelled_rows

from tunesmith.errors import ConfigError

from .conftest import Notes, Train, write_rows


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    rows = [*labelled_rows(120)]
    rows[3] = ("<b>" + rows[3][0] + "</b>", rows[3][1])
    rows += [rows[5], ("N/A", "login"), ("mail a.b@example.com about it", "login")]
    return write_rows(tmp_path / "dirty.csv", rows)


def test_steps_are_taken_and_recorded(dirty: Path, train: Train, notes: Notes) -> None:
    run = train(
        {"training.method": "probe", "data.clean": ["safe", "redact-personal-data"]},
        source=str(dirty),
    )
    facts = run.bundle.manifest.data
    assert facts["rows"] == 123
    assert facts["dropped"] == {"cleaning": 2}
    assert facts["steps"] == {
        "strip-markup": 1, "empty-placeholders": 1, "redact-personal-data": 1, "drop-missing": 1,
        "drop-duplicates": 1,
    }  # fmt: skip
    assert "strip-markup: 1 change" in notes.said
    # Rows keep the numbers of the file.
    assert any("cleaning step drops: rows 121, 122" in text for text in notes.said)


def test_what_the_checks_find_is_said_and_kept(dirty: Path, train: Train, notes: Notes) -> None:
    run = train({"training.method": "probe", "data.checks": True}, source=str(dirty))
    findings = {one["check"]: one for one in run.bundle.manifest.data["findings"]}
    assert findings["exact-duplicates"]["num_rows"] == 1
    assert findings["personal-data"]["num_rows"] == 1
    assert "a.b@example.com" not in str(findings)
    assert any(f"tunesmith check {dirty} --text text --target topic" in text for text in notes.said)
    grave = [one["message"] for one in findings.values() if one["severity"] != "note"]
    assert grave
    assert set(grave) <= set(notes.warned)
    # Nothing was changed.
    assert run.bundle.manifest.data["dropped"] == {}
    assert sum(run.report.split_sizes.values()) == 123


def test_an_unknown_step(dirty: Path, train: Train) -> None:
    with pytest.raises(ConfigError, match="there is no step 'wash'"):
        train({"data.clean": ["wash"]}, source=str(dirty))
