"""The chosen method learns from the validation rows too, and what that changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny import labelled_rows

from tunesmith import config, recipes
from tunesmith.errors import Interrupted
from tunesmith.recipes import Run
from tunesmith.recipes._fine_tune import Tuned, fine_tune
from tunesmith.training import EpochRecord, FitSettings

from .conftest import Notes, quick_settings, write_rows
from .test_train import digests

REFIT = {"training.refit": "auto", "data.validation_fraction": 0.5}


def trained(data: Path, base: Path, folder: Path, notes: Notes | None = None, **more: Any) -> Run:
    settings = {**quick_settings(data, base, folder / "run"), **REFIT, **more}
    return recipes.train(config.load(settings=settings), notes)


@pytest.fixture(scope="module")
def once(base: Path, topics: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("once")
    return trained(topics, base, folder, **{"training.refit": "never"})


@pytest.fixture(scope="module")
def twice(base: Path, topics: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(topics, base, tmp_path_factory.mktemp("twice"))


def num_rows(run: Run) -> int:
    sizes = run.report.split_sizes
    return sizes["train"] + sizes["validation"]


def test_the_shipped_model_learned_from_all_rows(once: Run, twice: Run) -> None:
    assert twice.report.split_sizes == once.report.split_sizes
    assert twice.report.data["refit_rows"] == num_rows(twice) == 108
    assert twice.bundle.manifest.data["refit_rows"] == 108
    assert "refit_rows" not in once.report.data
    assert digests(once) != digests(twice)
    page = (twice.folder / "report.html").read_text(encoding="utf-8")
    assert "All models learned from the same 108 training and validation rows" in page
    assert "108: training rows and, after the choice, validation rows" in (
        twice.bundle.path / "README.md"
    ).read_text(encoding="utf-8")


def test_what_is_fitted_on_validation_rows_is_of_the_model_that_had_not_seen_them(
    once: Run, twice: Run
) -> None:
    histories = [[{**epoch, "seconds": 0} for epoch in run.report.history] for run in (once, twice)]
    assert histories[0] == histories[1]
    tasks = [dict(run.bundle.manifest.task) for run in (once, twice)]
    assert tasks[0] == tasks[1]
    assert {"calibration", "selective", "conformal"} <= tasks[0].keys()


def test_baselines_learn_from_the_same_rows(base: Path, tmp_path: Path) -> None:
    """A label's word that stands in validation rows alone is known in the end."""
    rows = labelled_rows(90)
    late = [(f"zebra {text}", "animal") for text, _ in labelled_rows(60, seed=1)]
    files = {
        "source": write_rows(tmp_path / "train.csv", [*rows, *late[:2]]),
        "validation": write_rows(tmp_path / "validation.csv", [*rows[:20], *late[2:40]]),
        "test": write_rows(tmp_path / "test.csv", [*labelled_rows(60, seed=2), *late[40:]]),
    }
    figures = []
    for refit in ("never", "always"):
        more = {f"data.{name}": str(file) for name, file in files.items()}
        more |= {"data.near_duplicates": "apart", "training.refit": refit}
        run = trained(files["source"], base, tmp_path / refit, **more)
        figures.append({one.name: one.metrics["accuracy"].value for one in run.report.candidates})
    for name in ("TF-IDF + linear", "frozen encoder + linear head"):
        assert figures[1][name] > figures[0][name]


def test_the_rows_learned_from_are_kept_as_such(once: Run, twice: Run) -> None:
    sizes = [
        {
            path.stem: pq.read_metadata(path).num_rows
            for path in sorted((run.folder / "rows").iterdir())
        }
        for run in (once, twice)
    ]
    assert sum(sizes[0].values()) == sizes[1]["train"] == 108
    assert sizes[0]["validation"] == sizes[1]["validation"]


