"""ONNX Runtime on the processor: the portable runtime, which needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tunesmith.bases import available_cores
from tunesmith.errors import BundleError
from tunesmith.runtimes._graph_runtime import Graph

__all__ = ["load_graph"]

# Beyond so many tokens at once the memory of a batch is given back after it, not kept for the next.
_MANY_TOKENS = 1024


def load_graph(graph: Path | bytes, where: str, lanes: int = 1) -> Graph:
    """Loads a graph whose calls use as many threads as there are cores for each.

    Args:
        graph: its file, or what that holds.
        where: it lies, for the message.
        lanes: how many calls may go side by side; they share one copy of the weights.

    Raises:
        BundleError: ONNX Runtime cannot load it.
    """
    # All calls share one pool of threads, and each brings its own.
    options = _options(max(1, available_cores() - lanes + 1), alone=lanes == 1)
    try:
        session = ort.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph),
            options,
            providers=["CPUExecutionProvider"],
        )
    # The library raises classes of its own for each status, all below Exception alone.
    except Exception as error:
        raise BundleError(
            f"ONNX Runtime {ort.__version__} cannot load it ({str(error).splitlines()[0][:300]})",
            where=where,
            mend="run `tunesmith optimize` again with the ONNX Runtime that serves",
        ) from error
    # The library keeps the bytes for a fallback to other providers, which there are none of here.
    session.disable_fallback()
    session._model_bytes = None
    names = [one.name for one in session.get_inputs()]
    wanted = [one.name for one in session.get_outputs()]
    shrinking = ort.RunOptions()
    shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(arrays: Mapping[str, NDArray[np.int64]]) -> Mapping[str, NDArray[np.float32]]:
        options = shrinking if arrays["input_ids"].size > _MANY_TOKENS else None
        found = session.run(wanted, {name: arrays[name] for name in names}, options)
        return dict(zip(wanted, found, strict=True))

    return run


def _options(threads: int, *, alone: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # A plan of the memory is kept for each shape that was met, and texts have hundreds of them.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    # A call that has all cores is sooner done where its threads wait for one another in a loop;
    # beyond its end that takes the cores which reading requests and texts needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if alone else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options
