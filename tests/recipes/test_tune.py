"""A search from a labelled file to a bundle, in which nobody sees the test."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny import labelled_rows

import tunesmith
from tunesmith import config, recipes
from tunesmith.bases import find_base
from tunesmith.bundles import read_rows
from tunesmith.errors import ConfigError, DataError, InputError, OutputError, TrainingError
from tunesmith.recipes import FinishedStudy
from tunesmith.recipes._fine_tune import judge_of
from tunesmith.recipes._model import build_model
from tunesmith.recipes._prepare import prepare_data
from tunesmith.recipes._searching import choose
from tunesmith.recipes._space import SearchPlan, plan_search
from tunesmith.recipes._trial import keep_split, kept_split, run_trial
from tunesmith.search import (
    Range,
    Space,
    Study,
    StudyFile,
    StudyFolder,
    ValueList,
    make_settings,
    parse_space,
)

from .conftest import Notes, quick_settings, write_rows

SPACE = parse_space(
    {
        "training.learning_rate": {"low": 1e-4, "high": 1e-2},
        "training.epochs": [1, 2],
        "training.averaging": ["ema", "none"],
    }
)


def settings_for(data: Path, base: Path, output: Path, **more: Any) -> config.RunConfig:
    quick = quick_settings(data, base, output)
    del quick["training.epochs"]
    return config.load(settings={**quick, "training.threads": 1, **more})


@dataclass
class Watched(Notes):
    """A listener that hides the user's file while trials run, and looks at what they leave."""

    source: Path
    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def stage(self, title: str, total: int | None = None) -> None:
        if title == "trials":
            self.source.rename(self.source.with_suffix(".hidden"))

    def say(self, text: str) -> None:
        super().say(text)
        if text.startswith("All 3 trials are done."):
            for file in self.folder.rglob("*"):
                if file.is_file():
                    self.files[str(file.relative_to(self.folder))] = file.read_bytes()
            rows = self.folder / "rows"
            self.mode = stat.S_IMODE(rows.stat().st_mode)
            self.texts = {
                name: read_rows(rows / f"{name}.parquet", ["text 0"], "target").columns[0]
                for name in ("train", "validation")
            }
            self.source.with_suffix(".hidden").rename(self.source)


@pytest.fixture(scope="module")
def watched(
    base: Path, tmp_path_factory: pytest.TempPathFactory, _one_thread: None
) -> tuple[FinishedStudy, Watched]:
    """A study of three trials, two at once, that several tests look at."""
    folder = tmp_path_factory.mktemp("tune")
    source = write_rows(folder / "topics.csv", labelled_rows(120))
    listener = Watched(source, folder / "study")
    study = recipes.tune(
        settings_for(source, base, folder / "study"),
        make_settings({"trials": 3, "jobs": 2}),
        space=SPACE,
        listener=listener,
    )
    return study, listener


def test_a_study_ends_with_a_bundle(watched: tuple[FinishedStudy, Watched]) -> None:
    study, listener = watched
    trials = study.report.trials
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert trials[0].settings == {
        "training.learning_rate": pytest.approx(trials[0].settings["training.learning_rate"]),
        "training.epochs": 2,
        "training.averaging": "ema",
    }
    assert {trial.state for trial in trials} <= {"complete", "pruned"}
    assert study.choice.chosen.number in study.choice.tied
    answers = tunesmith.load(study.run.bundle).predict(["where is the parcel", "refund"])
    assert {answer.label for answer in answers} <= {"login", "money", "parcel"}
    assert {path.name for path in study.folder.iterdir()} == {
        *(".lock", "best", "journal.log", "study.html", "study.json", "study.yaml", "trials")
    }
    for trial in trials:  # two run at once, so that any may be the first to end
        assert any(text.startswith(f"trial {trial.number}: ") for text in listener.said)


def test_the_run_has_the_chosen_settings(watched: tuple[FinishedStudy, Watched]) -> None:
    study, _ = watched
    used = yaml.safe_load((study.folder / "best" / "config.yaml").read_text())
    chosen = study.choice.chosen
    assert used["training"]["learning_rate"] == chosen.settings["training.learning_rate"]
    assert used["training"]["epochs"] == chosen.settings["training.epochs"]
    assert used["training"]["averaging"] == chosen.settings["training.averaging"]
    assert used["training"]["batch_size"] == 16
    assert used["data"]["source"].endswith("topics.csv")
    # The same settings on the same rows: the run repeats the trial.
    best = max(epoch["metric"] for epoch in study.run.report.history if epoch["epoch"] > 0)
    assert best == pytest.approx(chosen.metric)


def test_what_a_study_tells(watched: tuple[FinishedStudy, Watched]) -> None:
    study, _ = watched
    saved = json.loads((study.folder / "study.json").read_text())
    assert saved["choice"]["chosen"] == study.choice.chosen.number
    assert saved["num_validation_rows"] == 12
    assert saved["ending"] == "All 3 trials are done."
    assert saved["test"].startswith("With these settings, on the test rows: ")
    values = json.loads(json.dumps(study.as_dict()))
    assert values.keys() == {"study", "bundle", "best", "trials", "seconds"}
    assert values["best"]["test"]["accuracy"].keys() == {"value", "low", "high"}
    assert values["best"]["validation"] == {"accuracy": study.choice.chosen.metric}
    assert len(values["trials"]) == 3
    page = (study.folder / "study.html").read_text()
    assert "12 validation rows" in page
    assert study.run.report.headline() in page


