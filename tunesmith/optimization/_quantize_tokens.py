"""Int8 with a scale for each token: the same answer in any batch, at the speed of one scale for all.

ONNX Runtime's own dynamic quantisation takes one scale for all tokens of a batch, so that one token
with a large value makes those of every text beside it coarser. Here each token has its own (Yao et
al., ZeroQuant, NeurIPS 2022), in operators that ONNX Runtime and OpenVINO both know.

Channels that are large for every token, or lie on one side of zero as behind a GELU, still waste
the eight bits of the rest. On calibration rows each channel's middle and width are found, taken off
the activations, and put into the weights and the bias: SmoothQuant (Xiao et al., ICML 2023) with the
shift of Outlier Suppression+ (Wei et al., EMNLP 2023). It cancels out exactly, whatever the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.optimization._quantize import Arrays, check_calibration, replace_nodes

__all__ = ["quantize_tokens"]

Ranges = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

_BALANCE = 0.5  # how much of a channel's width goes into the weights


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
    ranges = _ranges(model, list(products), batches)
    done: set[str] = set()
    for node in model.graph.node:
        if node not in products.get(node.input[0] if node.input else "", ()):
            new.nodes.append(node)
        elif node.input[0] not in done:
            # All that read the same activations share their bytes.
            done.add(node.input[0])
            new.add_products(products[node.input[0]], ranges[node.input[0]])
    model.graph.initializer.extend(new.constants)
    replace_nodes(model, new.nodes)
    onnx.save(model, str(file))


def _ranges(model: Any, names: Sequence[str], batches: Sequence[Arrays]) -> Ranges:
    """The least and the largest value of each channel, of each tensor, over the rows."""
    import onnx
    import onnxruntime as ort

    told = onnx.ModelProto()
    told.CopyFrom(model)
    names = list(dict.fromkeys(names))
    told.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        told.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = [one.name for one in session.get_inputs()]
    found: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    for batch in batches:
        values = session.run(names, {name: batch[name] for name in given})
        for name, value in zip(names, values, strict=True):
            flat = value.reshape(-1, value.shape[-1])
            low, high = flat.min(axis=0), flat.max(axis=0)
            if name in found:
                low, high = np.minimum(low, found[name][0]), np.maximum(high, found[name][1])
            found[name] = (low, high)
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

    def add_products(
        self, products: Sequence[Any], ranges: tuple[NDArray[np.float32], NDArray[np.float32]]
    ) -> None:
        """Puts products of bytes in the place of x [.., in] @ weight [in, out], for the same x."""
        read = products[0].input[0]
        weights = [self._array(self._given[node.input[1]]) for node in products]
        middle, width = _balanced(np.concatenate(weights, axis=1), *ranges)
        self._add_tokens(read, middle, width)
        for node, weight in zip(products, weights, strict=True):
            name, output = f"{node.output[0]}_weight", node.output[0]
            codes, scale = _codes(weight * width[:, None], self._most)
            self._constant(f"{name}_codes", codes)
            self._constant(f"{name}_scale", scale)
            self._constant(f"{name}_middle", middle @ weight)
            inputs = (f"{read}_codes", f"{name}_codes", "tokens_step", f"{name}_scale")
            self._node(
                "MatMulIntegerToFloat", (*inputs, "tokens_zero"), f"{output}_units",
                domain="com.microsoft",
            )  # fmt: skip
            self._node("Mul", (f"{output}_units", f"{read}_largest"), f"{output}_moved")
            self._node("Add", (f"{output}_moved", f"{name}_middle"), output)

    def _add_tokens(
        self, read: str, middle: NDArray[np.float32], width: NDArray[np.float32]
    ) -> None:
        """The activations as bytes, and each token's largest value, that they are parts of."""
        self._constant(f"{read}_middle", middle)
        self._constant(f"{read}_inverse", 1 / width)
        self._node("Sub", (read, f"{read}_middle"), f"{read}_moved")
        self._node("Mul", (f"{read}_moved", f"{read}_inverse"), f"{read}_even")
        self._node("Abs", (f"{read}_even",), f"{read}_sizes")
        self._node("ReduceMax", (f"{read}_sizes", "tokens_axis"), f"{read}_most", keepdims=1)
        self._node("Max", (f"{read}_most", "tokens_least"), f"{read}_largest")
        self._node("Div", (f"{read}_even", f"{read}_largest"), f"{read}_parts")
        inputs = (f"{read}_parts", "tokens_step", "tokens_zero")
        self._node("QuantizeLinear", inputs, f"{read}_codes")

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def _constant(self, name: str, value: NDArray[Any]) -> None:
        self.constants.append(self._tensor(np.ascontiguousarray(value), name))


def _balanced(
    weight: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each channel's middle, and by how much its width is divided, both [in].

    Args:
        weight: [in, out], of all products with these activations.
        low, high: [in], the channel's range over the calibration rows.
    """
    middle, half = (high + low) / 2, np.maximum((high - low) / 2, 1e-6)
    largest = np.maximum(np.abs(weight).max(axis=1), 1e-6)
    width = half**_BALANCE / largest ** (1 - _BALANCE)
    return middle.astype(np.float32), (width / np.median(width)).astype(np.float32)


def _codes(weight: NDArray[np.float32], most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight [in, out] as bytes, and the scale of each of its outputs, [out]."""
    scale = np.maximum(np.abs(weight).max(axis=0) / most, 1e-12).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale
