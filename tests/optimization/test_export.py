"""Every family exports for any number of texts of any length, or says that it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny import FAMILIES, tiny_model

from tunesmith.bases import Classifier, find_base, new_classifier
from tunesmith.errors import BaseModelError
from tunesmith.optimization import export_onnx

CANNOT = {"mamba"}
"""Its recurrence is a loop over the tokens, which an export freezes at one length."""


def fitted(folder: Path) -> Classifier:
    """A classifier whose head is not the zeros that it begins with."""
    model = new_classifier(folder, find_base(str(folder)).pooling, 3)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.head.weight)
    torch.nn.init.normal_(model.head.bias)
    return model


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=[] if name in ("bert", "mamba", "gpt2") else pytest.mark.slow)
        for name in FAMILIES
    ],
)
def test_families(family: str, tmp_path: Path) -> None:
    model = fitted(tiny_model(tmp_path / family, family))
    file = tmp_path / "model.onnx"
    if family in CANNOT:
        with pytest.raises(BaseModelError, match="family mamba"):
            export_onnx(model, file, token_types=False)
        return
    export_onnx(model, file, token_types=False)
    shapes = [
        [dimension.dim_param for dimension in one.type.tensor_type.shape.dim]
        for one in onnx.load(str(file)).graph.input
    ]
    assert all(shape == ["batch", "length"] for shape in shapes)


def test_scores_that_differ_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(tiny_model(tmp_path / "bert"))
    from tunesmith.optimization import _export

    written = _export._write

    def and_spoil(program: object, file: Path) -> None:
        written(program, file)
        graph = onnx.load(str(file))
        bias = next(one for one in graph.graph.initializer if one.name.endswith("head.bias"))
        bias.CopyFrom(onnx.numpy_helper.from_array(np.ones(3, np.float32), bias.name))
        onnx.save(graph, str(file))

    monkeypatch.setattr(_export, "_write", and_spoil)
    with pytest.raises(BaseModelError, match="gives other scores then"):
        export_onnx(model, tmp_path / "model.onnx", token_types=False)
    assert not (tmp_path / "model.onnx").exists()
