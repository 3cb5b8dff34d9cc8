"""A bundle as the base: labels, head, replay, what is forgotten, and the chain."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny import labelled_rows

import tunesmith
from tunesmith import config, recipes
from tunesmith.bundles import HELD_OUT, Bundle, Manifest, open_bundle, read_rows
from tunesmith.bundles import write_rows as keep_rows
from tunesmith.data import overlap
from tunesmith.errors import BundleError, ConfigError, DataError, InputError
from tunesmith.recipes import Run
from tunesmith.recipes._lineage import Parent, inherited_head
from tunesmith.tasks import Field, TextClassification

from .conftest import Notes, Train, quick_settings, write_rows

LABELS = ("login", "money", "parcel")
UNTRAINED = {"training.learning_rate": 1e-12, "training.epochs": 1}
"""Settings of a run that ends where it began."""


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """90 rows that the finished run has not seen."""
    return write_rows(tmp_path / "more.csv", unseen(90))


@pytest.fixture
def parent(finished: Run, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may spoil."""
    return shutil.copytree(finished.folder, tmp_path / "parent")


def unseen(num_rows: int) -> list[tuple[str, str]]:
    known = {text for text, _ in labelled_rows(120)}
    return [row for row in labelled_rows(num_rows + 60, seed=7) if row[0] not in known][:num_rows]


def renamed(rows: Sequence[tuple[str, str]], **names: str) -> list[tuple[str, str]]:
    return [(text, names.get(label, label)) for text, label in rows]


def resealed(folder: Path, without: str = "", **changes: object) -> Bundle:
    """Writes the bundle's manifest again, with other values and without a file."""
    bundle = open_bundle(folder)
    files = {name: digest for name, digest in bundle.manifest.files.items() if name != without}
    if without:
        (bundle.path / without).unlink()
    manifest: Manifest = bundle.manifest.model_copy(update=changes).sealed(files)
    (bundle.path / "manifest.json").write_bytes(manifest.to_bytes())
    return open_bundle(folder)


def test_the_run_keeps_its_rows(finished: Run) -> None:
    file = finished.folder / "rows" / "train.parquet"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert len(read_rows(file, ["text"], "topic")) == 96
    held_out = finished.bundle.held_out()
    assert held_out is not None
    assert len(held_out) == 12
    assert not overlap(read_rows(file, ["text"], "topic"), held_out)
    assert not list(file.parent.glob(".*"))
    chosen_by = read_rows(file.with_name("validation.parquet"), ["text"], "topic")
    assert len(chosen_by) == 12
    assert stat.S_IMODE(file.with_name("validation.parquet").stat().st_mode) == 0o600


def test_what_changed_in_the_data_is_told(
    finished: Run, train: Train, notes: Notes, tmp_path: Path
) -> None:
    rows = [*labelled_rows(120)[:-20], *unseen(30)]
    rows[0] = (rows[0][0], "money" if rows[0][1] == "login" else "login")
    file = write_rows(tmp_path / "new.csv", rows)
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file))
    said = (
        "since the data of the base bundle: 30 rows added, 20 removed, 1 relabelled; "
        "99 are as they were"
    )
    assert said in notes.said
    facts = run.bundle.manifest.data
    assert facts["changes"] == {"same": 99, "added": 30, "removed": 20, "relabelled": 1}
    assert said in (run.folder / "report.html").read_text(encoding="utf-8")


def test_the_held_out_rows_give_the_figures_again(finished: Run) -> None:
    again = recipes.evaluate(finished.bundle, finished.bundle.path / HELD_OUT, resamples=100)
    assert again.metrics["accuracy"].value == finished.metrics["accuracy"].value
    assert again.metrics.num_examples == 12


def test_labels_and_head_are_kept(
    finished: Run, train: Train, notes: Notes, tmp_path: Path
) -> None:
    rows = [row for row in unseen(120) if row[1] != "money"]
    file = write_rows(tmp_path / "two.csv", rows)
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file))
    assert run.bundle.task.labels == LABELS
    version = finished.bundle.version
    assert (
        f"training goes on with the 3 labels and the head of the base bundle {version}"
        in notes.said
    )
    absent = "1 of the parent's 3 labels have no row in the new data, and are kept: 'money'"
    assert absent in notes.said
    assert absent in run.bundle.manifest.data["notes"]
    # Hardly trained, it answers as its parent does, from the parent's head and not a new one.
    forgetting = run.report.forgetting
    assert forgetting is not None
    assert (forgetting.parent, forgetting.before.num_examples) == (version, 12)
    assert forgetting.before["accuracy"].value == finished.metrics["accuracy"].value
    assert forgetting.change.value == 0
    assert forgetting.sentence() in notes.said


