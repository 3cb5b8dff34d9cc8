"""Export, quantise, compare with the reference or a teacher, measure, choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.optimization._embeddings import EmbeddingParity, judge_embeddings
from tunesmith.optimization._parity import Parity, Tolerances, judge_parity
from tunesmith.optimization._quantize import (
    quantize_blocks,
    quantize_embeddings,
    quantize_static,
    quantize_tensors,
)
from tunesmith.optimization._quantize_tokens import quantize_tokens
from tunesmith.optimization._speed import Speed, choose, measure_speed
from tunesmith.optimization._student import StudentParity, StudentTolerances, judge_student

if TYPE_CHECKING:
    from tunesmith.optimization._export import export_onnx

__all__ = [
    "EmbeddingParity",
    "Parity",
    "Speed",
    "StudentParity",
    "StudentTolerances",
    "Tolerances",
    "choose",
    "export_onnx",
    "judge_embeddings",
    "judge_parity",
    "judge_student",
    "measure_speed",
    "quantize_blocks",
    "quantize_embeddings",
    "quantize_static",
    "quantize_tensors",
    "quantize_tokens",
]


def __getattr__(name: str) -> object:
    if name == "export_onnx":  # it brings torch
        from tunesmith.optimization import _export

        return _export.export_onnx
    raise AttributeError(name)
