"""Students of a bundle: what they learn from, what becomes of them, and how they go on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.numpy import load_file
from tiny import labelled_rows

from tunesmith import config, recipes, samples
from tunesmith.bundles import Bundle, open_bundle, read_rows
from tunesmith.errors import ConfigError, DataError, Interrupted, OutputError
from tunesmith.optimization import Speed, Tolerances
from tunesmith.recipes import Distillation, Optimized
from tunesmith.recipes._candidates import Candidates
from tunesmith.recipes._contest import Tried, fastest_model
from tunesmith.recipes._distil import Student, teach
from tunesmith.recipes._distil_rows import distil_rows
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._listener import Silent
from tunesmith.runtimes import load

from .conftest import Notes, quick_settings, write_rows

ANY = Tolerances(0.0, 1.0, 1.0, 100.0, 1.0)
Optimize = Callable[..., Optimized]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of four small layers."""
    name, values, kind = tiny.FAMILIES["bert"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiny.FAMILIES, "bert", (name, {**values, "num_hidden_layers": 4}, kind))
        return tiny.tiny_model(tmp_path_factory.mktemp("deep") / "bert")


@pytest.fixture(scope="module")
def taught(
    deep: Path, topics: Path, tmp_path_factory: pytest.TempPathFactory, _one_thread: None
) -> Bundle:
    """A teacher of one label a row."""
    settings = quick_settings(topics, deep, tmp_path_factory.mktemp("taught") / "run")
    changed = {"training.epochs": 4, "data.validation_fraction": 0.2, "data.test_fraction": 0.2}
    return recipes.train(config.load(settings={**settings, **changed})).bundle


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is the only runtime, and students are the faster ones; both are tested elsewhere."""
    monkeypatch.setattr("tunesmith.recipes._contest.build_candidates", lambda *_: Candidates())

    def measured(runtimes: dict[str, Any], *_: Any, **__: Any) -> dict[str, Speed]:
        return {name: speed(float(1 + place)) for place, name in enumerate(runtimes)}

    monkeypatch.setattr("tunesmith.recipes._contest.measure_speed", measured)


def speed(times: float, rounds: int = 3) -> Speed:
    """Of a runtime that is so many times as fast as one that takes 10 ms."""
    return Speed(10 / times, 12 / times, 100 * times, ((10 / times, 100 * times),) * rounds)


@pytest.fixture
def distil(quick: None, taught: Bundle, tmp_path: Path) -> Optimize:
    """Optimises `taught` with students of the sizes given."""

    def run(*layers: int, name: str = "new", bundle: Bundle | None = None, **given: Any) -> Any:
        wanted = {key: given.pop(key) for key in ("data", "min_agreement") if key in given}
        return recipes.optimize(
            bundle or taught,
            output=tmp_path / name,
            distil=Distillation(layers, **{"min_agreement": 0.0, **wanted}),
            **{"tolerances": ANY, "rounds": 1, **given},
        )

    return run


# What they learn from


def texts_of(*parts: Any) -> set[str]:
    return {str(text) for part in parts for text in part.columns[0]}


def test_students_learn_from_what_the_run_kept(taught: Bundle, notes: Notes) -> None:
    held_out = taught.held_out()
    assert held_out is not None
    rows = distil_rows(taught, None, [held_out], 0, notes)
    folder = taught.path.parent / "rows"
    train, validation = (
        read_rows(folder / f"{name}.parquet", ["text"], "topic") for name in ("train", "validation")
    )
    assert texts_of(rows.train) == texts_of(train)
    assert texts_of(rows.validation) == texts_of(validation)
    assert not len(rows.unlabelled)
    assert not rows.seen_by_teacher
    assert rows.facts == {"train": len(train), "validation": len(validation)}
    assert f"students learn from {len(train)} rows" in notes.said[-1]


def test_no_student_has_seen_what_it_is_judged_on(
    taught: Bundle, tmp_path: Path, notes: Notes
) -> None:
    held_out = taught.held_out()
    assert held_out is not None
    known = read_rows(taught.path.parent / "rows" / "train.parquet", ["text"], "topic")
    tested = [(str(text).upper(), "login") for text in held_out.columns[0]]
    file = write_rows(tmp_path / "more.csv", [*tested, *labelled_rows(9, seed=7)])
    judged = [held_out, known.take([0, 1])]
    rows = distil_rows(taught, file, judged, 0, notes)
    assert not texts_of(rows.train) & texts_of(*judged)
    assert len(rows.train) == len(known) - 2 + 9
    assert any("are not learned from" in text for text in notes.said)
    parts = [texts_of(rows.train), texts_of(rows.validation), texts_of(rows.unlabelled)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_texts_without_labels(taught: Bundle, tmp_path: Path) -> None:
    lines = [(text, "") for text, _ in labelled_rows(12, seed=8)]
    lines += labelled_rows(5, seed=9)
    file = write_rows(tmp_path / "more.csv", [*lines, (" ", "login")])
    rows = distil_rows(taught, file, [], 0, Silent())
    assert len(rows.unlabelled) == 12
    bare = write_rows(tmp_path / "bare.csv", [(text,) for text, _ in lines], header="text")
    assert len(distil_rows(taught, bare, [], 0, Silent()).unlabelled) == 17


def test_a_bundle_that_was_moved_needs_rows(
    taught: Bundle, tmp_path: Path, topics: Path, notes: Notes
) -> None:
    moved = open_bundle(shutil.copytree(taught.path, tmp_path / "elsewhere" / "bundle"))
    with pytest.raises(DataError, match="no labelled rows for a student to learn from"):
        distil_rows(moved, None, [], 0, notes)
    held_out = moved.held_out()
    assert held_out is not None
    rows = distil_rows(moved, topics, [held_out], 0, notes)
    assert len(rows.train) + len(rows.validation) == 120 - len(held_out)
    assert len(rows.validation) == 20
    assert rows.seen_by_teacher
    assert any("held out for validation" in text for text in notes.said)


def test_rows_that_are_all_judged_on(taught: Bundle, topics: Path, notes: Notes) -> None:
    rows = dataset_for(taught.task, str(topics), target="topic", drop_missing=True)[0].dataset
    with pytest.raises(DataError, match="0 labelled rows are left for a student"):
        distil_rows(taught, None, [rows], 0, notes)


# What becomes of them


def test_a_student_that_passes_is_a_child_of_its_teacher(distil: Optimize, taught: Bundle) -> None:
    result = distil(2)
    assert result.model == "student-2"
    bundle, teacher = result.bundle, taught.manifest
    manifest = bundle.manifest
    assert manifest.parent == teacher.digest
    assert [one.digest for one in manifest.chain()[:-1]] == [teacher.digest]
    facts = manifest.distillation
    assert facts is not None
    assert (facts["teacher"], facts["layers"], facts["of_layers"]) == (teacher.digest, [1, 4], 4)
    assert facts["parity"]["num_rows"] == teacher.metrics["num_examples"]
    assert manifest.metrics != teacher.metrics
    assert bundle.task.labels == taught.task.labels
    tensors = load_file(bundle.model_path / "model.safetensors")
    assert {name.split(".")[2] for name in tensors if name.startswith("encoder.layer")} == {
        "0", "1",
    }  # fmt: skip
    frozen = load_file(taught.model_path / "model.safetensors")
    table = "embeddings.word_embeddings.weight"
    assert np.array_equal(tensors[table], frozen[table])
    runtime = load(bundle)
    golden = bundle.golden()
    assert golden is not None
    golden.check(runtime.task, runtime.outputs, "it")
    assert "distilled from the bundle" in bundle.manifest.data["notes"][-1]
    assert "distil" in bundle.card()
    assert open_bundle(bundle.path).manifest == manifest


def test_its_figures_are_its_own(distil: Optimize, taught: Bundle) -> None:
    result = distil(3, 1)
    teacher, *students = result.models
    assert [own.name for own in result.models] == ["teacher", "student-3", "student-1"]
    assert [own.num_layers for own in result.models] == [4, 3, 1]
    assert teacher.parity is None
    assert teacher.num_parameters > students[0].num_parameters > students[1].num_parameters
    for own in students:
        assert own.parity is not None
        assert own.parity.change.value == pytest.approx(own.value.value - teacher.value.value)
        assert own.runtime == "torch-fp32"
    assert result.model == "student-1", "the fastest one"
    assert result.as_dict()["models"][2]["parity"]["refused_for"] == []
    assert not list(result.bundle.path.parent.glob("*.partial"))


def test_a_student_learns_what_its_teacher_knows(distil: Optimize) -> None:
    result = distil(2)
    student = result.models[1]
    assert student.parity is not None
    assert student.value.value > 0.6  # chance is a third
    assert student.parity.agreement > 0.6
    history = result.bundle.path / "report" / "report.json"
    assert '"method": "distil"' in history.read_text(encoding="utf-8")


def test_a_student_that_does_not_pass_is_not_written(
    distil: Optimize, taught: Bundle, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: a student that answers the opposite of what it learned."""

    def taught_wrongly(*arguments: Any, **settings: Any) -> Student:
        student = teach(*arguments, **settings)
        with torch.no_grad():
            student.model.classifier.head.weight.neg_()
        return student

    monkeypatch.setattr("tunesmith.recipes._distilled.teach", taught_wrongly)
    result = distil(1, min_agreement=1.0, tolerances=Tolerances(max_drop=0), listener=notes)
    student = result.models[1]
    assert student.parity is not None
    assert student.parity.refused_for
    assert student.runtime is None
    assert result.model == "teacher"
    assert result.bundle.manifest.distillation is None
    assert result.bundle.manifest.metrics == taught.manifest.metrics
    assert any("student-1 is refused: " in text for text in notes.warned)
    assert not list(result.bundle.path.parent.glob("*.partial"))