@pytest.mark.parametrize("method", ["probe", "few-shot", "full"])
def test_a_label_without_new_rows_is_still_told(
    method: str, finished: Run, train: Train, tmp_path: Path
) -> None:
    rows = [row for row in unseen(120) if row[1] != "money"]
    file = write_rows(tmp_path / "two.csv", rows)
    settings = {"base.id": str(finished.folder), "training.method": method, "training.epochs": 1}
    run = train(settings, source=str(file))
    texts = [text for text, label in labelled_rows(120) if label == "money"]
    before, after = (
        [answer.label for answer in bundle.predict(texts)].count("money")
        for bundle in (tunesmith.load(finished.bundle.path), tunesmith.load(run.bundle.path))
    )
    assert after >= 0.8 * before > 20, (before, after, len(texts))


def test_the_parent_is_a_candidate(finished: Run, train: Train, more: Path) -> None:
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(more))
    figures = {candidate.name: candidate.metrics for candidate in run.report.candidates}
    names = [*figures]
    assert names[2] == "base bundle, unchanged"
    # The parent's answers come from its weights as saved, and may differ in the last digits.
    parent, trained = (
        {
            (name, part): getattr(figure, part)
            for name, figure in figures[one].values.items()
            for part in ("value", "low", "high")
        }
        for one in ("base bundle, unchanged", "fine-tuned model")
    )
    assert parent == pytest.approx(trained, rel=1e-5, abs=1e-6)


def test_the_report_and_the_manifest_tell_of_it(finished: Run, train: Train, more: Path) -> None:
    run = train({"base.id": str(finished.bundle.path)}, source=str(more))
    manifest = open_bundle(run.folder).manifest
    assert manifest.parent == finished.bundle.manifest.digest
    [ancestor] = manifest.lineage or ()
    assert (ancestor.digest, ancestor.name) == (manifest.parent, "topics")
    assert ancestor.fingerprint == finished.bundle.manifest.data["fingerprint"]
    assert manifest.forgetting is not None
    assert manifest.forgetting["num_examples"] == 12
    saved = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    assert saved["forgetting"]["change"] == manifest.forgetting["change"]
    assert saved["base"]["lineage"] == [f"topics ({finished.bundle.version})"]
    html = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "What it kept of its parent" in html
    assert run.as_dict()["forgetting"] == manifest.forgetting


def test_a_chain_of_three(finished: Run, train: Train, more: Path) -> None:
    child = train({"base.id": str(finished.folder), **UNTRAINED}, "child", source=str(more))
    grandchild = train({"base.id": str(child.folder), **UNTRAINED}, "grandchild", source=str(more))
    chain = grandchild.bundle.manifest.chain()
    assert [one.name for one in chain] == ["topics", "more", "more"]
    assert [one.digest for one in chain] == [
        run.bundle.manifest.digest for run in (finished, child, grandchild)
    ]


def test_no_bundle_no_forgetting(finished: Run) -> None:
    assert finished.report.forgetting is None
    assert "forgetting" not in finished.as_dict()
    assert not {"lineage", "forgetting"} & json.loads(finished.bundle.manifest.to_bytes()).keys()


def test_labels_that_the_parent_does_not_have(finished: Run, train: Train, tmp_path: Path) -> None:
    rows = renamed(unseen(90), money="Moneys", login="refund")
    file = write_rows(tmp_path / "other.csv", rows)
    with pytest.raises(DataError) as raised:
        train({"base.id": str(finished.folder)}, source=str(file))
    [fault] = raised.value.faults
    assert fault.what == "labels that the base was not trained for: 'Moneys' (30×), 'refund' (30×)"
    assert fault.where == str(file)
    assert fault.mend == (
        "did you mean 'money' for 'Moneys'? "
        "--extend-labels adds them; --new-labels begins with a new head"
    )


