"""`tunesmith check`, as a user runs it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunesmith.cli import app
from tunesmith.errors import ConfigError, DataError, OutputError

run = CliRunner().invoke


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mail.csv"
    path.write_text(
        "text,label\nbuy <b>now</b> and save,spam\nbuy now and save,spam\nN/A,ham\n"
        "see you at a.b@example.com,ham\nlunch at noon then,ham\nlunch at noon then,spam\n"
    )
    return path


def test_findings_name_rows_and_steps(file: Path) -> None:
    result = run(app, ["check", "--no-model", str(file)])
    assert result.exit_code == 0
    for part in (
        "placeholder-values",
        "row 3",
        "step drop-conflicting",
        "conflicting-labels",
        "6 rows:",
    ):
        assert part in result.stdout


def test_json_is_one_object(file: Path) -> None:
    values = json.loads(run(app, ["check", "--no-model", str(file), "--json"]).stdout)
    by_check = {one["check"]: one for one in values["findings"]}
    assert by_check["markup"]["rows"] == [1]
    assert by_check["markup"]["severity"] == "warning"
    assert values["num_rows"] == 6


def test_fix_writes_a_copy_and_a_log_and_not_the_source(file: Path) -> None:
    before = file.read_bytes()
    assert run(app, ["check", "--no-model", str(file), "--fix"]).exit_code == 0
    copy, log = file.with_name("mail-clean.csv"), file.with_name("mail-clean.changes.csv")
    assert copy.read_text().splitlines()[1:] == [
        "buy now and save,spam", "see you at a.b@example.com,ham", "lunch at noon then,ham",
        "lunch at noon then,spam",
    ]  # fmt: skip
    assert log.read_text().splitlines()[0] == "row,column,before,after,why,step"
    assert len(log.read_text().splitlines()) == 5
    assert file.read_bytes() == before
    assert isinstance(run(app, ["check", "--no-model", str(file), "--fix"]).exception, OutputError)
    assert run(app, ["check", "--no-model", str(file), "--fix", "--overwrite"]).exit_code == 0


def test_steps_that_lose_something_are_asked_about(file: Path) -> None:
    asked = run(app, ["check", "--no-model", str(file), "--fix", "all"])
    assert isinstance(asked.exception, ConfigError)
    assert not file.with_name("mail-clean.csv").exists()
    assert run(app, ["check", "--no-model", str(file), "--fix", "all", "--yes"]).exit_code == 0
    assert "@" not in file.with_name("mail-clean.csv").read_text()


def test_steps_called_by_name_are_taken_and_json_asks_as_well(file: Path) -> None:
    asked = run(app, ["check", "--no-model", str(file), "--fix", "all", "--json"])
    assert isinstance(asked.exception, ConfigError)
    named = run(app, ["check", "--no-model", str(file), "--fix", "redact-personal-data"])
    assert named.exit_code == 0
    assert "@" not in file.with_name("mail-clean.csv").read_text()


def test_the_source_is_never_written_to(file: Path) -> None:
    before = file.read_bytes()
    command = ["check", "--no-model", str(file), "--fix", "-o", str(file), "--overwrite"]
    assert isinstance(run(app, command).exception, OutputError)
    assert file.read_bytes() == before


def test_the_log_is_for_its_owner_alone(file: Path) -> None:
    assert run(app, ["check", "--no-model", str(file), "--fix"]).exit_code == 0
    assert file.with_name("mail-clean.changes.csv").stat().st_mode & 0o077 == 0


def test_what_cannot_be_done_is_said(file: Path, tmp_path: Path) -> None:
    assert isinstance(run(app, ["check", "--no-model", str(file), "all"]).exception, ConfigError)
    assert isinstance(
        run(app, ["check", "--no-model", str(file), "--fix", "wash"]).exception, ConfigError
    )
    assert isinstance(run(app, ["check", str(tmp_path / "none.csv")]).exception, DataError)


def test_the_base_reads_the_rows_too(labelled_csv: Path, tiny_base: Path) -> None:
    result = run(app, ["check", str(labelled_csv), "--base", str(tiny_base), "--json"])
    assert result.exit_code == 0
    assert "reading with the encoder" in result.stderr


def test_a_page_is_written_whole_and_its_path_told(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "check.html"
    command = ["check", "--no-model", str(file), "--report", str(page)]
    result = run(app, command)
    assert result.exit_code == 0
    assert f"as a page: {page}" in result.stdout
    html = page.read_text(encoding="utf-8")
    assert html.rstrip().endswith("</html>")
    assert "a.b@example.com" not in html
    assert f"tunesmith check {file} --text text --target label --fix" in html
    assert [one.name for one in page.parent.iterdir()] == ["check.html"]
    assert isinstance(run(app, command).exception, OutputError)
    page.write_text("older")
    values = json.loads(run(app, [*command, "--overwrite", "--json", "--fix"]).stdout)
    assert values["report"] == str(page)
    assert values["fixed"]["path"] == str(file.with_name("mail-clean.csv"))
    assert page.read_text(encoding="utf-8") == html


def test_a_page_takes_no_other_files_place(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    linked = tmp_path / "linked.html"
    linked.symlink_to(file)
    for name in (file, linked, tmp_path / "other.csv", tmp_path):
        command = ["check", "--no-model", str(file), "--overwrite", "--report", str(name)]
        assert isinstance(run(app, command).exception, OutputError)
    assert file.read_bytes() == before
    assert linked.is_symlink()
    assert not (tmp_path / "other.csv").exists()


def test_what_was_decided_in_a_review_is_applied_first(file: Path) -> None:
    from tunesmith.checks import Subject
    from tunesmith.data import read_table
    from tunesmith.review import Decisions

    fixes = file.with_name("fixes.csv")
    decisions = Decisions(fixes, Subject(read_table(file), ("text",), "label"))
    decisions.decide(6, "relabel", "ham", check="conflicting-labels", seen=None)
    decisions.decide(3, "drop", None, check="placeholder-values", seen=None)
    command = ["check", "--no-model", str(file), "--corrections", str(fixes)]
    result = run(app, command)
    assert result.exit_code == 0
    assert "1 relabelled, 1 dropped, 0 kept" in result.stderr
    assert "conflicting-labels" not in result.stdout
    assert "placeholder-values" not in result.stdout
    assert isinstance(run(app, [*command[:-1], "none.csv"]).exception, DataError)


def test_what_changed_since_an_earlier_version(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    earlier = file.with_name("earlier.csv")
    earlier.write_text("\n".join([*lines[:-1], "a text that is gone,ham"]) + "\n")
    command = ["check", "--no-model", str(file), "--against", str(earlier), "--json"]
    findings = {one["check"]: one for one in json.loads(run(app, command).stdout)["findings"]}
    assert "0 rows added, 1 removed, 1 relabelled" in findings["changes"]["message"]
    assert findings["changes"]["rows"] == [len(lines) - 1]
    [removed, relabelled] = findings["changes"]["details"]
    assert removed == {"change": "removed", "row_before": len(lines) - 1}
    assert (relabelled["label_before"], relabelled["label"]) == ("ham", "spam")
    same = ["check", "--no-model", str(file), "--against", str(file), "--json"]
    assert "changes" not in [one["check"] for one in json.loads(run(app, same).stdout)["findings"]]


def test_several_labels_joined_by_a_sign(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    rows = [f"text number {n} of the house,a+b" if n % 2 else f"another {n},b" for n in range(30)]
    file.write_text("\n".join(["text,label", *rows]) + "\n")
    command = ["check", "--no-model", str(file), "--label-separator", "+", "--json"]
    assert run(app, command).exit_code == 0


def test_names_are_looked_for_only_where_it_is_asked_for(file: Path) -> None:
    result = run(app, ["check", "--no-model", str(file), "--names-model", "en_core_web_sm"])
    assert isinstance(result.exception, ConfigError)
    assert "add --names" in str(result.exception)


@pytest.mark.parametrize(
    ("rows", "fail_on", "code"),
    [
        ("N/A,ham\n", None, 0),
        ("N/A,ham\n", "error", 0),
        ("N/A,ham\n", "warning", 1),
        (",ham\n", "error", 1),
        (",ham\n", "warning", 1),
        (",ham\n", None, 0),
        ("", "warning", 0),
    ],
)
def test_the_exit_code_follows_what_was_found_where_that_is_asked_for(
    tmp_path: Path, rows: str, fail_on: str | None, code: int
) -> None:
    path = tmp_path / "mail.csv"
    draw = random.Random(0)
    words = [first + last for first in "bdfgklmnprst" for last in ("ana", "elo", "iri", "uto")]
    texts = [f"{' '.join(draw.sample(words, 8))},{('ham', 'spam')[n % 2]}" for n in range(24)]
    path.write_text("text,label\n" + "\n".join(texts) + "\n" + rows)
    options = ["--fail-on", fail_on] if fail_on else []
    result = run(app, ["check", "--no-model", str(path), *options])
    assert result.exit_code == code, result.output
