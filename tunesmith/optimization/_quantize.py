"""The graph in eight bits: four ways to quantise what enters a matrix product.

Weights are quantised symmetrically, per output channel or per block of 32. What differs is the
scale of the activations, and with it whether a text's answer depends on the texts beside it:

* `quantize_tokens` (`_quantize_tokens.py`): a scale for each token, found while it runs. The
  products add up whole numbers, so the answer is the same in any batch.
* `quantize_blocks`: a scale for each 32 values of each token: finer, slower, the same in any batch.
* `quantize_tensors`: one scale for the whole batch, as ONNX Runtime's own dynamic quantisation has
  it. A text's answer then depends on the batch, so that such a graph must be given one at a time.
* `quantize_static`: one scale for all texts, found on calibration rows beforehand (Jacob et al.,
  CVPR 2018): the same in any batch, but for rounding.

The head stays in float32 in all of them: it is small, and its sums decide.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import DataError

__all__ = [
    "quantize_blocks",
    "quantize_embeddings",
    "quantize_static",
    "quantize_tensors",
]

Arrays = Mapping[str, NDArray[np.int64]]

_BLOCK = 32
_LEAST_VOCABULARY = 1000
_LEAST_CALIBRATION = 16


def quantize_tensors(source: Path, file: Path, *, reduce_range: bool) -> None:
    """Int8 with one scale of the activations for all that goes through at once, by ONNX Runtime.

    Args:
        reduce_range: seven bits for the weights, for processors that overflow with eight.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as quantize

    with _quiet():
        quantize(
            str(source),
            str(file),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


def quantize_blocks(source: Path, file: Path) -> None:
    """Int8 in blocks of 32 (MatMulNBits): of the weights, and of each token's values."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    with _quiet():
        # 4: the products are of bytes; 1 would unpack the weights to float32 again.
        quantizer = MatMulNBitsQuantizer(
            onnx.load(str(source)), bits=8, block_size=_BLOCK, is_symmetric=True, accuracy_level=4
        )
        quantizer.process()
        quantizer.model.save_model_to_file(str(file), False)


def quantize_static(
    source: Path, file: Path, batches: Sequence[Arrays], *, reduce_range: bool
) -> None:
    """Int8 with ranges of the activations that were met on calibration rows, as QDQ.

    Args:
        batches: the graph's inputs for the calibration rows, each int64 [b, length].
        reduce_range: see `quantize_tensors`.

    Raises:
        DataError: these are too few different rows for ranges to be found on.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as quantize

    check_calibration(batches)
    with _quiet():
        quantize(
            str(source),
            str(file),
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True},
        )


def replace_nodes(model: Any, nodes: list[Any]) -> None:
    """Gives a graph other nodes, and drops the weights that none of them reads any more."""
    graph = model.graph
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in graph.node for name in node.input}
    unread = [one for one in graph.initializer if one.name not in read]
    for one in unread:
        graph.initializer.remove(one)


def check_calibration(batches: Sequence[Arrays]) -> None:
    """Checks that ranges can be found on these rows.

    Raises:
        DataError: there are fewer than 16 different ones with more than two tokens.
    """
    different = {
        tuple(ids[mask > 0].tolist())
        for batch in batches
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    }
    num_different = sum(len(ids) > 2 for ids in different)
    if num_different < _LEAST_CALIBRATION:
        raise DataError(
            f"{num_different} different texts are too few to find the activations' ranges on",
            mend=f"give at least {_LEAST_CALIBRATION} rows that differ with --data",
        )


def quantize_embeddings(file: Path) -> bool:
    """Puts large tables of embeddings into int8 with a scale for each token, in place.

    Only the rows that a text needs are turned back into float32. Half of a small model is its
    vocabulary.

    Returns:
        Whether there was such a table.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(file))
    graph = model.graph
    tables = {one.name: one for one in graph.initializer}
    nodes: list[Any] = []
    found = False
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or not _is_vocabulary(table, graph):
            nodes.append(node)
            continue
        found = True
        values = numpy_helper.to_array(table)
        scale = np.maximum(np.abs(values).max(axis=1, keepdims=True) / 127, 1e-12)
        codes = np.rint(values / scale).astype(np.int8)
        name, ids, output = table.name, node.input[1], node.output[0]
        graph.initializer.append(numpy_helper.from_array(codes, f"{name}_codes"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        nodes += [
            helper.make_node("Gather", [f"{name}_codes", ids], [f"{output}_codes"]),
            helper.make_node("Gather", [f"{name}_scale", ids], [f"{output}_scale"]),
            helper.make_node("Cast", [f"{output}_codes"], [f"{output}_float"], to=1),
            helper.make_node("Mul", [f"{output}_float", f"{output}_scale"], [output]),
        ]
    if found:
        replace_nodes(model, nodes)
        onnx.save(model, str(file))
    return found


def _is_vocabulary(table: Any, graph: Any) -> bool:
    """Whether a table is in float32, large, and read by nothing but one `Gather`."""
    readers = [node.op_type for node in graph.node if table.name in node.input]
    return (
        table.data_type == 1
        and len(table.dims) == 2
        and table.dims[0] >= _LEAST_VOCABULARY
        and readers == ["Gather"]
    )


class _Reader:
    """Calibration rows as ONNX Runtime asks for them."""

    def __init__(self, batches: Sequence[Arrays]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that the library logs for people who call it by hand."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