def test_the_log_tells_both_trainings_apart(twice: Run) -> None:
    text = (twice.folder / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    starts = [line["run"] for line in lines if line["event"] == "start"]
    assert starts == ["full", "full-refit"]
    again = [line["event"] for line in lines].index("start", 1)
    epochs = [
        [line for line in part if line["event"] == "epoch"]
        for part in (lines[:again], lines[again:])
    ]
    assert all("metric" in line for line in epochs[0])
    # The validation rows are learned from by then.
    assert epochs[1][-1]["train_loss"] > 0
    assert not any({"metric", "validation_loss"} & line.keys() for line in epochs[1])
    assert not (twice.folder / "checkpoints").exists()


@pytest.mark.parametrize("method", ["probe", "few-shot", "lora", "last-k", "auto"])
def test_every_kind_of_method(base: Path, topics: Path, tmp_path: Path, method: str) -> None:
    run = trained(topics, base, tmp_path, **{"training.method": method})
    assert run.report.data["refit_rows"] == 108
    # The bundle was checked against the judged model when it was written.
    assert run.metrics["accuracy"].value == run.report.metrics["accuracy"].value


def test_not_with_validation_rows_of_its_own_unless_asked(base: Path, tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.csv", labelled_rows(90))
    own = write_rows(tmp_path / "own.csv", labelled_rows(60, seed=1))
    test = write_rows(tmp_path / "test.csv", labelled_rows(60, seed=2))
    files = {"data.validation": str(own), "data.test": str(test)}
    run = trained(train, base, tmp_path / "auto", **files)
    assert "refit_rows" not in run.report.data
    asked = trained(train, base, tmp_path / "always", **files, **{"training.refit": "always"})
    assert asked.report.data["refit_rows"] == 150


def test_no_figure_is_told_of_rows_that_are_learned_from(
    base: Path, topics: Path, tmp_path: Path
) -> None:
    class Epochs(Notes):
        def on_epoch(self, record: EpochRecord) -> None:
            self.said.append(f"epoch {record.epoch}")

    heard = Epochs()
    trained(topics, base, tmp_path, heard)
    again = next(place for place, said in enumerate(heard.said) if "trained again" in said)
    assert [said for said in heard.said if said.startswith("epoch")] == [
        "epoch 0", "epoch 1", "epoch 2",
    ]  # fmt: skip
    assert not any(said.startswith("epoch") for said in heard.said[again:])


def test_not_where_the_budget_does_not_allow_it(base: Path, topics: Path, tmp_path: Path) -> None:
    notes = Notes()
    run = trained(topics, base, tmp_path, notes, **{"training.budget_s": 3, "training.epochs": 900})
    assert "refit_rows" not in run.report.data
    assert not any("trained again" in said for said in notes.said)


def test_always_has_its_share_of_the_budget(base: Path, topics: Path, tmp_path: Path) -> None:
    more = {"training.refit": "always", "training.budget_s": 600}
    assert trained(topics, base, tmp_path, **more).report.data["refit_rows"] == 108


def test_where_its_time_is_over_the_chosen_model_is_kept(
    base: Path, topics: Path, tmp_path: Path, once: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(method: str, *arguments: Any, settings: FitSettings, **others: Any) -> Tuned:
        if settings.keep_last:
            settings = replace(settings, time_limit_s=0.0)
        return fine_tune(method, *arguments, settings=settings, **others)  # type: ignore[arg-type]

    monkeypatch.setattr("tunesmith.recipes._finish.fine_tune", late)
    notes = Notes()
    run = trained(topics, base, tmp_path, notes)
    assert digests(run) == digests(once)
    assert "refit_rows" not in run.report.data
    assert run.report.candidates[1].metrics == once.report.candidates[1].metrics
    assert any("kept as it was chosen" in warned for warned in notes.warned)


def test_stopped_in_it_and_resumed_it_ends_as_undisturbed(
    base: Path, topics: Path, tmp_path: Path, twice: Run
) -> None:
    class Stopping(Notes):
        again = False

        def say(self, text: str) -> None:
            super().say(text)
            self.again |= "trained again" in text

        def on_step(self, step: int, loss: float, rate: float) -> None:
            if self.again and step == 4:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        trained(topics, base, tmp_path, Stopping(), **{"training.checkpoint_interval_s": 0})
    assert (tmp_path / "run" / "checkpoints" / "full-refit").is_dir()
    run = recipes.resume(tmp_path / "run")
    assert digests(run) == digests(twice)
