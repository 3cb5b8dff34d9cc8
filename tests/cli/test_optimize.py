"""`tunesmith optimize`, and what `predict` and `info` make of its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tunesmith.bundles import open_bundle

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
