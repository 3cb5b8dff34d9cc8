"""Texts one behind the other instead of filled up to the longest: no work on padding.

All texts of a batch are one row of tokens, with positions that begin anew at each text, and
attention that stays within it. Where the texts lie goes through a base under transformers' own
names (`cu_seq_lens_q` …), to an attention function that is registered with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.bases._classifier import STARTS, Classifier, Precision
from tunesmith.bases._tokens import TokenBatch, TokenizedDataset
from tunesmith.errors import ConfigError

__all__ = ["PackedTokens", "packed"]

_NAME = "tunesmith_packed"
_TRIAL_ROWS = 6
_TOLERANCES: dict[Precision, float] = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}
# What a family may ask of its attention beyond this, each of which would need its own treatment.
_NOT_KNOWN = ("sliding_window", "softcap", "position_bias", "s_aux", "head_mask")


@dataclass(frozen=True)
class PackedTokens:
    """A `TokenSource` whose batches hold no padding.

    Attributes:
        first_position: the position of a text's first token.
    """

    tokens: TokenizedDataset
    first_position: int = 0

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.tokens.lengths

    def batch(self, indices: NDArray[np.int64]) -> TokenBatch:
        """The examples at `indices` as one row: int64 [1, tokens], and where they begin and end."""
        taken = self.tokens.take(indices)
        starts = np.repeat(taken.offsets[:-1], taken.lengths)
        positions = np.arange(len(taken.ids)) - starts + self.first_position
        arrays: dict[str, NDArray[Any]] = {
            "input_ids": taken.ids[None].astype(np.int64),
            "position_ids": positions[None],
            STARTS: taken.offsets.astype(np.int32),
        }
        if taken.types is not None:
            arrays["token_type_ids"] = taken.types[None].astype(np.int64)
        return {name: torch.from_numpy(value) for name, value in arrays.items()}


@contextmanager
def packed(
    model: Classifier, tokens: TokenizedDataset, precision: Precision
) -> Iterator[PackedTokens]:
    """Within it the model, and copies that are made of it, take batches without padding too.

    Whether they come to the same is tried on a few of the texts, in the precision in which the
    model is to be trained.

    Raises:
        ConfigError: the base does not go with it.
    """
    backbone: Any = model.backbone
    before = backbone.config._attn_implementation
    source = PackedTokens(tokens, _first_position(model))
    ends = [int(tokens.lengths.argmax()), int(tokens.lengths.argmin())]
    indices = np.array([*ends, *range(min(len(tokens), _TRIAL_ROWS))])
    wanted = _features(model, tokens.batch(indices), precision)
    _register()
    try:
        try:
            backbone.set_attn_implementation(_NAME)
            found = _features(model, source.batch(indices), precision)
            error = float((found - wanted).abs().max() / wanted.abs().max())
            reason = "" if error <= _TOLERANCES[precision] else "its texts would see one another"
        except (
            AttributeError, ImportError, IndexError, KeyError, RuntimeError, TypeError, ValueError,
        ) as fault:  # fmt: skip
            # A family's own code may count on rows in a way that cannot be foreseen.
            reason = (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]
        if reason:
            raise ConfigError(
                f"{type(model.encoder).__name__} cannot read texts one behind the other ({reason})",
                where="training.packing",
                mend="--set training.packing=false",
            )
        yield source
    finally:
        backbone.set_attn_implementation(before)


def _first_position(model: Classifier) -> int:
    # RoBERTa's family counts from behind the padding index.
    embeddings: Any = getattr(model.backbone, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):
        return int(embeddings.padding_idx) + 1
    return 0


@torch.inference_mode()
def _features(model: Classifier, batch: TokenBatch, precision: Precision) -> Tensor:
    working = model.at(precision).eval()
    device = model.head.weight.device
    return working.features({name: value.to(device) for name, value in batch.items()})


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(_NAME, _attention)
    # Batches with padding, on which is judged, get the usual mask.
    AttentionMaskInterface.register(_NAME, sdpa_mask)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **given: Any,
) -> tuple[Tensor, None]:
    """Attention within each text; query, key and value are [1, heads, tokens, size].

    On a GPU in half precision torch's kernel for texts of varying length; elsewhere text by text.

    Returns:
        [1, tokens, heads, size].
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    starts = given.get("cu_seq_lens_q")
    if starts is None:
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **given
        )
        return found
    asked = [name for name in _NOT_KNOWN if given.get(name) is not None]
    if asked or given.get("dropout"):
        raise ValueError(f"its attention asks for {', '.join(asked) or 'dropout'}")
    causal, scale = given.get("is_causal"), given.get("scaling")
    causal = bool(getattr(module, "is_causal", True) if causal is None else causal)
    if query.is_cuda and query.dtype != torch.float32:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
        longest, window = given["max_length_q"], (-1, 0 if causal else -1)
        mixed = varlen_attn(
            q, k, v, starts, starts, longest, longest,
            scale=scale, window_size=window, enable_gqa=True,
        )  # fmt: skip
        assert isinstance(mixed, Tensor)
        return mixed.unsqueeze(0), None
    lengths = starts.diff().tolist()
    split = (torch.split(states, lengths, dim=2) for states in (query, key, value))
    texts = zip(*split, strict=True)
    parts = [
        functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, scale=scale, enable_gqa=True
        )
        for q, k, v in texts
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None
