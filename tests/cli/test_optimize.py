"""`tunesmith optimize`, and what `predict` and `info` make of its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tunesmith.bundles import open_bundle
from tunesmith.recipes._candidates import Candidates

from .conftest import Invoke


def test_a_bundle_is_optimised_and_used(invoke: Invoke, small: Path) -> None:
    before = open_bundle(small / "run")
    result = invoke(
        *("optimize", small / "run", "--data", small / "topics.csv", "-o", "new", "--json"),
        *("--keep", "onnx-int8-static", "--min-agreement", "0.5"),
    )
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["chosen"] in found["speed"]
    assert "90 rows are few to compare answers on" in result.err
    bundle = open_bundle("new")
    assert bundle.manifest.runtimes is not None
    assert bundle.manifest.runtimes.source == before.manifest.digest
    assert bundle.manifest.metrics == before.manifest.metrics
    assert "onnx-int8-static" in bundle.manifest.runtimes.kept
    assert open_bundle(small / "run") == before, "the old one stays as it was"
    assert "runtimes" in invoke("info", "new").out
    predicted = invoke(
        *("predict", "new", small / "topics.csv", "-o", "out.csv", "--runtime", "onnx-fp32")
    )
    kept = "onnx-fp32" in bundle.manifest.runtimes.kept
    assert predicted.code == (0 if kept else 2)
    again = invoke("optimize", small / "run", "--data", small / "topics.csv", "-o", "new")
    assert (again.code, "not empty" in again.err) == (2, True)


def test_a_student_is_taught_and_shown(
    invoke: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Torch alone: what else it may run on is built in the test above.
    monkeypatch.setattr("tunesmith.recipes._contest.build_candidates", lambda *_: Candidates())
    result = invoke(
        *("optimize", small / "run", "--distil", "-o", "new"),
        *("--max-drop", "100", "--distil-agreement", "0", "--min-agreement", "0"),
    )
    assert result.code == 0, result.err
    assert "student of 1 of 2 layers (1): " in result.err
    lines = [line.split() for line in result.out.splitlines() if line.strip()]
    rows = {line[0]: line for line in reversed(lines)}  # the table stands before what is said
    assert rows["teacher"][1] == "2"
    assert rows["student-1"][1] == "1"
    written = open_bundle("new").manifest
    kept = "teacher" if written.distillation is None else "student-1"
    assert f"{kept} is kept: " in result.out
    if written.distillation is not None:
        assert written.parent == open_bundle(small / "run").manifest.digest
        assert "1 of 2 layers of its teacher" in invoke("info", "new").out
    assert not Path("new.partial").exists()


def test_candidates_that_there_are_not_are_refused_at_once(invoke: Invoke, small: Path) -> None:
    result = invoke("optimize", small / "run", "-o", "new", "--keep", "onnx-int8-statik")
    assert result.code == 2
    assert "--keep: there is no candidate 'onnx-int8-statik'" in result.err
    assert "did you mean 'onnx-int8-static'?" in result.err
    assert "exporting" not in result.err
    assert list(Path.cwd().iterdir()) == []


def test_students_that_cannot_be_asked_for(invoke: Invoke, small: Path) -> None:
    for flags, fault in (
        (("--distil-layers", "2"), "a student of 2 layers of 2 is not smaller"),
        (("--distil", "--distil-budget", "soon"), "must be a time such as 90s"),
        (("--distil", "--distil-budget", "0s"), "must be above 0"),
        (("--distil-data", "more.csv"), "--distil-data: goes with a distillation"),
        (("--resume",), "--resume: goes with a distillation"),
        (("--distil", "--resume"), "no distillation that ends in this bundle was stopped"),
        (("--distil", "--distil-data", "none.csv"), "none.csv"),
    ):
        result = invoke("optimize", small / "run", "-o", "new", *flags)
        assert result.code == 2, (flags, result.err)
        assert fault in result.err
    assert list(Path.cwd().iterdir()) == []


def test_what_cannot_be_asked_for(invoke: Invoke, small: Path) -> None:
    unknown = invoke(
        "predict", small / "run", small / "topics.csv", "-o", "x.csv", "--runtime", "y"
    )
    assert (unknown.code, "no runtime 'y'" in unknown.err) == (2, True)
    if torch.cuda.is_available():
        return
    gpu = invoke("optimize", small / "run", "--for", "gpu", "-o", "gpu")
    assert (gpu.code, "there is no GPU" in gpu.err) == (2, True)
    assert not Path("gpu").exists()
