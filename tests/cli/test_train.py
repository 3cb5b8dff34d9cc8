"""`tunesmith train`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from tiny import labelled_rows

from .conftest import QUICK, Invoke, write_rows


def test_from_a_file_to_a_bundle(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "a run"),
        *("--epochs", 1, "--method", "full", *QUICK),
    )
    assert result.code == 0, result.err
    rows = ("majority class", "TF-IDF + linear", "frozen encoder + linear head", "fine-tuned model")
    assert all(name in result.out for name in ("accuracy", "macro-f1", "seconds", *rows))
    assert "on 10 unseen rows" in result.out
    assert "report  a run/report.html\nbundle  a run/bundle\n" in result.out
    assert "tunesmith serve 'a run/bundle'" in result.out
    assert "target column: 'topic' (guessed; --target chooses another)" in result.err
    assert "text column: 'text' (guessed; --text chooses another)" in result.err
    assert "mean pooling: bert reads in both directions" in result.err
    assert "1 epoch," in result.err
    written = {path.name for path in Path("a run").iterdir()}
    assert written == {
        *("bundle", "config.yaml", "metrics.jsonl", "pinned.json", "report.html", "report.json"),
        "probe.safetensors",
        "rows",
    }


def test_json_is_one_object(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "run"),
        *("--method", "probe", "--json", *QUICK),
    )
    assert result.code == 0, result.err
    values = json.loads(result.out)
    assert values.keys() == {"bundle", "run", "metrics", "seconds"}
    assert values["bundle"] == "run/bundle"
    assert values["metrics"]["accuracy"].keys() == {"value", "low", "high"}
    assert "frozen encoder" in result.err


def test_settings_come_from_file_then_set_then_flags(invoke: Invoke, small: Path) -> None:
    Path("c.yaml").write_text(
        "data:\n  target: topic\n"
        "training:\n  method: full\n  epochs: 7\n  batch_size: 64\n"
        "seed: 1\n"
    )
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "run", *QUICK),
        *("--config", "c.yaml", "--set", "training.epochs=5", "--set", "training.method=full"),
        *("--method", "probe", "--seed", 3),
    )
    assert result.code == 0, result.err
    assert "target column" not in result.err
    used = yaml.safe_load(Path("run/config.yaml").read_text())
    assert used["training"]["batch_size"] == 64
    assert used["training"]["epochs"] == 5
    assert used["training"]["method"] == "probe"
    assert used["seed"] == 3


def test_rows_with_gaps_may_be_left_out(invoke: Invoke, small: Path) -> None:
    write_rows(Path("gaps.csv"), [*labelled_rows(60), ("", "money"), ("where is it", "")])
    result = invoke(
        *("train", "gaps.csv", "--drop-missing", "--base", small / "base", "--output", "run"),
        *("--method", "probe", *QUICK),
    )
    assert result.code == 0, result.err
    assert "left out 2 of 62 rows with missing values: rows 61, 62" in result.err


def test_without_an_output_the_run_is_named_after_the_file(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--method", "probe", *QUICK),
        "--json",
    )
    assert json.loads(result.out)["run"].startswith("runs/topics-")


def test_resume_takes_no_other_settings(invoke: Invoke, small: Path) -> None:
    result = invoke("train", "x.csv", "--epochs", 3, "--resume", small / "run")
    assert result.code == 2
    assert "given as well: data.source, training.epochs" in result.err
    assert f"tunesmith train --resume {small / 'run'}" in result.err


def test_nothing_to_resume(invoke: Invoke, small: Path) -> None:
    finished = invoke("train", "--resume", small / "run")
    assert (finished.code, "this run has finished" in finished.err) == (2, True)
    none = invoke("train", "--resume", small)
    assert (none.code, "is no run that can be resumed" in none.err) == (2, True)


def test_budget_and_trackers_are_settings(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--output", "run", *QUICK),
        *("--method", "probe", "--budget", "1h30m", "--track", "tensorboard"),
    )
    assert result.code == 0, result.err
    used = yaml.safe_load(Path("run/config.yaml").read_text())["training"]
    assert used["budget_s"] == 5400
    assert used["track"] == ["tensorboard"]
    wrong = invoke("train", "x.csv", "--budget", "soon", "--track", "tensorbord")
    assert wrong.code == 2
    assert "must be a time such as 90s, 10m or 1h30m (got 'soon')" in wrong.err
    assert "did you mean 'tensorboard'?" in wrong.err


def test_a_bundle_is_trained_further(invoke: Invoke, small: Path) -> None:
    known = {text for text, _ in labelled_rows(90)}
    rows = [row for row in labelled_rows(150, seed=4) if row[0] not in known][:80]
    write_rows(Path("more.csv"), [(text, "refund" if label == "money" else label)
                                  for text, label in rows])  # fmt: skip
    arguments = ("train", "more.csv", "--base", small / "run", "--method", "full", "--epochs", 1)
    refused = invoke(*arguments, *QUICK)
    assert refused.code == 2
    assert "labels that the base was not trained for: 'refund'" in refused.err
    assert "--extend-labels adds them; --new-labels begins with a new head" in refused.err
    result = invoke(*(*arguments, "--extend-labels", "--replay", 0.25, "--output", "child", *QUICK))
    assert result.code == 0, result.err
    assert "on the 10 test rows of its parent: " in result.out
    assert "base bundle, unchanged" in result.out
    assert " of 80 old rows are replayed, beside " in result.err  # those of validation too
    told = invoke("info", "child")
    [lineage] = [line for line in told.out.splitlines() if line.startswith("lineage")]
    assert lineage.split()[1::3] == ["topics", "more"]
    [forgetting] = [line for line in told.out.splitlines() if line.startswith("forgetting")]
    assert "accuracy on 10 test rows of its parent" in forgetting
    assert "lineage" not in invoke("info", small / "run").out
    as_json = json.loads(invoke("info", "child", "--json").out)
    assert [ancestor["name"] for ancestor in as_json["lineage"]] == ["topics"]


def test_flags_for_a_bundle_as_the_base(invoke: Invoke, small: Path) -> None:
    both = invoke("train", "x.csv", "--extend-labels", "--new-labels")
    assert both.code == 2
    assert "--extend-labels, --new-labels: contradict each other" in both.err
    plain = invoke(
        *("train", small / "topics.csv", "--base", small / "base", "--replay", 0.2),
        "--extend-labels",
    )
    assert plain.code == 2
    assert "base.labels: the base has no labels to extend" in plain.err
    assert "data.replay: the base has no rows to replay" in plain.err
    assert not Path("runs").exists()
    share = invoke("train", "x.csv", "--replay", 1.5)
    assert "data.replay: must be less than 1 (got 1.5)" in share.err


def test_a_fault_is_told_of_where_it_was_made(invoke: Invoke, small: Path) -> None:
    file = small / "own.yaml"
    file.write_text("training: {epochs: 0, batch_size: 8}\n")
    result = invoke(
        "train", small / "none.csv", "--config", file, "--set", "training.optimizer=adamm"
    )
    assert result.code == 2
    assert f"{file}: training.epochs: must be" in result.err
    assert f"{file}: training.optimizer" not in result.err
    assert "training.optimizer: there is no 'adamm'" in result.err


def test_a_run_goes_on_with_another_rate_alone(invoke: Invoke, small: Path) -> None:
    alone = invoke("train", "--resume", small, "--set", "training.learning_rate=1e-5")
    assert (alone.code, "is no run that can be resumed" in alone.err) == (2, True)
    more = ("--set", "training.learning_rate=1e-5", "--set", "training.epochs=2")
    both = invoke("train", "--resume", small, *more)
    assert (both.code, "given as well: --set" in both.err) == (2, True)
    assert "only training.learning_rate may be" in both.err
