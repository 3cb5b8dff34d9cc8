"""Cross-validation: no row is judged by a model that has seen it, and a kill costs a fold."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import labelled_rows

from tunesmith import config, recipes
from tunesmith.data import read_table
from tunesmith.errors import ConfigError, DataError, InputError, Interrupted, OutputError
from tunesmith.recipes import CrossValidated

from .conftest import Notes, quick_settings, write_rows

KILLED = """
import os, signal, sys
from tunesmith import config, recipes

class Kills(recipes.Silent):
    stage_name, done = "", 0
    def stage(self, title, total=None):
        self.stage_name = title
    def advance(self, rows):
        self.done += rows if self.stage_name == "folds" else 0
        if self.done == 2:
            os.kill(os.getpid(), signal.SIGKILL)

chosen = config.load(settings=eval(sys.argv[1]))
recipes.cross_validate(chosen, num_folds=4, listener=Kills())
"""


def settings(data: Path, base: Path, output: Path, **more: Any) -> dict[str, Any]:
    values = quick_settings(data, base, output)
    del values["data.split"]
    return {**values, "training.method": "probe", "training.threads": 1, **more}


def validated(chosen: dict[str, Any], num_folds: int = 4, **more: Any) -> CrossValidated:
    return recipes.cross_validate(config.load(settings=chosen), num_folds=num_folds, **more)


def answers(done: CrossValidated) -> list[dict[str, str]]:
    with done.predictions.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def done(base: Path, topics: Path, tmp_path_factory: pytest.TempPathFactory) -> CrossValidated:
    return validated(settings(topics, base, tmp_path_factory.mktemp("folds") / "out"))


def test_every_row_is_judged_once_and_the_figures_are_those_of_the_answers(
    done: CrossValidated,
) -> None:
    rows = answers(done)
    assert sorted(int(row["row"]) for row in rows) == list(range(1, 121))
    truth = dict(enumerate((topic for _, topic in labelled_rows(120)), start=1))
    assert all(row["truth"] == truth[int(row["row"])] for row in rows)
    right = np.array([row["truth"] == row["label"] for row in rows])
    folds = np.array([int(row["fold"]) for row in rows])
    result = done.result
    found = [one.values[result.chosen]["accuracy"] for one in result.folds]
    assert found == pytest.approx([right[folds == fold].mean() for fold in range(1, 5)])
    assert result.pooled["accuracy"].value == pytest.approx(right.mean())
    assert result.spread(result.chosen, "accuracy").mean == pytest.approx(np.mean(found))
    for row in rows:
        chances = json.loads(row["probabilities"])
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert chances[row["label"]] == pytest.approx(float(row["probability"]), abs=1e-6)


def test_nothing_of_the_work_is_left(done: CrossValidated) -> None:
    kept = {entry.name for entry in done.folder.iterdir()}
    assert kept == {
        "config.yaml", "pinned.json", "cross_validation.json", "cross_validation.html",
        "out_of_fold.csv",
    }  # fmt: skip


def test_killed_in_the_middle_it_ends_the_same(
    done: CrossValidated, base: Path, topics: Path, tmp_path: Path, notes: Notes
) -> None:
    chosen = settings(topics, base, tmp_path / "out")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, repr(chosen)], capture_output=True, text=True
    )
    assert killed.returncode == -9, killed.stderr
    kept = tmp_path / "out" / "work"
    assert kept.stat().st_mode & 0o077 == 0  # it holds the user's texts
    assert len(list(kept.glob("fold-*.safetensors"))) == 2
    ended = recipes.resume_cross_validation(tmp_path / "out", listener=notes)
    assert "2 of 4 folds are done already" in notes.said
    assert ended.result.pooled == done.result.pooled
    assert answers(ended) == answers(done)
    assert [one.values for one in ended.result.folds] == [one.values for one in done.result.folds]


def test_two_processes_come_to_what_one_does(
    done: CrossValidated, base: Path, topics: Path, tmp_path: Path
) -> None:
    both = validated(settings(topics, base, tmp_path / "out"), jobs=2)
    assert answers(both) == answers(done)
    assert both.result.pooled == done.result.pooled


def test_what_changed_is_named(base: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "x.csv", labelled_rows(60))
    chosen = settings(file, base, tmp_path / "out")

    class Stops(Notes):
        def stage(self, title: str, total: int | None = None) -> None:
            if title == "folds":
                raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped") as stopped:
        validated(chosen, listener=Stops())
    assert f"--resume {tmp_path / 'out'}" in stopped.value.faults[0].mend
    with pytest.raises(InputError, match=r"resumed: folds, training\.batch_size changed"):
        validated({**chosen, "training.batch_size": 8}, num_folds=3)
    write_rows(file, labelled_rows(61))
    with pytest.raises(InputError, match="resumed: data changed"):
        validated(chosen)
    write_rows(file, labelled_rows(60)[::-1])
    with pytest.raises(InputError, match="resumed: division of the rows changed"):
        validated(chosen)
    write_rows(file, labelled_rows(60))
    validated(chosen)
    with pytest.raises(OutputError, match="has finished"):
        validated(chosen)
    with pytest.raises(OutputError, match="has finished"):
        recipes.resume_cross_validation(tmp_path / "out")
    with pytest.raises(OutputError, match="no cross-validation"):
        recipes.resume_cross_validation(tmp_path)


def test_groups_stay_in_one_fold(base: Path, tmp_path: Path) -> None:
    rows = [(*row, f"customer {n % 20}") for n, row in enumerate(labelled_rows(120))]
    file = write_rows(tmp_path / "x.csv", rows, "text,topic,customer")
    chosen = settings(file, base, tmp_path / "out", **{"data.group": "customer"})
    found = answers(validated({**chosen, "data.target": "topic", "data.text": ["text"]}, repeats=2))
    assert len(found) == 240
    owners = read_table(str(file)).column("customer")
    seen: dict[tuple[str, object], set[str]] = {}
    for row in found:
        key = (row["repeat"], owners[int(row["row"]) - 1])
        seen.setdefault(key, set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in seen.values())
    first, second = ({k[1]: v for k, v in seen.items() if k[0] == one} for one in "12")
    assert first != second


def test_a_label_too_rare_for_the_folds(base: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "x.csv", [*labelled_rows(60), *[("rare one", "seldom")] * 3])
    with pytest.raises(DataError, match=r"fewer different texts than the 5 folds: 'seldom' \(1\)"):
        validated(settings(file, base, tmp_path / "out"), num_folds=5)
    assert not (tmp_path / "out").exists()


def test_fine_tuning_stands_beside_the_probe(base: Path, topics: Path, tmp_path: Path) -> None:
    chosen = settings(topics, base, tmp_path / "out", **{"training.epochs": 1})
    result = validated({**chosen, "training.method": "full"}, num_folds=2).result
    assert result.candidates == (
        "majority class", "TF-IDF + linear", "frozen encoder + linear head", "fine-tuned model",
    )  # fmt: skip
    assert {one.method for one in result.folds} == {"full"}
    for one in result.folds:  # a tenth of what is learned from, and never the fold itself
        assert 2 <= one.num_validation <= 12
        assert one.num_train + one.num_validation + one.num_held_out == 120


def test_several_labels_a_row(base: Path, several_csv: Path, tmp_path: Path) -> None:
    chosen = settings(several_csv, base, tmp_path / "out", **{"data.label_separator": "|"})
    done = validated(chosen, num_folds=3)
    rows = answers(done)
    truth, given = ([set(json.loads(row[name])) for row in rows] for name in ("truth", "labels"))
    pooled = done.result.pooled
    exact = np.mean([a == b for a, b in zip(truth, given, strict=True)])
    assert pooled["accuracy"].value == pytest.approx(exact)
    for label, own in pooled.labels.items():
        hits = sum(label in a and label in b for a, b in zip(truth, given, strict=True))
        assert own.recall.value == pytest.approx(hits / sum(label in a for a in truth))
        assert own.precision.value == pytest.approx(hits / max(1, sum(label in b for b in given)))


def test_what_is_not_for_it_is_refused_at_once(base: Path, topics: Path, tmp_path: Path) -> None:
    chosen = settings(topics, base, tmp_path / "out")
    wrong = {"data.test": "x.csv", "data.time": "when", "data.validation_fraction": 0.0}
    with pytest.raises(ConfigError) as caught:
        validated({**chosen, **wrong}, num_folds=1, repeats=0, jobs=0)
    places = [fault.where or fault.what for fault in caught.value.faults]
    assert places == [
        "there are 1 folds", "there are 0 repeats", "there are 0 jobs",
        "data.test", "data.time", "data.validation_fraction",
    ]  # fmt: skip