def test_labels_are_added(finished: Run, train: Train, notes: Notes, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "refunds.csv", renamed(unseen(90), money="refund"))
    settings = {"base.id": str(finished.folder), "base.labels": "extend"}
    run = train({**settings, **UNTRAINED}, source=str(file))
    assert run.bundle.task.labels == (*LABELS, "refund")
    assert "labels that are added: 'refund'" in notes.said
    forgetting = run.report.forgetting
    assert forgetting is not None
    assert forgetting.before["accuracy"].value == finished.metrics["accuracy"].value
    assert "refund" not in {label.label for label in forgetting.labels}


def test_the_rows_of_an_added_label_stand_beside_the_old_ones(finished: Run) -> None:
    task = TextClassification((Field("text"),), (*LABELS, "refund"))
    features = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
    targets = np.arange(40) % 4
    kept = inherited_head(Parent(finished.bundle, "keep"), finished.bundle.task, features, targets)
    more = inherited_head(Parent(finished.bundle, "extend"), task, features, targets)
    assert kept is not None
    assert more is not None
    assert (len(kept[1]), len(more[1])) == (3, 4)
    for old, new in zip(kept, more, strict=True):
        assert np.array_equal(old.numpy(), new[:3].numpy())
    assert inherited_head(Parent(finished.bundle, "new"), task, features, targets) is None
    assert inherited_head(None, task, features, targets) is None


def test_a_new_head(finished: Run, train: Train, notes: Notes, tmp_path: Path) -> None:
    settings = {"base.id": str(finished.folder), "base.labels": "new", **UNTRAINED}
    some = write_rows(tmp_path / "some.csv", renamed(unseen(90), money="refund"))
    run = train(settings, "some", source=str(some))
    assert run.bundle.task.labels == ("login", "parcel", "refund")
    forgetting = run.report.forgetting
    assert forgetting is not None
    assert (forgetting.before.num_examples, forgetting.num_left_out) == (8, 4)
    assert forgetting.sentence().startswith("on 8 of the 12 test rows of its parent: ")
    [warned] = notes.warned
    assert "the new model has no label 'money', which its base had" in warned
    names = {"money": "a", "login": "b", "parcel": "c"}
    none = write_rows(tmp_path / "none.csv", renamed(unseen(90), **names))
    assert train(settings, "none", source=str(none)).report.forgetting is None
    assert any("none is left whose label the new model has" in text for text in notes.warned)


def test_columns_of_another_name(finished: Run, train: Train, notes: Notes, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "body.csv", unseen(60), "body,team")
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file))
    assert [field.name for field in run.bundle.task.fields] == ["body"]
    assert "'body' is read as the parent's 'text'" in notes.said
    assert run.report.forgetting is not None


def test_the_parents_columns_are_chosen_where_they_are_there(
    finished: Run, train: Train, tmp_path: Path
) -> None:
    rows = [(f"a long note about it {n}", text, "yes", label) for n, (text, label) in
            enumerate(unseen(60))]  # fmt: skip
    file = write_rows(tmp_path / "wide.csv", rows, "note,text,label,topic")
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file))
    assert run.bundle.manifest.data["text"] == ["text"]
    assert run.bundle.manifest.data["target"] == "topic"


def test_every_way_not_to_fit_is_said_at_once(finished: Run, train: Train, tmp_path: Path) -> None:
    rows = [(text, text, f"{label}|money" if label != "money" else label)
            for text, label in unseen(60)]  # fmt: skip
    file = write_rows(tmp_path / "pairs.csv", rows, "question,answer,topic")
    chosen = {"text": ["question", "answer"], "source": str(file), "label_separator": "|"}
    with pytest.raises(DataError) as raised:
        train({"base.id": str(finished.folder)}, **chosen)
    fields, kind = raised.value.faults
    assert fields.what == "2 texts a row are named, and the base was trained on one text a row"
    assert "--text" in fields.mend
    assert kind.what == "the rows have several labels each, and the base was trained for one"
    assert "--new-labels" in kind.mend
    run = train({"base.id": str(finished.folder), "base.labels": "new"}, **chosen)
    assert run.report.forgetting is None


