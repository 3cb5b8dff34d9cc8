"""What a bundle says of the runtimes that it holds beside the model."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["RuntimeFacts", "Runtimes", "TokenizerFacts"]


class TokenizerFacts(BaseModel):
    """What a runtime without transformers must know of the tokenizer, beside its tokenizer.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pad_id: int
    token_types: bool
    split_special_tokens: bool


class RuntimeFacts(BaseModel):
    """One way to run the model, and how it compared with torch in float32.

    Attributes:
        kind: the library.
        precision: of its arithmetic, such as "int8".
        file: the graph, relative to the bundle; None where it runs `model/` itself.
        one_at_a_time: whether each text goes through by itself, for its answer would depend on the
            others in a batch.
        needs: instructions of the processor without which its answers would be others.
        verified: whether it passed the parity gate.
        parity: the gate's figures, and what it was refused for.
        speed: latency and throughput on the machine that measured it.
        size_bytes: of the graph's file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["torch", "onnx", "openvino"]
    precision: str
    file: str | None = None
    one_at_a_time: bool = False
    needs: tuple[str, ...] = ()
    verified: bool
    parity: dict[str, Any]
    speed: dict[str, Any]
    size_bytes: int | None = None

    @property
    def embeds(self) -> bool:
        """Whether its embeddings passed the gate; runtimes from before there were any have none."""
        found = self.parity.get("embeddings")
        return found is not None and not found["refused_for"]


class Runtimes(BaseModel):
    """What `tunesmith optimize` found.

    Attributes:
        source: the digest of the bundle that was optimised; weights and report are the same.
        device: what it was measured for, "cpu" or "gpu".
        machine: where it was measured.
        order: the runtimes that are kept, the one to prefer first.
        kept: name → its facts.
        tried: name → the figures of each candidate that is not kept, or why it could not run.
        reference: the speed of torch in float32.
        tolerances: what the gate asked for.
        tokenizer: for runtimes without transformers; None where its tokenizer needs them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    device: Literal["cpu", "gpu"]
    machine: str
    order: tuple[str, ...]
    kept: dict[str, RuntimeFacts]
    tried: dict[str, dict[str, Any]]
    reference: dict[str, Any]
    tolerances: dict[str, float]
    tokenizer: TokenizerFacts | None = None
