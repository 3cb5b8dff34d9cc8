"""A classifier as an ONNX graph: tokens in, scores and pooled states out."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.bases import Classifier, TokenBatch
from tunesmith.errors import BaseModelError

__all__ = ["export_onnx"]

# Opset 23 is the first with attention as one operator, which ONNX Runtime 1.23 and OpenVINO know.
# Where a family's own code does not fit it (ModernBERT's rotary angles, T5's biases), plain
# products at opset 18 do.
_WAYS = ((23, "sdpa"), (18, "eager"))
_SHAPES = ((1, 1), (1, 7), (3, 5), (5, 2))
_TOLERANCE = 1e-3
_LARGEST_FILE = 2**31 - 2**20
_OUTPUTS = ("scores", "states")


def export_onnx(model: Classifier, file: Path, *, token_types: bool) -> None:
    """Writes the graph, for any number of texts of any length, and tries it on several shapes.

    Args:
        model: in float32, on the processor.
        file: a new file.
        token_types: whether the tokenizer says which of two texts a token is of.

    Raises:
        BaseModelError: the architecture cannot be exported, or the graph gives other scores.
    """
    config: Any = model.backbone.config
    where = f"a model of the family {config.model_type}"
    model.eval()
    for opset, attention in _WAYS:
        try:
            with _attention(model, attention):
                _write(_program(model, opset, token_types), file)
                _compare(model, file, token_types)
        # Each layer of the exporter raises errors of its own, whatever a family's code does.
        except Exception as error:  # noqa: BLE001
            reason = error
        else:
            return
    file.unlink(missing_ok=True)
    raise BaseModelError(f"cannot be exported ({_first_line(reason)})", where=where) from reason


def _program(model: Classifier, opset: int, token_types: bool) -> Any:
    example = _example((2, 6), token_types)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    with _quiet():
        return torch.onnx.export(
            _Outputs(model),
            tuple(example.values()),
            dynamo=True,
            dynamic_shapes=tuple({0: batch, 1: length} for _ in example),
            input_names=list(example),
            output_names=list(_OUTPUTS),
            opset_version=opset,
            verbose=False,
        )


class _Outputs(nn.Module):
    """The classifier with its batch as arguments, as an exporter wants them.

    The pooled states are what the head reads, so that to give them too costs nothing.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        batch: TokenBatch = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            batch["token_type_ids"] = token_type_ids
        states = self.model.features(batch)
        return self.model.head(states), states


def _example(shape: tuple[int, int], token_types: bool) -> dict[str, Tensor]:
    """Token ids that every vocabulary has, the last of several texts shorter than the others."""
    ids = torch.arange(shape[0] * shape[1]).reshape(shape) % 8 + 2
    mask = torch.ones_like(ids)
    if shape[0] > 1 and shape[1] > 1:
        mask[-1, shape[1] // 2 :] = 0
    example = {"input_ids": ids, "attention_mask": mask}
    if token_types:
        example["token_type_ids"] = torch.zeros_like(ids)
    return example


@contextlib.contextmanager
def _attention(model: Classifier, kind: str) -> Iterator[None]:
    """Attention by one call ("sdpa") or by plain products ("eager"), where the family has both."""
    backbone: Any = model.backbone
    before = backbone.config._attn_implementation
    try:
        with contextlib.suppress(ValueError):
            backbone.set_attn_implementation(kind)
        yield
    finally:
        backbone.set_attn_implementation(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own log, which tells of its inner life."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    silence = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(silence),
            contextlib.redirect_stderr(silence),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _write(program: Any, file: Path) -> None:
    if program.model_proto.ByteSize() > _LARGEST_FILE:
        raise ValueError("it is larger than 2 GB, the most that one ONNX file holds")
    with _quiet():
        program.save(str(file))


def _compare(model: Classifier, file: Path, token_types: bool) -> None:
    """Runs the graph on shapes other than that of the export, padded ones among them.

    Raises:
        ValueError: it gives other scores or states than the model.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = {one.name for one in session.get_inputs()}
    for shape in _SHAPES:
        example = _example(shape, token_types)
        given = {name: value.numpy() for name, value in example.items() if name in names}
        found = session.run(list(_OUTPUTS), given)
        with torch.inference_mode():
            wanted = _Outputs(model)(**example)
        for name, own, tensor in zip(_OUTPUTS, found, wanted, strict=True):
            value = tensor.numpy()
            gap = float(np.abs(own - value).max() / max(1.0, np.abs(value).max()))
            if not gap <= _TOLERANCE:
                raise ValueError(
                    f"it gives other {name} then, by {gap:.2g} for {shape[0]} × {shape[1]} tokens"
                )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
