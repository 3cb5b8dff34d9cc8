"""Adapters as folders in PEFT's format: adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tunesmith.bases._adapter_kinds import config_class
from tunesmith.bases._adapter_targets import put_back_conv1d, without_conv1d
from tunesmith.bases._adapters import (
    NAME,
    Attached,
    adapted_layers,
    adapter_state,
    has_adapter,
    inject,
    unload_adapter,
    without_warnings,
)
from tunesmith.bases._classifier import Classifier
from tunesmith.bases._safety import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_adapter
from tunesmith.errors import BaseModelError

if TYPE_CHECKING:
    from peft import PeftConfig

__all__ = ["load_adapter", "save_adapter"]

_PREFIX = "base_model.model."
_LEFT_OUT = {"auto_mapping", "base_model_name_or_path", "modules_to_save", "revision"}
# What changes more than the layers it is put on, or brings in other libraries.
_REFUSED = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


def save_adapter(model: Classifier, folder: Path, *, base: str = "", base_digest: str = "") -> None:
    """Writes the adapter so that PEFT opens it on the base that `Classifier.save` wrote.

    An adapter that took its start out of the base's weights (PiSSA, OLoRA) is written as a LoRA of
    twice the rank for the untouched base (arXiv:2404.02948, appendix C).

    Args:
        folder: made where it is absent.
        base: what the base is called: a hub id, or a folder relative to `folder`. Of the path of a
            folder elsewhere only the name is written.
        base_digest: sha256 of the base's weights, by which another base is told.
    """
    attached: Attached = model.adapter
    values, state = attached.config.to_dict(), adapter_state(model)
    if attached.start:
        values, state = _as_plain_lora(values, state, attached.start)
    named = Path(base).name if Path(base).expanduser().is_dir() else base
    values |= {"base_model_name_or_path": named or None, "inference_mode": True}
    if attached.conv1d and "fan_in_fan_out" in values:
        values["fan_in_fan_out"] = True
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, sort_keys=True, default=sorted)
    (folder / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
    save_file(state, folder / ADAPTER_WEIGHTS, {"format": "pt", "base_digest": base_digest})


def load_adapter(model: Classifier, folder: Path) -> None:
    """Puts an adapter that `save_adapter` or PEFT wrote on the base, to be trained on or merged.

    Raises:
        BaseModelError: the folder is not safe to open, the kind of adapter is not known, or it was
            made for another base.
    """
    assert not has_adapter(model)
    where = str(folder)
    values = check_adapter(folder)
    config = _read_config(values, where)
    try:
        tensors = load_file(folder / ADAPTER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise BaseModelError(f"cannot be opened ({error})", where=where) from error
    tensors = _as_named_here(tensors, model, values.get("modules_to_save") or ())
    conv1d = without_conv1d(model.backbone)
    try:
        inject(model, config, conv1d)
    except (ValueError, TypeError) as error:
        put_back_conv1d(model.backbone, conv1d)
        raise _other_base(str(error), where) from error
    differing = _difference(tensors, adapter_state(model))
    if differing:
        unload_adapter(model)
        raise _other_base(differing, where)
    _put_in(model, tensors)
    _check_places(model, where)


def _read_config(values: dict[str, Any], where: str) -> PeftConfig:
    kind = str(values.get("peft_type"))
    known = config_class(kind)
    if known is None:
        raise BaseModelError(f"is an adapter of a kind that is not known ({kind})", where=where)
    refused = [name for name in _REFUSED if values.get(name)]
    if values.get("bias", "none") != "none":
        refused.append("bias")
    start = values.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGES_THE_BASE):
        refused.append(f"init_lora_weights={start}")
    if refused:
        raise BaseModelError(
            f"is an adapter that changes more than its layers ({', '.join(refused)})",
            where=where,
            mend="merge it with PEFT into its base, and give the folder that this makes",
        )
    names = {field.name for field in dataclasses.fields(known)} - _LEFT_OUT
    kept = {name: value for name, value in values.items() if name in names}
    kept["inference_mode"] = False
    if start is not None:
        kept["init_lora_weights"] = True
    if "fan_in_fan_out" in kept:
        kept["fan_in_fan_out"] = False
    try:
        return known(**kept)
    except (ValueError, TypeError) as error:
        raise BaseModelError(f"{ADAPTER_CONFIG} cannot be read: {error}", where=where) from error


def _as_named_here(
    tensors: dict[str, Tensor], model: Classifier, modules: Any
) -> dict[str, Tensor]:
    """The adapter's tensors, called as on a base without a head of its own.

    An adapter made on a model with a language head or a classifier calls the base's layers
    `model.layers…` or `bert.encoder…`, and may bring that head; Tunesmith has a head of its own.
    """
    heads = tuple(f"{_PREFIX}{name}." for name in modules)
    inner = f"{_PREFIX}{getattr(model.backbone, 'base_model_prefix', '')}."
    here = {name.partition(".")[0] for name, _ in model.backbone.named_modules()}
    strip = inner.removeprefix(_PREFIX).rstrip(".") not in here
    return {
        _PREFIX + name.removeprefix(inner) if strip and name.startswith(inner) else name: value
        for name, value in tensors.items()
        if not name.startswith(heads)
    }


def _difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> str:
    """What tells an adapter's tensors from those that fit the base; empty where nothing does."""
    strange, lacking = (
        sorted(found.keys() - expected.keys()),
        sorted(expected.keys() - found.keys()),
    )
    if strange:
        return f"it has {strange[0].removeprefix(_PREFIX)}, and the base has no place for it"
    if lacking:
        return f"it lacks {lacking[0].removeprefix(_PREFIX)}"
    for name, value in found.items():
        if value.shape != expected[name].shape:
            own, fits = list(value.shape), list(expected[name].shape)
            return f"{name.removeprefix(_PREFIX)} is {own} in it, and {fits} would fit the base"
    return ""


def _other_base(difference: str, where: str) -> BaseModelError:
    return BaseModelError(
        f"is an adapter for another base ({difference})",
        where=where,
        mend="give the base that it was trained on",
    )


def _put_in(model: Classifier, tensors: dict[str, Tensor]) -> None:
    import peft

    with without_warnings(), torch.no_grad():
        peft.set_peft_model_state_dict(model.adapter.wrapped, tensors)


def _check_places(model: Classifier, where: str) -> None:
    """SHiRA's file says where in its matrices it adds; what lies outside is refused."""
    for name, layer in adapted_layers(model.backbone):
        places = getattr(layer, "shira_indices", {}).get(NAME)
        if places is None:
            continue
        sizes = torch.tensor([[layer.out_features], [layer.in_features]])
        if bool((places < 0).any()) or bool((places.cpu() >= sizes).any()):
            unload_adapter(model)
            raise _other_base(f"it adds outside of {name}", where)


def _as_plain_lora(
    values: dict[str, Any], state: dict[str, Tensor], start: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What was learnt since the start, as a LoRA: B A − B₀ A₀ = [B, B₀] [A; −A₀]."""
    joint = {
        name: torch.cat([value, -start[name]])
        if name.endswith("lora_A.weight")
        else torch.cat([value, start[name]], dim=1)
        for name, value in state.items()
    }
    twice = {"r": 2 * values["r"], "lora_alpha": 2 * values["lora_alpha"]}
    return {**values, **twice, "init_lora_weights": True}, joint
