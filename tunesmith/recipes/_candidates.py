"""The runtimes that a bundle could have on this machine, built in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tunesmith.bases import (
    PlainTokenizer,
    TokenizedDataset,
    choose_device,
    load_classifier,
    load_tokenizer,
    matrix_rates,
    tokenize,
)
from tunesmith.bundles import Bundle, RuntimeFacts, TokenizerFacts
from tunesmith.errors import BaseModelError, DataError
from tunesmith.optimization import (
    export_onnx,
    quantize_blocks,
    quantize_embeddings,
    quantize_static,
    quantize_tensors,
    quantize_tokens,
)
from tunesmith.recipes._listener import Listener
from tunesmith.runtimes import INT8_DOT, Runtime, instructions, is_installed, open_runtime
from tunesmith.types import Inputs

__all__ = ["CANDIDATES", "Candidate", "Candidates", "build_candidates", "tokenizer_facts"]

CANDIDATES = (
    "torch-bf16", "onnx-fp32", "onnx-int8", "onnx-int8-block", "onnx-int8-tensor",
    "onnx-int8-static", "openvino-fp32", "openvino-int8", "openvino-int8-static",
)  # fmt: skip
"""All that are tried, on machines that have what they need."""

_ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "Ǆ ﬁ é é",
    "你好 мир 😀",
    "[CLS] </s> <mask> [PAD]",
    "a" * 300,
    "x " * 600,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime to compare; the fields are those of `RuntimeFacts`."""

    name: str
    kind: Literal["torch", "onnx", "openvino"]
    precision: str
    file: Path | None = None
    one_at_a_time: bool = False
    needs: tuple[str, ...] = ()

    def facts(self, **figures: Any) -> RuntimeFacts:
        """What the manifest says of it; `figures` are `verified`, `parity` and `speed`."""
        return RuntimeFacts(
            kind=self.kind,
            precision=self.precision,
            file=self.file and f"runtimes/{self.file.parent.name}/{self.file.name}",
            one_at_a_time=self.one_at_a_time,
            needs=self.needs,
            size_bytes=self.file.stat().st_size if self.file else None,
            **figures,
        )

    def open(
        self, bundle: Bundle, tokenizer: TokenizerFacts | None, device: Literal["cpu", "gpu"]
    ) -> Runtime:
        """Loads it.

        Raises:
            BundleError: its library cannot load the graph.
        """
        facts = self.facts(verified=False, parity={}, speed={})
        return open_runtime(bundle, self.name, facts, self.file, tokenizer, device=device)


@dataclass(slots=True)
class Candidates:
    """What could be built, and why the rest could not.

    Attributes:
        reasons: name → why it is not there.
        tokenizer: None where the base's tokenizer needs transformers.
    """

    built: list[Candidate] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    tokenizer: TokenizerFacts | None = None


def build_candidates(
    bundle: Bundle,
    folder: Path,
    calibration: Sequence[Inputs],
    device: Literal["cpu", "gpu"],
    listener: Listener,
) -> Candidates:
    """Exports and quantises; what does not work is named with its reason, and the rest goes on.

    Args:
        folder: where the graphs are put, each in a folder of its own.
        calibration: rows that the ranges of activations are found on.
        device: what to build for; on a GPU torch alone runs.
    """
    found = Candidates()
    _add_bf16(found, device)
    if device == "gpu":
        return found
    try:
        found.tokenizer = tokenizer_facts(bundle, calibration)
        listener.stage("exporting")
        base = _graph_file(folder, "onnx-fp32")
        _export(bundle, base, found.tokenizer)
    except BaseModelError as error:
        reason = error.faults[0].what
        found.reasons.update(dict.fromkeys(("onnx", "openvino"), reason))
        return found
    found.built.append(Candidate("onnx-fp32", "onnx", "fp32", base))
    listener.stage("quantising")
    reduce = INT8_DOT not in instructions()
    needs = () if reduce else (INT8_DOT,)
    batches = _arrays(bundle, found.tokenizer, calibration)

    ways: tuple[tuple[str, Callable[[Path, Path], None], bool], ...] = (
        ("onnx-int8", partial(quantize_tokens, batches=batches, reduce_range=reduce), False),
        ("onnx-int8-block", quantize_blocks, False),
        ("onnx-int8-tensor", partial(quantize_tensors, reduce_range=reduce), True),
        ("onnx-int8-static", partial(quantize_static, batches=batches, reduce_range=reduce), False),
    )
    for name, quantize, alone in ways:
        file = _graph_file(folder, name)
        failure = _quantize(base, file, quantize)
        if failure is not None:
            found.reasons[name] = failure
            continue
        own = () if quantize is quantize_blocks else needs
        found.built.append(Candidate(name, "onnx", "int8", file, alone, own))
    _add_openvino(found)
    return found