@pytest.mark.parametrize("layers", [(4,), (0,), (2, 7)])
def test_sizes_that_there_are_not(distil: Optimize, layers: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        distil(*layers)
    assert caught.value.faults[0].where == "--distil-layers"
    assert caught.value.faults[0].mend == "1 to 3"


def test_half_the_layers_are_usual(distil: Optimize) -> None:
    assert distil().models[1].num_layers == 2


def test_several_labels_a_row(
    distil: Optimize, deep: Path, several_csv: Path, tmp_path: Path
) -> None:
    settings = quick_settings(several_csv, deep, tmp_path / "run")
    settings |= {"data.label_separator": "|", "data.split": "stable", "training.epochs": 3}
    teacher = recipes.train(config.load(settings=settings)).bundle
    result = distil(2, bundle=teacher)
    assert result.bundle.task.name == "multi-label-classification"
    assert result.bundle.manifest.distillation is not None
    assert result.models[1].metric == "macro_f1"
    assert load(result.bundle).predict(["where is my parcel delivery"])


def test_pairs_of_texts(distil: Optimize, pair_bundle: Bundle) -> None:
    result = distil(1, bundle=pair_bundle)
    assert [own.num_layers for own in result.models] == [2, 1]
    assert result.bundle.manifest.distillation is not None
    assert load(result.bundle).predict([("where is my parcel", "it is due on monday")])


def test_students_of_a_teacher_that_saw_all_rows_promise_nothing(
    distil: Optimize, deep: Path, topics: Path, tmp_path: Path, notes: Notes
) -> None:
    settings = quick_settings(topics, deep, tmp_path / "run")
    teacher = recipes.train(
        config.load(settings={**settings, "training.refit": "always", "training.epochs": 1})
    ).bundle
    validation = read_rows(tmp_path / "run" / "rows" / "validation.parquet", ["text"], "topic")
    rows = distil_rows(teacher, None, [], 0, notes)
    assert not texts_of(rows.train) & texts_of(validation)
    assert texts_of(rows.validation) == texts_of(validation)
    assert rows.seen_by_teacher
    student = distil(2, bundle=teacher, listener=notes).bundle
    assert "refit_rows" not in student.manifest.data
    assert not {"calibration", "selective", "conformal", "scope"} & set(student.manifest.task)
    assert any("student-2 cannot be calibrated" in text for text in notes.warned)


@pytest.mark.slow
def test_half_of_minilm(tmp_path: Path) -> None:
    source = samples.sample("finance_sentiment")
    settings = {
        "data.source": str(source.path),
        "data.drop_missing": True,
        "data.checks": False,
        "training.method": "probe",
        "training.refit": "never",
        "training.precision": "fp32",
        "evaluation.robustness": False,
        "evaluation.resamples": 100,
        "output": str(tmp_path / "run"),
    }
    teacher = recipes.train(config.load(settings=settings)).bundle
    result = recipes.optimize(
        teacher,
        output=tmp_path / "new",
        tolerances=Tolerances(max_drop=50.0),  # of 43 rows, and after a minute
        distil=Distillation((3,), min_agreement=0.3, budget_s=60.0),
        rounds=3,
    )
    whole, half = result.models
    assert half.parity is not None
    assert half.parity.verified, half.parity.refused_for
    assert (whole.num_layers, half.num_layers) == (6, 3)
    assert whole.speed is not None
    assert half.speed is not None
    # How much faster it is stands in no test; a busy machine may even not tell the two apart.
    assert result.model in ("teacher", "student-3")
    assert result.bundle.manifest.runtimes is not None
    assert result.chosen in result.bundle.manifest.runtimes.order
    assert load(result.bundle).predict([source.example])


# How they go on


class _Stop(Silent):
    """Ctrl-C at some step."""

    def __init__(self, at: int) -> None:
        self._at = at

    def on_step(self, step: int, loss: float, rate: float) -> None:
        if step == self._at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def stopped(distil: Optimize, tmp_path: Path) -> Path:
    with pytest.raises(Interrupted) as caught:
        distil(3, 2, name="stopped", listener=_Stop(20))
    fault = caught.value.faults[0]
    assert fault.where == str(tmp_path / "stopped.partial")
    assert fault.mend == "the same command with --resume goes on"
    assert {path.name for path in tmp_path.iterdir()} == {"stopped.partial"}
    return tmp_path / "stopped.partial"


def test_what_was_stopped_goes_on_to_the_same_student(distil: Optimize, stopped: Path) -> None:
    with pytest.raises(OutputError, match="left from a distillation"):
        distil(3, 2, name="stopped")
    with pytest.raises(OutputError, match="students of other sizes"):
        distil(3, name="stopped", resume=True)
    resumed = distil(3, 2, name="stopped", resume=True)
    whole = distil(3, 2, name="whole")
    assert not stopped.exists()
    assert resumed.model == whole.model
    first, second = (
        load_file(one.bundle.model_path / "model.safetensors") for one in (resumed, whole)
    )
    assert all(np.array_equal(value, second[name]) for name, value in first.items())


def test_a_student_that_was_trained_before_is_not_trained_again(
    distil: Optimize, monkeypatch: pytest.MonkeyPatch, notes: Notes
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tunesmith.recipes._contest.measure_speed", _interrupted)
        with pytest.raises(Interrupted, match="stopped"):
            distil(2)
    distil(2, resume=True, listener=notes)
    assert "the student of 2 layers was trained before" in notes.said


def _interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_there_must_be_something_to_go_on_with(distil: Optimize) -> None:
    with pytest.raises(OutputError, match="no distillation that ends in this bundle was stopped"):
        distil(2, resume=True)


def test_a_budget_makes_fewer_passes(
    quick: None, taught: Bundle, tmp_path: Path, notes: Notes
) -> None:
    result = recipes.optimize(
        taught, output=tmp_path / "new", tolerances=ANY, rounds=1, listener=notes,
        distil=Distillation((2,), budget_s=0.05, min_agreement=0.0),
    )  # fmt: skip
    assert any(", 1 epochs" in text or "time given is over" in text for text in notes.said)
    assert result.models[1].name == "student-2"


# Which model is written


@pytest.fixture
def tried(taught: Bundle) -> Iterator[Callable[..., Any]]:
    """`fastest_model` for measured speeds, by name."""

    def run(speeds: dict[str, Speed | None], latency_ms: float | None = None) -> str:
        class Known:
            listener, rounds, device = Silent(), 1, "cpu"

            class rows:  # noqa: N801
                inputs = (("a text",),)

        Known.latency_ms = latency_ms  # type: ignore[attr-defined]
        known: Any = {
            name: Tried(taught, Candidates(), None, {}, [] if own is None else ["torch-fp32"])  # type: ignore[arg-type]
            for name, own in speeds.items()
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "tunesmith.recipes._contest.measure_speed",
                lambda runtimes, *_, **__: {name: speeds[name] for name in runtimes},
            )
            return fastest_model(known, Known)[0]  # type: ignore[arg-type]

    yield run


def test_the_fastest_model_is_written(tried: Callable[..., str]) -> None:
    one, two, four = speed(1), speed(2), speed(4)
    assert tried({"teacher": one, "student-3": two, "student-1": four}) == "student-1"
    assert tried({"teacher": two, "student-3": one}) == "teacher"
    assert tried({"teacher": one}) == "teacher"


def test_a_student_that_is_not_faster_costs_answers_for_nothing(
    tried: Callable[..., str],
) -> None:
    now_and_then = Speed(9.0, 12.0, 110.0, ((9.0, 110.0), (11.0, 90.0), (9.0, 110.0)))
    assert tried({"teacher": speed(1), "student-3": now_and_then}) == "teacher"


def test_a_student_alone_may_be_fast_enough(tried: Callable[..., str]) -> None:
    assert tried({"teacher": None, "student-3": speed(2)}, latency_ms=6.0) == "student-3"
