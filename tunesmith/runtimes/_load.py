"""Which of a bundle's runtimes is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from tunesmith.bundles import Bundle, RuntimeFacts, TokenizerFacts, open_bundle
from tunesmith.errors import BundleError, ConfigError, MissingDependencyError
from tunesmith.runtimes._processor import instructions
from tunesmith.runtimes._runtime import Runtime

__all__ = ["REFERENCE", "is_installed", "load", "open_runtime"]

REFERENCE = "torch-fp32"
"""The runtime that every other one is compared with; every bundle has it, where torch is there."""

_MODULES = {"torch": ("torch", "transformers"), "onnx": ("onnxruntime", "tokenizers"),
            "openvino": ("openvino", "tokenizers")}  # fmt: skip


def load(
    bundle: Bundle | Path | str, name: str | None = None, *, allow_unverified: bool = False
) -> Runtime:
    """Verifies a bundle and loads its best runtime that passed the parity gate.

    Args:
        bundle: the bundle, or its folder.
        name: a runtime of the bundle, such as "onnx-int8" or "torch-fp32". None: the best one whose
            library is installed and whose instructions this processor has; else torch in float32.
        allow_unverified: whether a runtime may be loaded that did not pass the gate.

    Raises:
        BundleError: it is no bundle, or was changed after it was written.
        ConfigError: it has no runtime of that name, or one that did not pass.
        MissingDependencyError: what the runtime needs is not installed.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    name = name or _best(opened)
    if name == REFERENCE:
        _require_installed(opened, name, "torch")
        from tunesmith.runtimes.torch_runtime import TorchRuntime

        return TorchRuntime(opened)
    facts = _kept(opened).get(name)
    if facts is None:
        names = ", ".join((*_kept(opened), REFERENCE))
        raise ConfigError(
            f"the bundle has no runtime {name!r}",
            where=str(opened.path),
            mend=f"it has {names}; `tunesmith optimize` makes others",
        )
    if not facts.verified and not allow_unverified:
        reasons = "; ".join(facts.parity.get("refused_for", ())) or "it was not compared"
        raise ConfigError(
            f"the runtime {name!r} did not pass the parity gate ({reasons})",
            where=str(opened.path),
            mend="use another one, or --allow-unverified if you accept other answers",
        )
    found = opened.manifest.runtimes
    listed = facts.file in opened.manifest.files
    graph = partial(opened.read, facts.file) if facts.file and listed else None
    return open_runtime(opened, name, facts, graph, found.tokenizer if found else None)


def _kept(bundle: Bundle) -> dict[str, RuntimeFacts]:
    found = bundle.manifest.runtimes
    return {} if found is None else found.kept


def _best(bundle: Bundle) -> str:
    """The first in the bundle's order that may and can run here."""
    found = bundle.manifest.runtimes
    for name in () if found is None else found.order:
        facts = found.kept.get(name) if found else None
        if name == REFERENCE and not _missing("torch"):
            return name
        if facts is not None and facts.verified and _can_run(facts):
            return name
    return REFERENCE


def _can_run(facts: RuntimeFacts) -> bool:
    return not _missing(facts.kind) and set(facts.needs) <= instructions()


def is_installed(kind: str) -> bool:
    """Whether the libraries of runtimes of a kind ("torch", "onnx", "openvino") are there."""
    return not _missing(kind)


def _missing(kind: str) -> list[str]:
    return [name for name in _MODULES[kind] if importlib.util.find_spec(name) is None]


def _require_installed(bundle: Bundle, name: str, kind: str) -> None:
    missing = _missing(kind)
    if not missing:
        return
    mend = {
        "torch": "run `tunesmith optimize` on the bundle where torch is installed, and serve the "
        "bundle that it writes; or pip install 'tunesmith[train]'",
        "onnx": "pip install 'tunesmith[serve]'",
        "openvino": "pip install 'tunesmith[openvino]'",
    }[kind]
    raise MissingDependencyError(
        f"the runtime {name!r} needs {', '.join(missing)}, which is not installed",
        where=str(bundle.path),
        mend=mend,
    )


def open_runtime(
    bundle: Bundle,
    name: str,
    facts: RuntimeFacts,
    graph: Path | Callable[[], bytes] | None,
    tokenizer: TokenizerFacts | None,
    *,
    device: Literal["cpu", "gpu"] | None = None,
) -> Runtime:
    """Loads a runtime of a bundle from a graph that may lie elsewhere.

    Args:
        graph: its file, or what reads it, verified; None for torch.
        tokenizer: None for torch.
        device: for torch; None: the GPU where there is one.

    Raises:
        BundleError: the graph cannot be loaded.
        MissingDependencyError: its library is not installed.
    """
    _require_installed(bundle, name, facts.kind)
    if facts.kind == "torch":
        from tunesmith.runtimes.torch_runtime import TorchRuntime

        precision: Literal["fp32", "bf16"] = "bf16" if facts.precision == "bf16" else "fp32"
        embeds = facts.embeds or name == REFERENCE
        return TorchRuntime(bundle, precision, device=device, embeds=embeds)
    if graph is None or tokenizer is None:
        raise BundleError(f"the runtime {name!r} is not whole", where=str(bundle.path))
    from tunesmith.runtimes._graph_runtime import Graph, GraphRuntime

    if facts.kind == "onnx":
        from tunesmith.runtimes.onnx_runtime import load_graph
    else:
        from tunesmith.runtimes.openvino_runtime import load_graph
    source = graph
    where = str(graph) if isinstance(graph, Path) else f"{bundle.path}/{facts.file}"

    def open_graph(lanes: int) -> Graph:
        return load_graph(source if isinstance(source, Path) else source(), where, lanes)

    return GraphRuntime(bundle, name, facts, tokenizer, open_graph)