def tokenizer_facts(bundle: Bundle, inputs: Sequence[Inputs]) -> TokenizerFacts:
    """What a runtime without transformers must know, tried on rows and on odd texts.

    Raises:
        BaseModelError: `tokenizers` alone gives other ids than the base's tokenizer.
    """
    tokenizer = load_tokenizer(bundle.model_path)
    facts = TokenizerFacts(
        pad_id=int(tokenizer.pad_token_id),
        token_types="token_type_ids" in tokenizer.model_input_names,
        split_special_tokens=bool(getattr(tokenizer, "split_special_tokens", False)),
    )
    plain = PlainTokenizer.load(bundle, facts)
    width = len(bundle.task.fields)
    odd = [(text,) * width for text in _ODD_TEXTS]
    if width == 2:
        odd += [(a, b) for a in _ODD_TEXTS for b in ("short", _ODD_TEXTS[-1])]
    tried = [*inputs, *odd]
    length = bundle.manifest.base.max_length
    if not _same(tokenize(tokenizer, tried, length), tokenize(plain, tried, length)):
        raise BaseModelError(
            "its tokenizer does more with a text than its tokenizer.json says",
            where=str(bundle.model_path),
        )
    return facts


def _same(one: TokenizedDataset, other: TokenizedDataset) -> bool:
    if one.types is None or other.types is None:
        same_types = one.types is None and other.types is None
    else:
        same_types = np.array_equal(one.types, other.types)
    return (
        same_types
        and np.array_equal(one.ids, other.ids)
        and np.array_equal(one.offsets, other.offsets)
        and one.pad_id == other.pad_id
    )


def _add_bf16(found: Candidates, device: Literal["cpu", "gpu"]) -> None:
    rates = matrix_rates(choose_device() if device == "gpu" else torch.device("cpu"))
    if rates["bf16"] > rates["fp32"]:
        found.built.append(Candidate("torch-bf16", "torch", "bf16"))
    else:
        gain = rates["bf16"] / rates["fp32"]
        found.reasons["torch-bf16"] = f"bf16 runs at {gain:.2g} × the rate of fp32 here"


def _add_openvino(found: Candidates) -> None:
    """OpenVINO on the graphs that it can run in the precision that they are in."""
    if not is_installed("openvino"):
        found.reasons["openvino"] = "not installed (pip install 'tunesmith[openvino]')"
        return
    for own in list(found.built):
        if own.name in ("onnx-fp32", "onnx-int8", "onnx-int8-static"):
            name = own.name.replace("onnx", "openvino")
            found.built.append(
                Candidate(name, "openvino", own.precision, own.file, needs=own.needs)
            )


def _export(bundle: Bundle, file: Path, tokenizer: TokenizerFacts) -> None:
    task, pooling = bundle.task, bundle.manifest.base.pooling
    model = load_classifier(bundle.model_path, pooling, task.head.size, adapter=bundle.adapter_path)
    export_onnx(model, file, token_types=tokenizer.token_types)


def _quantize(source: Path, file: Path, quantize: Callable[[Path, Path], None]) -> str | None:
    """Quantises; where that does not work, says why."""
    try:
        quantize(source, file)
        quantize_embeddings(file)
    except DataError as error:
        return error.faults[0].what
    # The library raises whatever its many parts raise; a candidate less is no reason to stop.
    except Exception as error:  # noqa: BLE001
        return f"cannot be quantised ({(str(error) or repr(error)).splitlines()[0][:200]})"
    return None


def _graph_file(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    return folder / name / "model.onnx"


def _arrays(bundle: Bundle, facts: TokenizerFacts, inputs: Sequence[Inputs]) -> list[Any]:
    """Each row by itself, so that no padding widens the ranges."""
    plain = PlainTokenizer.load(bundle, facts)
    tokens = tokenize(plain, inputs, bundle.manifest.base.max_length)
    rows = [tokens.arrays(np.array([place])) for place in range(len(tokens))]
    return [{**row, "attention_mask": np.ones_like(row["input_ids"])} for row in rows]
