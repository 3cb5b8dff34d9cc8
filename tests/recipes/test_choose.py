"""The race: what takes part, what the budget allows, and which model is chosen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import labelled_rows
from torch import nn

from tunesmith import recipes
from tunesmith.config import RunConfig, load
from tunesmith.data import Split
from tunesmith.errors import ConfigError, Interrupted
from tunesmith.recipes import Run
from tunesmith.recipes._choose import _choice
from tunesmith.recipes._fine_tune import Tuned
from tunesmith.recipes._listener import Silent
from tunesmith.recipes._plan import Plan, _plan, _Time, _Way, _ways
from tunesmith.recipes._prepare import PreparedData
from tunesmith.tasks import Field, TextClassification
from tunesmith.training import FitSettings
from tunesmith.types import Dataset, Texts

from .conftest import Notes, Train, write_rows
from .test_resume import stopping
from .test_train import digests

AUTO = {"training.method": "auto", "training.epochs": 4, "training.learning_rate": 3e-3}


@pytest.fixture(scope="module")
def kept() -> dict[str, Run]:
    return {}


@pytest.fixture
def raced(train: Train, kept: dict[str, Run], tmp_path: Path) -> Run:
    """A race that was not disturbed; it is run once for all tests here."""
    if "run" not in kept:
        kept["run"] = train(AUTO, "raced")
    return kept["run"]


def test_the_table_names_all_that_were_tried(raced: Run, notes: Notes) -> None:
    rows = {row["name"]: row for row in raced.report.contenders}
    assert set(rows) == {"majority class", "TF-IDF + linear", "probe", "full", "few-shot"}
    verdicts = [row["verdict"] for row in rows.values()]
    assert sum(verdict.startswith("chosen") for verdict in verdicts) == 1
    assert verdicts.count("dropped on the way") == 1
    chosen = next(row for row in rows.values() if row["verdict"].startswith("chosen"))
    assert raced.report.method == chosen["name"]
    for name in ("full", "few-shot"):
        assert rows[name]["epochs"] == (1 if rows[name]["verdict"] == "dropped on the way" else 4)
    saved = json.loads((raced.folder / "report.json").read_text())
    assert saved["contenders"] == [dict(row) for row in raced.report.contenders]
    assert "dropped on the way" in (raced.folder / "report.html").read_text()


def test_the_chosen_model_is_within_a_standard_error_of_the_best(raced: Run) -> None:
    rows = [row for row in raced.report.contenders if row["verdict"] != "baseline"]
    finalists = [row for row in rows if row["verdict"] != "dropped on the way"]
    best = max(row["metric"] for row in finalists)
    [chosen] = [row for row in finalists if row["verdict"].startswith("chosen")]
    assert chosen["metric"] == best or "within a standard error" in chosen["verdict"]


@pytest.mark.parametrize("step", [3, 8, 14])
def test_a_race_that_was_stopped_ends_as_if_it_was_not(
    train: Train, raced: Run, notes: Notes, tmp_path: Path, step: int
) -> None:
    with stopping(notes, step=step), pytest.raises(Interrupted):
        train({**AUTO, "training.checkpoint_interval_s": 0})
    run = recipes.resume(tmp_path / "run")
    assert digests(run) == digests(raced)
    assert run.report.method == raced.report.method


@pytest.mark.parametrize(("batch_size", "epochs"), [(32, 10), (4, 2), (2, 1)])
def test_comparing_rows_takes_so_many_steps_and_not_so_many_epochs(
    train: Train, batch_size: int, epochs: int
) -> None:
    settings = {"training.batch_size": batch_size, "training.epochs": None}
    run = train({**settings, "training.method": "few-shot"})
    assert [record["epoch"] for record in run.report.history] == list(range(epochs + 1))


def test_a_race_of_methods_with_unlike_epochs_is_run_to_its_end(train: Train) -> None:
    run = train({"training.method": "auto", "training.batch_size": 2, "training.epochs": None})
    rows = {row["name"]: row for row in run.report.contenders}
    assert rows["few-shot"]["epochs"] == 1
    assert rows["full"]["epochs"] in (2, 10)


@pytest.mark.parametrize("method", ["probe", "few-shot"])
def test_settings_without_effect_are_named(method: str, train: Train, notes: Notes) -> None:
    train({"training.method": method, "training.loss": "robust", "training.epochs": 1})
    assert any(f"{method} does not use training.loss: " in text for text in notes.warned)


@pytest.mark.parametrize(("sure", "chosen"), [(3.0, "full"), (30.0, "probe")])
def test_of_models_that_are_right_as_often_the_surer_one_is_the_best(
    sure: float, chosen: str
) -> None:
    labels = ["a", "b"] * 60
    texts = Texts.of([f"text {number}" for number in range(120)])
    task = TextClassification((Field("text"),), ("a", "b"))
    rows = Dataset((texts,), labels, np.arange(120))
    data = PreparedData(task, Split(rows, rows, rows), "", {})
    scores = np.eye(2, dtype=np.float32)[np.arange(120) % 2]
    scores[:6] = scores[:6, ::-1]  # both are wrong in these
    model = nn.Identity()
    probe = Tuned("probe", model, scores, (), 0, None, 1.0)
    full = Tuned("full", model, scores * np.float32(sure), (), 1, FitSettings(1), 9.0)
    plan = Plan(("full",), 1, (), {}, refit=False, r_drop=0.0)
    choice = _choice(data, RunConfig(), Silent(), [probe, full], [], [], plan)
    assert choice.tuned.method == chosen


def test_many_rows_a_label_need_no_few_shot_training(train: Train, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "many.csv", labelled_rows(300))
    run = train({**AUTO, "training.epochs": 1}, source=str(file))
    assert "few-shot" not in {row["name"] for row in run.report.contenders}


def test_a_budget_that_does_not_suffice_says_what_does(train: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        train({"training.budget_s": 0.01})
    text = str(raised.value)
    assert "too few for one epoch of full" in text
    assert "--method probe" in text
    assert not (tmp_path / "run").exists()


def test_a_race_takes_the_probe_where_nothing_else_fits(train: Train, notes: Notes) -> None:
    run = train({**AUTO, "training.budget_s": 0.01})
    assert run.report.method == "probe"
    assert any("the budget does not suffice for fine-tuning" in text for text in notes.warned)
    log = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in log] == [("start", 0), ("epoch", 0)]
    assert any("its budget was 0 s" in text for text in notes.warned)
    left_out = [row for row in run.report.contenders if row["metric"] is None]
    assert {row["name"] for row in left_out} == {"full", "few-shot"}
    assert all("budget" in row["verdict"] for row in left_out)


AS_WITHOUT = {"training.r_drop": 0, "training.refit": "never", "training.model_soup": 1}
"""What a budget that suffices would add, switched off."""


def test_a_budget_that_suffices_changes_nothing_else(train: Train, raced: Run) -> None:
    run = train({**AUTO, **AS_WITHOUT, "training.budget_s": "1h"})
    assert digests(run) == digests(raced)


@pytest.mark.parametrize("num_rows", [90, 2400])
def test_time_that_is_left_makes_the_training_more_thorough(
    train: Train, notes: Notes, tmp_path: Path, num_rows: int
) -> None:
    settings = {"training.method": "full", "training.epochs": 1, "training.refit": "auto"}
    file = write_rows(tmp_path / "rows.csv", labelled_rows(num_rows))
    run = train({**settings, "training.budget_s": "1h"}, source=str(file))
    assert run.report.config["training"]["r_drop"] == 1.0
    assert run.bundle.manifest.config["training"]["r_drop"] == 1.0
    assert run.report.data["refit_rows"] == sum(
        run.report.split_sizes[part] for part in ("train", "validation")
    )
    assert any("R-Drop" in said for said in notes.said)


def test_r_drop_of_the_budget_is_r_drop(train: Train) -> None:
    """The plan's R-Drop and the user's give the same weights, and other ones than neither."""
    settings = {**AS_WITHOUT, "training.method": "full", "training.epochs": 1}
    del settings["training.r_drop"]
    planned = train({**settings, "training.budget_s": "1h"}, "planned")
    asked = train({**settings, "training.r_drop": 1.0}, "asked")
    plain = train(settings, "plain")
    assert digests(planned) == digests(asked) != digests(plain)


@pytest.mark.parametrize(
    "settings",
    [
        {"training.dropout": 0.0},
        {"training.method": "last-k"},
        {"training.method": "few-shot"},
        {"training.r_drop": 0.0},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_no_r_drop_where_it_does_not_fit(train: Train, settings: dict[str, object]) -> None:
    common = {"training.method": "full", "training.epochs": 1, "training.budget_s": "1h"}
    run = train({**common, **settings})
    assert not run.report.config["training"]["r_drop"]


def test_r_drop_without_dropout_is_refused(train: Train) -> None:
    with pytest.raises(ConfigError, match=r"training\.r_drop.*compares two passes under dropout"):
        train({"training.r_drop": 1.0, "training.dropout": 0.0})


def test_each_training_has_time_for_what_it_costs() -> None:
    """The planned epochs of every method fit into its limit, and the limits into the budget."""
    seconds = _Time(epoch=10.0, spent=0.0, left=1000.0)
    methods = ("full", "few-shot")
    for refit, soup, after in (
        (False, 1, 0.0),
        (True, 1, 1.25 * 2.2),
        (False, 3, 2 * 2.2),
        (True, 3, 3 * 1.25 * 2.2),
    ):
        way = _Way(1.0, refit=refit, soup=soup, growth=1.25)
        plan = _plan(way, methods, 4, (), seconds)
        assert way.finish_cost(methods) == pytest.approx(after)
        whole = 2.2 + 1.0 + after  # R-Drop is no part of few-shot
        assert plan.limits_s["full"] == pytest.approx(1000 * 2.2 / whole)
        assert plan.limits_s["few-shot"] == pytest.approx(1000 / whole)


@pytest.mark.parametrize(
    ("settings", "ways"),
    [
        ({}, [(1.0, True, 3), (0.0, True, 1), (0.0, False, 1)]),
        ({"training.refit": "never"}, [(1.0, False, 3), (0.0, False, 1)]),
        ({"training.r_drop": 0.5}, [(0.5, True, 1), (0.5, False, 1)]),
        ({"training.model_soup": 2}, [(1.0, True, 2), (0.0, True, 2), (0.0, False, 2)]),
        (
            {"training.method": "lora", "adapter.keep": "apart"},
            [(1.0, True, 1), (0.0, True, 1), (0.0, False, 1)],
        ),
    ],
    ids=str,
)
def test_r_drop_comes_where_all_else_has_time(
    settings: dict[str, object], ways: list[tuple[float, bool, int]]
) -> None:
    run = load(settings={"training.method": "full", "training.budget_s": 600, **settings})
    rows = Dataset((Texts.of(["a", "b"]),), ["a", "b"], np.arange(2))
    task = TextClassification((Field("text"),), ("a", "b"))
    data = PreparedData(task, Split(rows, rows, rows), "", {})
    base: Any = SimpleNamespace(dropout=0.1)
    found = _ways(base, data, run, (run.training.method,))
    assert [(way.r_drop, way.refit, way.soup) for way in found] == ways


def test_r_drop_of_a_base_without_dropout_is_refused(
    train: Train, base: Path, tmp_path: Path
) -> None:
    dry = Path(shutil.copytree(base, tmp_path / "dry"))
    config = json.loads((dry / "config.json").read_text())
    config |= dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0)
    (dry / "config.json").write_text(json.dumps(config))
    asked = {"base.id": str(dry), "training.r_drop": 1.0}
    with pytest.raises(ConfigError, match=r"training\.r_drop.*the base has none of its own"):
        train(asked)
    run = train({"base.id": str(dry), "training.budget_s": "1h"}, "left open")
    assert not run.report.config["training"]["r_drop"]