def test_one_label_a_row_on_a_parent_for_several(
    several_bundle: Bundle, train: Train, more: Path, notes: Notes
) -> None:
    with pytest.raises(DataError, match=r"--set data\.multi_label=true"):
        train({"base.id": str(several_bundle.path)}, source=str(more), target="topic")
    run = train(
        {"base.id": str(several_bundle.path)},
        source=str(more), target="topic", multi_label=True, replay=0.2,
    )  # fmt: skip
    assert run.bundle.task.name == "multi-label-classification"
    assert run.report.forgetting is not None
    assert run.report.forgetting.num_replayed == 14
    assert run.report.forgetting.metric == "macro_f1"


def test_old_rows_are_replayed(finished: Run, train: Train, more: Path, notes: Notes) -> None:
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(more), replay=0.25)
    [said] = [text for text in notes.said if "replayed" in text]
    assert said == ("18 of 96 old rows are replayed, beside 72 new ones: the base's training rows")
    assert run.report.split_sizes == {"train": 90, "validation": 9, "test": 9}
    assert run.bundle.manifest.data["replay"]["rows"] == 18
    assert run.report.forgetting is not None
    assert run.report.forgetting.num_replayed == 18
    kept = read_rows(run.folder / "rows" / "train.parquet", ["text"], "topic")
    old = read_rows(finished.folder / "rows" / "train.parquet", ["text"], "topic")
    assert len(overlap(old, kept)) == 18
    assert not overlap(old, run.bundle.held_out() or old)
    labels = [kept.targets[row - 1] for _, row in overlap(old, kept)] if kept.targets else []
    assert {labels.count(label) for label in LABELS} == {6}
    again = train({"base.id": str(finished.folder), **UNTRAINED}, "again", source=str(more),
                  replay=0.25)  # fmt: skip
    assert again.bundle.manifest.data["replay"] == run.bundle.manifest.data["replay"]


def test_more_rows_than_there_are(
    finished: Run, train: Train, notes: Notes, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "many.csv", unseen(300))
    train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file), replay=0.9)
    assert any("96 of 96 old rows are replayed (216 were asked for)" in text for text in notes.said)


def test_rows_of_the_new_test_are_not_replayed(
    finished: Run, train: Train, notes: Notes, tmp_path: Path
) -> None:
    known = read_rows(finished.folder / "rows" / "train.parquet", ["text"], "topic")
    both = list(zip(known.columns[0], known.targets or (), strict=True))
    file = write_rows(tmp_path / "both.csv", [*unseen(60), *both[:60]])  # type: ignore[list-item]
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file), replay=0.2)
    assert not any("that is in the training rows too" in text for text in notes.warned)
    assert run.bundle.manifest.data["replay"]["rows"] <= 36
    warned = [text for text in notes.warned if "that the base bundle was trained on" in text]
    assert [text.split(" rows")[0].split()[-1] for text in warned] == ["validation", "test"]
    assert "--test FILE names rows that are new to it" in warned[-1]


def test_rows_of_a_file_are_replayed(
    finished: Run, train: Train, more: Path, topics: Path, notes: Notes
) -> None:
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(more), replay=0.25,
                replay_from=str(topics))  # fmt: skip
    assert run.bundle.manifest.data["replay"]["source"] == "topics.csv"
    # The file holds the parent's test rows as well: those that are trained on are not judged on.
    forgetting = run.report.forgetting
    assert forgetting is not None
    num_known = forgetting.num_left_out
    assert forgetting.before.num_examples == 12 - num_known
    if num_known:
        [warning] = notes.warned
        assert warning.startswith(f"{num_known} of the 12 test rows that the base bundle keeps")
    for file in run.bundle.path.rglob("*"):
        assert not file.is_file() or str(topics.parent).encode() not in file.read_bytes(), file


def test_a_file_with_other_column_names(
    finished: Run, train: Train, topics: Path, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "body.csv", unseen(60), "body,team")
    run = train({"base.id": str(finished.folder), **UNTRAINED}, source=str(file), replay=0.2,
                replay_from=str(topics))  # fmt: skip
    assert run.bundle.manifest.data["replay"]["rows"] == 10


