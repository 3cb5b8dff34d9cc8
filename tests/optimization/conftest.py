"""A tiny bundle optimised once, with every candidate that could be built kept in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith import recipes
from tunesmith.bundles import Bundle
from tunesmith.optimization import Tolerances

KEPT = ("onnx-fp32", "onnx-int8", "onnx-int8-block", "onnx-int8-tensor", "onnx-int8-static",
        "openvino-fp32", "openvino-int8")  # fmt: skip
ANY = Tolerances(0.0, 1.0, 1.0, 100.0, 1.0)
"""Tolerances that all but noise passes."""


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, and much slower on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.bases._cores.available_cores", lambda: 1)
        patch.setattr("tunesmith.runtimes.onnx_runtime.available_cores", lambda: 1)
        yield


@pytest.fixture(scope="package")
def optimized(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle, labelled_csv: Path
) -> recipes.Optimized:
    pytest.importorskip("openvino")
    return recipes.optimize(
        tiny_bundle,
        output=tmp_path_factory.mktemp("optimized") / "bundle",
        data=labelled_csv,
        keep=KEPT,
        rounds=1,
    )
