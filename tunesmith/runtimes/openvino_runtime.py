"""OpenVINO on the processor, reading the same ONNX files; an extra, `tunesmith[openvino]`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import openvino
from numpy.typing import NDArray

from tunesmith.bases import available_cores
from tunesmith.errors import BundleError
from tunesmith.runtimes._graph_runtime import Graph

__all__ = ["load_graph"]


@cache
def _core() -> openvino.Core:
    """The process's only one, which lives as long as it does.

    A core puts the stack that signals are handled on in the place of the one before, and puts that
    back when it goes. Of two that do not go in the order of their coming, the second puts back a
    stack that is gone, and the next Ctrl-C is a segmentation fault (OpenVINO 2026.4).
    """
    return openvino.Core()


def load_graph(graph: Path | bytes, where: str, lanes: int = 1) -> Graph:
    """Loads a graph whose calls use as many threads as there are cores for each.

    Args:
        graph: its file, or what that holds.
        where: it lies, for the message.
        lanes: how many calls may go side by side; they share one copy of the weights.

    Raises:
        BundleError: OpenVINO cannot load it.
    """
    settings = {
        "PERFORMANCE_HINT": "LATENCY" if lanes == 1 else "THROUGHPUT",
        "INFERENCE_NUM_THREADS": available_cores(),
        "NUM_STREAMS": lanes,
        # Where the processor has bfloat16, OpenVINO would take it without being asked.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        model = _core().read_model(io.BytesIO(graph) if isinstance(graph, bytes) else str(graph))
        compiled = _core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise BundleError(
            f"OpenVINO cannot load it ({str(error).strip().splitlines()[-1][:300]})",
            where=where,
            mend="run `tunesmith optimize` again with the OpenVINO that serves",
        ) from error
    names = [one.any_name for one in compiled.inputs]
    wanted = [one.any_name for one in compiled.outputs]
    requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()
    for _ in range(lanes):
        requests.put(compiled.create_infer_request())

    def run(arrays: Mapping[str, NDArray[np.int64]]) -> Mapping[str, NDArray[np.float32]]:
        request = requests.get()
        try:
            found = request.infer({name: arrays[name] for name in names}, share_inputs=True)
            # The request's own memory is written to by the next call.
            return {name: np.array(found[name], dtype=np.float32) for name in wanted}
        finally:
            requests.put(request)

    return run
