"""Int8 with a scale for each token: the same answer in any batch, as fast as one scale for all.

ONNX Runtime's own dynamic quantisation takes one scale for all tokens of a batch, so that a token
with a large value makes those of every text beside it coarser. Here each token has its own (Yao et
al., ZeroQuant, NeurIPS 2022), in operators that ONNX Runtime and OpenVINO both know.

Channels that are large in every token still waste the eight bits of the rest. The largest value of
each channel is found on calibration rows, and part of it moved from the activations into the
weights (SmoothQuant, Xiao et al., ICML 2023). It cancels out exactly, whatever the rows are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.optimization._quantize import Arrays, check_calibration, replace_nodes

__all__ = ["quantize_tokens"]

_BALANCE = 0.5  # how much of a channel's size goes into the weights; the paper's


def quantize_tokens(
    source: Path, file: Path, batches: Sequence[Arrays], *, reduce_range: bool
) -> None:
    """Quantises every product with a weight, but for the head.

    Args:
        batches: the graph's inputs for the calibration rows, each int64 [b, length].
        reduce_range: see `quantize_tensors`.

    Raises:
        DataError: these are too few different rows for ranges to be found on.
    """
    import onnx

    check_calibration(batches)
    model = onnx.load(str(source))
    matrices = {one.name for one in model.graph.initializer if len(one.dims) == 2}
    products: dict[str, list[Any]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices:
            products.setdefault(node.input[0], []).append(node)
    new = _Graph(model, reduce_range)
    largest = _largest(model, list(products), batches)
    done: set[str] = set()
    for node in model.graph.node:
        if node not in products.get(node.input[0] if node.input else "", ()):
            new.nodes.append(node)
        elif node.input[0] not in done:
            # All that read the same activations share their bytes.
            done.add(node.input[0])
            new.add_products(products[node.input[0]], largest[node.input[0]])
    model.graph.initializer.extend(new.constants)
    replace_nodes(model, new.nodes)
    onnx.save(model, str(file))


def _largest(
    model: Any, names: Sequence[str], batches: Sequence[Arrays]
) -> Mapping[str, NDArray[np.float32]]:
    """The largest value of each channel, whatever its sign, of each tensor, over the rows."""
    import onnx
    import onnxruntime as ort

    told = onnx.ModelProto()
    told.CopyFrom(model)
    told.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        told.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = [one.name for one in session.get_inputs()]
    found: dict[str, NDArray[np.float32]] = {}
    for batch in batches:
        values = session.run(list(names), {name: batch[name] for name in given})
        for name, value in zip(names, values, strict=True):
            own = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            found[name] = np.maximum(own, found.get(name, own))
    return found


class _Graph:
    """The new graph's nodes and constants, as they are made."""

    def __init__(self, model: Any, reduce_range: bool) -> None:
        from onnx import numpy_helper

        self._array, self._tensor = numpy_helper.to_array, numpy_helper.from_array
        self._given = {one.name: one for one in model.graph.initializer}
        self._most = 63 if reduce_range else 127
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._constant("tokens_step", np.array(1 / 127, np.float32))
        self._constant("tokens_zero", np.array(128, np.uint8))
        self._constant("tokens_least", np.array(1e-9, np.float32))
        self._constant("tokens_axis", np.array([-1]))

    def add_products(self, products: Sequence[Any], largest: NDArray[np.float32]) -> None:
        """Puts products of bytes in the place of x [.., in] @ weight [in, out], for the same x.

        Args:
            largest: [in], of x over the calibration rows.
        """
        read = products[0].input[0]
        weights = [self._array(self._given[node.input[1]]) for node in products]
        width = _balanced(np.concatenate(weights, axis=1), largest)
        self._add_tokens(read, width)
        for node, weight in zip(products, weights, strict=True):
            output = node.output[0]
            codes, scale = _codes(weight * width[:, None], self._most)
            self._constant(f"{output}_weight", codes)
            self._constant(f"{output}_scale", scale)
            inputs = (f"{read}_codes", f"{output}_weight", "tokens_step", f"{output}_scale")
            self._node(
                "MatMulIntegerToFloat",
                (*inputs, "tokens_zero"),
                f"{output}_parts",
                domain="com.microsoft",
            )
            self._node("Mul", (f"{output}_parts", f"{read}_largest"), output)

    def _add_tokens(self, read: str, width: NDArray[np.float32]) -> None:
        """The activations as bytes, and each token's largest value, that they are parts of."""
        self._constant(f"{read}_inverse", 1 / width)
        self._node("Mul", (read, f"{read}_inverse"), f"{read}_even")
        self._node("Abs", (f"{read}_even",), f"{read}_sizes")
        self._node("ReduceMax", (f"{read}_sizes", "tokens_axis"), f"{read}_most", keepdims=1)
        self._node("Max", (f"{read}_most", "tokens_least"), f"{read}_largest")
        self._node("Div", (f"{read}_even", f"{read}_largest"), f"{read}_shares")
        inputs = (f"{read}_shares", "tokens_step", "tokens_zero")
        self._node("QuantizeLinear", inputs, f"{read}_codes")

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def _constant(self, name: str, value: NDArray[Any]) -> None:
        self.constants.append(self._tensor(np.ascontiguousarray(value), name))


def _balanced(weight: NDArray[np.float32], largest: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each channel of the activations is divided by, [in], with a median of 1.

    Args:
        weight: [in, out], of all products with these activations.
        largest: [in], of the activations.
    """
    own = np.maximum(largest, 1e-6) ** _BALANCE
    width = own / np.maximum(np.abs(weight).max(axis=1), 1e-6) ** (1 - _BALANCE)
    return np.asarray(width / np.median(width), dtype=np.float32)


def _codes(weight: NDArray[np.float32], most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight [in, out] as bytes, and the scale of each of its outputs, [out]."""
    scale = np.maximum(np.abs(weight).max(axis=0) / most, 1e-12).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale
