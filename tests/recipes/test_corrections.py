"""Training on what a review decided."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny import tiny_model

from tunesmith import config, recipes
from tunesmith.checks import Subject, read_corrections
from tunesmith.config import DataConfig
from tunesmith.data import read_table
from tunesmith.errors import ConfigError, DataError, InputError, MissingDependencyError
from tunesmith.recipes import OpenReview
from tunesmith.recipes._listener import Silent
from tunesmith.recipes._prepare import prepare_data
from tunesmith.review import Decisions

from .conftest import Notes, write_rows

ROWS = [(f"text number {n} of {topic}", topic) for n in range(12) for topic in ("red", "blue")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "topics.csv", [*ROWS, ("", "red"), ("without a topic", "")])


@pytest.fixture
def decisions(file: Path) -> Decisions:
    subject = Subject(read_table(file), ("text",), "topic")
    made = Decisions(file.with_name("fixes.csv"), subject)
    made.decide(1, "relabel", "blue", check="suspected-label-errors", seen=None)
    made.decide(2, "keep", None, check="suspected-label-errors", seen=None)
    made.decide(25, "drop", None, check="missing-text", seen=None)
    made.decide(26, "relabel", "red", check="missing-label", seen=None)
    return made


def data_config(file: Path, corrections: Path | None) -> DataConfig:
    fixes = None if corrections is None else str(corrections)
    return DataConfig(source=str(file), target="topic", text=("text",), corrections=fixes)


def test_rows_are_corrected_before_they_are_split(
    file: Path, decisions: Decisions, notes: Notes
) -> None:
    with pytest.raises(DataError, match="row 25"):
        prepare_data(data_config(file, None), 0, notes)
    prepared = prepare_data(data_config(file, decisions.path), 0, notes)
    parts = [prepared.split.train, prepared.split.validation, prepared.test]
    labels = {row: part.targets[place] for part in parts if part is not None and part.targets
              for place, row in enumerate(part.rows.tolist())}  # fmt: skip
    assert sorted(labels) == [*range(1, 25), 26]
    assert (labels[1], labels[2], labels[26]) == ("blue", "blue", "red")
    assert prepared.facts["corrections"] == {
        "sha256": read_corrections(decisions.path).sha256, "keep": 1, "relabel": 2, "drop": 1,
    }  # fmt: skip
    assert prepared.facts["dropped"] == {"corrections": 1}
    assert prepared.facts["rows"] == 26
    said = f"corrections of {decisions.path}: 2 relabelled, 1 dropped, 1 kept as they are"
    assert said in notes.said


def test_another_decision_is_another_fingerprint(
    file: Path, decisions: Decisions, notes: Notes
) -> None:
    before = prepare_data(data_config(file, decisions.path), 0, notes).facts["fingerprint"]
    decisions.decide(3, "drop", None, check="", seen=None)
    after = prepare_data(data_config(file, decisions.path), 0, notes).facts["fingerprint"]
    assert before != after


def test_corrections_of_other_data_are_refused(
    file: Path, decisions: Decisions, notes: Notes
) -> None:
    file.write_text(file.read_text().replace("number 0 of red", "number 0 of RED"))
    with pytest.raises(DataError, match=r"fixes.csv, row 1: .* does not have these rows"):
        prepare_data(data_config(file, decisions.path), 0, notes)


def test_check_shows_what_is_left(file: Path, decisions: Decisions) -> None:
    before = recipes.check(str(file), target="topic", base=None)
    after = recipes.check(str(file), target="topic", base=None, corrections=decisions.path)
    assert {"missing-text", "missing-label"} <= {one.check for one in before.findings}
    assert not {"missing-text", "missing-label"} & {one.check for one in after.findings}
    assert after.as_dict()["corrections"]["relabel"] == 2
    fixed = recipes.fix(after, [])
    assert read_table(fixed.path).num_rows == 25
    log = read_table(fixed.log)
    assert log.column("row") == ["1", "26", "25"]
    assert log.column("step") == ["corrections"] * 3


def test_the_manifest_keeps_no_folder_and_resume_notices(
    file: Path, decisions: Decisions, base: Path, tmp_path: Path, notes: Notes
) -> None:
    from .conftest import quick_settings

    settings = {
        **quick_settings(file, base, tmp_path / "run"),
        "data.target": "topic",
        "data.text": ("text",),
        "data.corrections": str(decisions.path),
        "training.method": "full",
        "training.epochs": 2,
        "training.checkpoint_interval_s": 0,
    }

    def press(done: int, loss: float, rate: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Exception, match="stopped"):
        patch.setattr(notes, "on_step", press)
        recipes.train(config.load(settings=settings), notes)
    present = decisions.all()[2]
    changed = decisions.decide(2, "drop", None, check="", seen=present.when)
    with pytest.raises(InputError, match="data changed since"):
        recipes.resume(tmp_path / "run", notes)
    decisions.decide(2, "keep", None, check="", seen=changed.when)
    run = recipes.resume(tmp_path / "run", notes)
    manifest = run.bundle.manifest
    assert manifest.config["data"]["corrections"] == "fixes.csv"
    assert manifest.data["corrections"]["drop"] == 1


def review(file: Path, **changes: object) -> list[OpenReview]:
    opened: list[OpenReview] = []
    recipes.review(
        str(file), target="topic", base=None, on_ready=opened.append, **changes  # type: ignore[arg-type]
    )  # fmt: skip
    return opened


@pytest.fixture
def _not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def end(_: object) -> None: ...

    monkeypatch.setattr("uvicorn.Server.main_loop", end)


@pytest.mark.usefixtures("_not_served")
def test_review_goes_on_where_it_stopped(file: Path, decisions: Decisions) -> None:
    (opened,) = review(file, corrections=decisions.path)
    assert opened.url.startswith("http://127.0.0.1:")
    assert len(opened.url.rstrip("/").rpartition("/")[2]) > 40
    assert (opened.num_decided, opened.is_alone) == (3, True)  # row 1 is flagged by nothing
    assert opened.command == (
        f"tunesmith train {file} --target topic --text text --corrections {decisions.path}"
    )
    with decisions.in_use():
        assert not review(file, corrections=decisions.path)[0].is_alone


@pytest.mark.usefixtures("_not_served")
def test_the_default_file_lies_beside_the_data(file: Path) -> None:
    (opened,) = review(file)
    assert opened.corrections == file.with_name("topics.corrections.csv")
    assert not opened.corrections.exists()


def test_review_refuses_before_it_works(
    file: Path, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="needs --insecure"):
        review(file, host="0.0.0.0")
    with pytest.raises(ConfigError, match="say where to keep"):
        recipes.review("-")
    file.write_text("text,topic\nanother text of red,red\nand one of blue,blue\n")
    with pytest.raises(DataError, match="does not have these rows"):
        review(file, corrections=decisions.path)
    module = sys.modules["tunesmith.recipes.review"]
    monkeypatch.setattr(module, "missing_packages", lambda _: ("uvicorn",))
    with pytest.raises(MissingDependencyError, match=r"pip install 'tunesmith\[serve\]'"):
        review(file)


@pytest.mark.usefixtures("_not_served")
def test_a_review_that_is_opened_again_does_not_read_with_the_encoder_again(
    file: Path, tmp_path: Path
) -> None:
    base = str(tiny_model(tmp_path / "base"))
    kept = file.with_name(".topics.corrections.csv.found")

    def stages() -> list[str]:
        told: list[str] = []

        class Heard(Silent):
            def stage(self, title: str, total: int | None = None) -> None:
                told.append(title)

        recipes.review(str(file), target="topic", base=base, listener=Heard())
        return told

    assert "reading with the encoder" in stages()
    first = kept.read_bytes()
    assert "reading with the encoder" not in stages()
    file.write_text(file.read_text() + "one more text of red,red\n")
    assert "reading with the encoder" in stages()
    assert kept.read_bytes() != first
    kept.write_text('{"of": 1}')
    assert "reading with the encoder" in stages()