def test_no_trial_sees_the_test(watched: tuple[FinishedStudy, Watched]) -> None:
    study, listener = watched
    own = settings_for(listener.source, Path("none"), study.folder)
    split = prepare_data(own.data, own.seed, Notes()).split
    assert split.test is not None
    held_out = {str(text) for text in split.test.columns[0]}
    assert len(held_out) == 12
    # The rows for the trials are all rows but those of the test, and nobody else may read them.
    assert listener.texts["train"] == list(split.train.columns[0])
    assert listener.texts["validation"] == list(split.validation.columns[0])
    assert listener.mode == 0o700
    # No file that was there when the choice was made has a text of the test; and those of the
    # trials do not say where the user's file is, which was away while they ran.
    assert {"trials/000/config.yaml", "trials/000/log.txt", "trials/000/scores.npy"} <= {
        *listener.files
    }
    for name, content in listener.files.items():
        assert not [text for text in held_out if text.encode() in content], name
        assert not (name.startswith("trials") and b"topics" in content), name


def test_a_finished_study_stays_as_it_is(watched: tuple[FinishedStudy, Watched]) -> None:
    study, _ = watched
    with pytest.raises(OutputError, match="its test was opened, and no choice can follow"):
        recipes.resume_study(study.folder, {"trials": 50})
    with pytest.raises(OutputError, match="not empty"):
        tunesmith.tune(Path("none.csv"), output=study.folder)


def test_a_test_file_is_not_read_before_the_end(base: Path, tmp_path: Path, notes: Notes) -> None:
    rows = labelled_rows(140)
    source = write_rows(tmp_path / "topics.csv", rows[:120])
    test = tmp_path / "test.csv"
    test.write_bytes(b"\x00 this is no table")
    folder = tmp_path / "study"
    own = settings_for(source, base, folder, **{"data.test": str(test)})
    with pytest.raises(TrainingError, match="the budget of 1 s was over before the first") as short:
        recipes.tune(own, make_settings({"trials": 1, "budget_s": 1}), space=SPACE, listener=notes)
    assert f"tunesmith tune --resume {folder} --budget" in str(short.value)

    content = source.read_text()
    write_rows(source, [*rows[:119], ("another text", "money")])
    with pytest.raises(InputError, match=r"data, training rows.* changed since"):
        recipes.resume_study(folder)
    source.write_text(content)

    with pytest.raises(DataError, match=str(test)) as poisoned:
        recipes.resume_study(folder, {"budget_s": "10m"}, listener=notes)
    assert f"the trials are kept; then: tunesmith tune --resume {folder}" in (
        poisoned.value.__notes__
    )
    trials = [*(folder / "trials").glob("*/log.txt")]
    assert len(trials) == 2
    before = [file.stat().st_mtime_ns for file in trials]

    write_rows(test, rows[120:])
    study = recipes.resume_study(folder, listener=notes)
    assert study.run.report.split_source == "test.csv"
    assert [trial.state for trial in study.report.trials] == ["stopped", "complete"]
    assert study.report.trials[0].settings == study.report.trials[1].settings
    assert [file.stat().st_mtime_ns for file in trials] == before


def test_a_test_file_that_is_not_there(base: Path, topics: Path, tmp_path: Path) -> None:
    own = settings_for(topics, base, tmp_path / "study", **{"data.test": "none.csv"})
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        recipes.tune(own)
    assert not (tmp_path / "study").exists()


def test_trials_that_all_fail(base: Path, topics: Path, tmp_path: Path) -> None:
    own = settings_for(topics, base, tmp_path)
    data = prepare_data(own.data, own.seed, Notes(), with_test=False)
    study = Study(tmp_path, SPACE, seed=1, num_trials=3)
    for reason in ("the loss is nan", "out of memory", "out of memory"):
        trial = study.ask()
        assert trial is not None
        study.fail(trial.number, reason, 1.0)
    file = StudyFile(make_settings({"trials": 3}), SPACE, SPACE.nearest({}), own, {}, {})
    with pytest.raises(TrainingError, match="2 of 3 failed like this: out of memory") as caught:
        choose(StudyFolder(tmp_path), file, study, data)
    assert str(tmp_path / "trials" / "002" / "log.txt") in str(caught.value)
    assert "No trial is complete yet." in (tmp_path / "study.html").read_text()


