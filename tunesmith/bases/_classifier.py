"""A base model with a linear head on its pooled states."""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tunesmith.bases._find import Pooling
from tunesmith.bases._four_bit import compute_as_given
from tunesmith.bases._layers import layers_of
from tunesmith.bases._safety import HEAD_FILE, check_folder
from tunesmith.bases._suffix import split_entering, starting_at
from tunesmith.bases._tokens import TokenBatch
from tunesmith.errors import BaseModelError, BundleError

__all__ = ["DTYPES", "STARTS", "Classifier", "Precision", "load_classifier", "new_classifier"]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16
}  # fmt: skip

STARTS = "cu_seq_lens"
"""What a batch without padding calls the places where its texts begin and end, int32 [n + 1]."""


# transformers turns the tying of weights off for all threads while one of them opens a model; of
# two at once the second would leave it off for good, and later models would read random embeddings.
_OPENING = threading.Lock()


class Classifier(nn.Module):
    """Backbone → pooled states [n, hidden] → linear head → scores [n, labels].

    Pooling and head work in float32 whatever the backbone's precision: they are small, and their
    sums decide.

    Attributes:
        adapter: what `attach_adapter` put on the backbone; None where there is nothing.
    """

    def __init__(self, backbone: nn.Module, pooling: Pooling, hidden_size: int, size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling: Pooling = pooling
        self.head = nn.Linear(hidden_size, size)
        self.adapter: Any = None
        self._checkpoints = False
        self._compiled = False

    @property
    def encoder(self) -> nn.Module:
        """The part of the backbone that reads; all of it but for encoder-decoder models."""
        config: Any = self.backbone.config
        if getattr(config, "is_encoder_decoder", False):
            encoder: nn.Module = self.backbone.get_encoder()  # type: ignore[operator]
            return encoder
        return self.backbone

    @property
    def dropout(self) -> float:
        """The largest share that the base drops where it is in training mode."""
        return max(_dropouts(self.backbone.config).values(), default=0.0)

    def features(self, batch: TokenBatch) -> Tensor:
        """The pooled states of a batch of n examples, float32 [n, hidden].

        Where the batch brings the states that enter one of the layers, as `PrefixCache` gives
        them, only the layers from there on run. A batch of `PackedTokens` has no padding.
        """
        return self._features(batch)

    def forward(self, batch: TokenBatch) -> Tensor:
        """The scores of a batch of n examples, float32 [n, labels]."""
        # Not by way of `features`, which has hooks of its own where weights are sharded.
        scores: Tensor = self.head(self._features(batch))
        return scores

    def _features(self, batch: TokenBatch) -> Tensor:
        batch, start, entering = split_entering(batch)
        encoder = self.encoder
        if entering is not None:
            encoder = starting_at(encoder, layers_of(self), start, entering)
        # Keys and values for further tokens are of no use here, and cost memory.
        told: dict[str, Any] = {"use_cache": False} if _may_keep_keys(type(encoder).forward) else {}
        starts = batch.get(STARTS)
        if starts is not None:
            batch = {name: value for name, value in batch.items() if name != STARTS}
            longest = int(starts.diff().max())
            told |= dict.fromkeys(("cu_seq_lens_q", "cu_seq_lens_k"), starts)
            told |= dict.fromkeys(("max_length_q", "max_length_k"), longest)
            states = encoder(**batch, **told).last_hidden_state
            return pool_packed(states[0], starts, self.pooling)
        states = encoder(**batch, **told).last_hidden_state
        return pool(states, batch.get("attention_mask"), self.pooling)

    def at(self, precision: Precision) -> Classifier:
        """A copy whose backbone computes in `precision`; the model itself where it does so now."""
        if precision == "fp32":
            return self
        other = copy.deepcopy(self)
        # Half a rotary angle's digits are too few to tell far positions apart.
        angles = {k: v for k, v in other.backbone.named_buffers() if k.endswith("inv_freq")}
        other.backbone.to(DTYPES[precision])
        for name, value in angles.items():
            parent, _, own = name.rpartition(".")
            setattr(other.backbone.get_submodule(parent), own, value)
        compute_as_given(other.backbone)
        if self._compiled:
            other.compile_layers()
        return other

    def gradient_checkpointing(self, on: bool) -> None:
        """Whether the layers' inner states are computed again in the backward pass, not kept.

        Less memory for a third more time, and the same gradients (Chen et al. 2016,
        arXiv:1604.06174). Unlike transformers' own switch it works in evaluation mode too, in which
        a base without dropout is trained.

        Raises:
            BaseModelError: the base keeps its layers in no list.
        """
        if on == self._checkpoints:
            return
        for layer in layers_of(self):
            layer.__dict__.pop("forward", None)
            if on:
                again = partial(checkpoint, layer.forward, use_reentrant=False)
                layer.forward = again
        self._checkpoints = on

    def compile_layers(self) -> None:
        """Compiles each layer by itself (`torch.compile`), for any length of text.

        Raises:
            BaseModelError: the base keeps its layers in no list.
        """
        for layer in layers_of(self):
            layer.compile(dynamic=True)
        self._compiled = True

    def freeze_unused(self, *, embeddings: bool) -> None:
        """Excludes from training what the scores do not depend on, and the embeddings if asked."""
        used = {id(parameter) for parameter in self.encoder.parameters()}
        for name, parameter in self.backbone.named_parameters():
            if id(parameter) not in used or name.startswith("pooler."):
                parameter.requires_grad_(False)
        if embeddings:
            table = self.backbone.get_input_embeddings()  # type: ignore[operator]
            for parameter in table.parameters():
                parameter.requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Writes config.json, model.safetensors and the head into `folder`.

        Where an adapter is on the base, the base is written as it is without it: merge it before
        (`merge_adapter`), or write it by itself (`save_adapter`).
        """
        backbone: Any = self.backbone
        if self.adapter is None:
            backbone.save_pretrained(str(folder))
        else:
            backbone.save_pretrained(str(folder), state_dict=self.adapter.base_state(backbone))
        head = {name: value.detach().cpu() for name, value in self.head.state_dict().items()}
        save_file(head, str(folder / HEAD_FILE))


def pool(states: Tensor, mask: Tensor | None, pooling: Pooling) -> Tensor:
    """One vector for each example, float32 [n, hidden], of states [n, length, hidden].

    Args:
        states: the backbone's last states.
        mask: int64 [n, length], 1 where a token is real; None where all are.
        pooling: mean of the real tokens, the first token, or the last real token (filled up on the
            right).
    """
    states = states.float()
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        if mask is None:
            return states[:, -1]
        last = mask.sum(dim=1) - 1
        return states[torch.arange(states.shape[0], device=states.device), last]
    if mask is None:
        return states.mean(dim=1)
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def pool_packed(states: Tensor, starts: Tensor, pooling: Pooling) -> Tensor:
    """`pool` for texts one behind the other, float32 [n, hidden].

    Args:
        states: the backbone's last states, [tokens, hidden].
        starts: int32 [n + 1], where the texts begin and end.
    """
    states = states.float()
    if pooling == "first":
        return states[starts[:-1]]
    if pooling == "last":
        return states[starts[1:] - 1]
    return torch.segment_reduce(states, "mean", lengths=starts.diff().long(), axis=0)


def new_classifier(
    folder: Path,
    pooling: Pooling,
    size: int,
    *,
    dropout: float = 0.0,
    adapter: Path | None = None,
) -> Classifier:
    """A base with a new head of `size` labels, all zeros until it is fitted.

    Args:
        folder: the base.
        dropout: inside the base, in training mode.
        adapter: the folder of an adapter that is merged into the base.

    Raises:
        BaseModelError: the folder's model cannot be opened, weights are missing in it, or the
            adapter does not belong on it.
    """
    backbone = _load_backbone(folder, dropout)
    config: Any = backbone.config
    model = Classifier(backbone, pooling, int(config.get_text_config().hidden_size), size)
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    if adapter is not None:
        from tunesmith.bases._adapter_files import load_adapter
        from tunesmith.bases._adapters import merge_adapter

        load_adapter(model, adapter)
        merge_adapter(model)
    return model.eval()


def load_classifier(
    folder: Path, pooling: Pooling, size: int, *, adapter: Path | None = None
) -> Classifier:
    """The model that `Classifier.save` wrote, with an adapter merged into it where one is given.

    Raises:
        BundleError: the head is missing, or of another size than the task.
        BaseModelError: see `new_classifier`.
    """
    model = new_classifier(folder, pooling, size, adapter=adapter)
    try:
        model.head.load_state_dict(load_file(str(folder / HEAD_FILE)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"the head does not fit the task: {error}", where=str(folder)) from error
    return model


@cache
def _may_keep_keys(forward: Callable[..., Any]) -> bool:
    return "use_cache" in inspect.signature(forward).parameters


def _load_backbone(folder: Path, dropout: float) -> nn.Module:
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    check_folder(folder)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        if dropout:
            config = _with_dropout(config, dropout)
        with _OPENING:
            backbone, loaded = AutoModel.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                attn_implementation=_attention(),
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise BaseModelError(
            f"cannot be opened ({str(error).strip().splitlines()[0][:300]})", where=str(folder)
        ) from error
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise BaseModelError(
            f"lacks {len(missing)} of its weights, which would be random (first: {missing[0]})",
            where=str(folder),
            mend="get the folder again, whole",
        )
    module: nn.Module = backbone
    return module


def _attention() -> str:
    """On processors plain attention: the backward pass of the fused one is 2 to 4 times slower.

    `benchmarks/attention.py` measures it.
    """
    return "sdpa" if torch.cuda.is_available() else "eager"


def _with_dropout(config: Any, dropout: float) -> Any:
    config = copy.deepcopy(config)
    for name in _dropouts(config):
        setattr(config, name, dropout)
    return config


def _dropouts(config: Any) -> dict[str, float]:
    """The shares that a base drops while it is trained, as its family calls them."""
    return {
        name: value
        for name, value in config.to_dict().items()
        if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop"))
    }