def test_rows_to_replay_with_labels_that_nobody_knows(
    finished: Run, train: Train, more: Path, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "strange.csv", renamed(unseen(60), money="strange"))
    with pytest.raises(DataError, match="labels that the model does not know: 'strange'") as raised:
        train({"base.id": str(finished.folder)}, source=str(more), replay=0.2,
              replay_from=str(file))  # fmt: skip
    assert str(file) in str(raised.value)


def test_nothing_new_to_replay(finished: Run, train: Train, topics: Path) -> None:
    with pytest.raises(DataError, match="no row to replay whose text is not among the new rows"):
        train({"base.id": str(finished.folder)}, replay=0.2)


@pytest.mark.parametrize("damage", ["gone", "moved", "damaged"])
def test_replay_without_rows(
    parent: Path, train: Train, more: Path, notes: Notes, tmp_path: Path, damage: str
) -> None:
    base = parent
    if damage == "gone":
        shutil.rmtree(parent / "rows")
    elif damage == "moved":
        base = Path(shutil.move(parent / "bundle", tmp_path / "bundle"))
    else:
        (parent / "rows" / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="rows") as raised:
        train({"base.id": str(base)}, source=str(more), replay=0.2)
    if damage != "damaged":
        assert "--replay-from FILE" in str(raised.value)
    assert not (tmp_path / "run").exists()
    notes.warned.clear()
    train({"base.id": str(base), **UNTRAINED}, source=str(more))  # needs them not
    assert ("what changed in the data is not known" in " ".join(notes.warned)) == (
        damage == "damaged"
    )


def test_settings_that_need_a_bundle(train: Train) -> None:
    with pytest.raises(ConfigError) as raised:
        train({"base.labels": "extend"}, replay=0.2)
    assert [fault.where for fault in raised.value.faults] == ["base.labels", "data.replay"]
    assert all("--base" in fault.mend for fault in raised.value.faults)
    with pytest.raises(ConfigError, match="the base has no rows to replay"):
        train(replay=0.1, replay_from="x.csv")


def test_settings_that_a_new_head_does_not_go_with(finished: Run, train: Train) -> None:
    with pytest.raises(ConfigError, match="leave out --replay or --new-labels"):
        train({"base.id": str(finished.folder), "base.labels": "new"}, replay=0.2)
    with pytest.raises(ConfigError, match="trained on mean pooling"):
        train({"base.id": str(finished.folder), "base.pooling": "last"})


@pytest.mark.parametrize("name", ["model/head.safetensors", HELD_OUT])
def test_a_parent_with_a_flipped_byte(parent: Path, train: Train, more: Path, name: str) -> None:
    file = parent / "bundle" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: was changed or damaged"):
        train({"base.id": str(parent)}, source=str(more))


def test_a_parent_without_test_rows(parent: Path, train: Train, more: Path, notes: Notes) -> None:
    assert resealed(parent, without=HELD_OUT).held_out() is None
    run = train({"base.id": str(parent), **UNTRAINED}, source=str(more))
    warning = "the base bundle keeps no test rows: what is forgotten is not measured"
    assert warning in notes.warned
    assert warning in run.report.notes
    assert run.bundle.manifest.forgetting is None
    assert run.bundle.manifest.lineage is not None


def test_a_bundle_without_its_test_rows(train: Train) -> None:
    run = train({"training.method": "probe"}, keep_held_out=False)
    assert run.bundle.held_out() is None
    kept = [file.name for file in (run.bundle.path / "reference").iterdir()]
    assert kept == ["golden.json"]  # of our own texts


def test_a_resumed_run_must_find_the_replayed_rows(
    parent: Path, base: Path, more: Path, tmp_path: Path
) -> None:
    settings = {
        **quick_settings(more, base, tmp_path / "run"),
        **UNTRAINED,
        "base.id": str(parent),
        "data.replay": 0.2,
    }
    recipes.train(config.load(settings=settings))
    shutil.rmtree(tmp_path / "run" / "bundle")  # as if it had been interrupted
    file = parent / "rows" / "train.parquet"
    rows = read_rows(file, ["text"], "topic")
    file.unlink()
    keep_rows(file, rows.take(range(50)), ["text"], "topic")
    with pytest.raises(InputError, match="resumed: replay changed since it was interrupted"):
        recipes.resume(tmp_path / "run")