def test_an_attempt_is_a_training_without_a_test(base: Path, topics: Path, tmp_path: Path) -> None:
    own = settings_for(topics, base, tmp_path, **{"data.test": "none.csv", "training.epochs": 2})
    done = recipes.attempt(own, folder=tmp_path)
    assert [record.epoch for record in done.history] == [0, 1, 2]
    assert done.validation_scores.shape == (12, 3)
    assert 0.0 <= done.metric <= 1.0
    assert done.metric in [record.metric for record in done.history]
    assert {path.name for path in tmp_path.iterdir()} >= {"metrics.jsonl"}
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("kind", ["several", "pairs"])
def test_a_trial_has_the_rows_as_they_were(
    base: Path, several_csv: Path, pairs_csv: Path, tmp_path: Path, kind: str
) -> None:
    columns = {"several": (("text",), "topics"), "pairs": (("question", "answer"), "same")}
    source = several_csv if kind == "several" else pairs_csv
    text, target = columns[kind]
    more = {"data.text": text, "data.target": target, "training.epochs": 1}
    own = settings_for(source, base, tmp_path / "run", **more)
    data = prepare_data(own.data, own.seed, Notes(), with_test=False)
    keep_split(tmp_path / "rows", data)
    kept = kept_split(tmp_path / "rows")
    assert kept.task == data.task
    assert len(kept.test) == len(data.test) == 0
    for before, after in (
        (data.split.train, kept.split.train),
        (data.split.validation, kept.split.validation),
    ):
        assert [list(column) for column in after.columns] == [list(c) for c in before.columns]
        assert list(after.targets or ()) == list(before.targets or ())

    folder = tmp_path / "trials" / "000"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config.dump(own))
    reported: list[tuple[int, int]] = []
    metric = run_trial(folder, lambda epoch, num_epochs, _: reported.append((epoch, num_epochs)))
    assert reported == [(0, 1), (1, 1)]
    scores = np.load(folder / "scores.npy")
    assert scores.shape == (len(data.split.validation), len(data.task.labels))
    assert judge_of(data.task, data.split.validation)(scores) == metric


@pytest.fixture(scope="module")
def plan(base: Path, topics: Path) -> Callable[..., SearchPlan]:
    """Plans a search over `topics`, which has 32 training rows a label."""

    def make(
        settings: dict[str, Any] | None = None,
        space: Space | None = None,
        notes: Notes | None = None,
    ) -> SearchPlan:
        given = {"data.source": str(topics), "base.id": str(base), "training.precision": "fp32"}
        own = config.load(settings={**given, **(settings or {})})
        listener = notes or Notes()
        data = prepare_data(own.data, own.seed, listener)
        model = build_model(find_base(own.base.id), own, data.task, listener)
        return plan_search(own, space, model, data, listener)

    return make


def test_the_default_space_fits_method_and_data(plan: Callable[..., SearchPlan]) -> None:
    auto = plan()
    assert auto.space.dimensions["training.method"] == ValueList(("full", "few-shot"))
    assert "few_shot.temperature" in auto.space.dimensions
    assert auto.start["training.method"] == "full"
    assert auto.fixed == {"training.precision": "fp32"}
    rate = auto.space.dimensions["training.learning_rate"]
    assert isinstance(rate, Range)
    assert rate.log
    start = float(str(auto.start["training.learning_rate"]))
    assert (rate.low, rate.high) == pytest.approx((start / 4, start * 4), rel=0.05)

    full = plan({"training.method": "full", "training.epochs": 3, "training.dropout": 0.1})
    assert full.fixed["training.method"] == "full"
    assert full.fixed["training.epochs"] == 3
    assert not {"training.epochs", "training.dropout", "training.method"} & {*full.space.dimensions}
    lora = plan({"training.method": "lora"})
    assert {"adapter.rank", "adapter.dropout"} <= {*lora.space.dimensions}
    assert "training.freeze_embeddings" not in lora.space.dimensions
    last = plan({"training.method": "last-k"})
    assert "training.layers" in last.space.dimensions
    assert plan({"training.method": "bitfit"}).space.dimensions.keys() >= {"training.dropout"}
    assert all(np.isfinite(float(str(lora.start[name]))) for name in ("adapter.rank",))


def test_what_the_user_sets_is_not_varied(plan: Callable[..., SearchPlan], notes: Notes) -> None:
    chosen = plan({"training.averaging": "soup"}, SPACE, notes)
    assert [*chosen.space.dimensions] == ["training.learning_rate", "training.epochs"]
    assert "set, and so not searched over: training.averaging" in notes.said
    with pytest.raises(ConfigError, match="nothing is left to search over"):
        plan({"training.epochs": 3}, parse_space({"training.epochs": [1, 2]}))
    with pytest.raises(ConfigError, match="the probe has nothing to tune"):
        plan({"training.method": "probe"})


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("training.epoch: [1, 2]")
    with pytest.raises(ConfigError) as caught:
        recipes.read_search(
            None,
            ["training.bach_size=3"],
            {"training.method": "fulll"},
            search={"budget_s": "soon"},
            names={"budget_s": "--budget"},
            space_file=space,
        )
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    for word in ("training.batch_size", "'full'", "--budget: must be a time", "training.epochs"):
        assert word in text
    with pytest.raises(ConfigError, match="no data file was given"):
        tunesmith.tune()
    with pytest.raises(ConfigError, match=r"given as well: data\.target, space"):
        tunesmith.tune(target="topic", space={"training.epochs": [1, 2]}, resume="study")
