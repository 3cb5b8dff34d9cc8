"""The adapters of PEFT that Tunesmith knows by name, and the settings that suit a base's layers.

| name | paper |
|---|---|
| lora | Hu et al. 2021, arXiv:2106.09685 |
| dora | Liu et al. 2024, arXiv:2402.09353 |
| rslora | Kalajdzievski 2023, arXiv:2312.03732 |
| qlora | Dettmers et al. 2023, arXiv:2305.14314 |
| pissa | Meng et al. 2024, arXiv:2404.02948 |
| olora | Büyükakyüz 2024, arXiv:2406.01775 |
| gralora | Jung et al. 2025, arXiv:2505.20355 |
| hira | Huang et al. 2025, ICLR |
| delora | Bini et al. 2025, arXiv:2503.18225 |
| vera | Kopiczko et al. 2023, arXiv:2310.11454 |
| randlora | Albert et al. 2025, arXiv:2502.00987 |
| loha | Hyeon-Woo et al. 2021, arXiv:2108.06098 |
| lokr | Yeh et al. 2023, arXiv:2309.14859 |
| miss | Kang and Yin 2024, arXiv:2409.15371 |
| ia3 | Liu et al. 2022, arXiv:2205.05638 |
| glora | Chavan et al. 2023, arXiv:2306.07967 |
| road | Liao and Monz 2024, arXiv:2409.00119 |
| oft | Qiu et al. 2023, arXiv:2306.07280 |
| boft | Liu et al. 2023, arXiv:2311.06243 |
| hra | Yuan et al. 2024, arXiv:2405.17484 |
| psoft | Wu et al. 2025, arXiv:2505.11235 |
| shira | Bhardwaj et al. 2024, arXiv:2406.13175 |
| fourierft | Gao et al. 2024, arXiv:2405.03003 |
| waveft | Bilican et al. 2025, arXiv:2505.12532 |
| c3a | Chen et al. 2024, arXiv:2407.19342 |

All of them start as the base itself: the head was fitted to the base's features, and an adapter
that begins at random would spoil it. All can be merged into the base's weights.

AdaLoRA (arXiv:2303.10512) is left out: what it knows of each rank's use is in no weight, so that no
checkpoint would keep it, and a resumed run would end elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.errors import ConfigError

if TYPE_CHECKING:
    from peft import PeftConfig

__all__ = ["ADAPTERS", "Shape", "adapter_config", "check_kind", "config_class"]

Shape = tuple[int, int]
"""Inputs and outputs of a linear layer."""

_HIGHEST_BLOCK = 64


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of adapter in PEFT.

    Attributes:
        config: name of its class of settings.
        rank, alpha, dropout: what it calls these; empty where it has none.
        rank_factor: its rank as a multiple of LoRA's, for about as much freedom.
        alpha_factor: its scale where none is given, as a multiple of the rank.
        fixed: settings that differ from PEFT's defaults.
    """

    config: str
    rank: str = "r"
    alpha: str = ""
    dropout: str = ""
    rank_factor: int = 1
    alpha_factor: float = 2.0
    fixed: Mapping[str, Any] = field(default_factory=dict)


def _lora(**fixed: Any) -> _Kind:
    return _Kind("LoraConfig", alpha="lora_alpha", dropout="lora_dropout", fixed=fixed)


_KINDS: dict[str, _Kind] = {
    "lora": _lora(),
    "dora": _lora(use_dora=True),
    "rslora": _lora(use_rslora=True),
    "qlora": _lora(),
    "pissa": _lora(init_lora_weights="pissa"),
    "olora": _lora(init_lora_weights="olora"),
    "gralora": _Kind("GraloraConfig", alpha="alpha", dropout="gralora_dropout"),
    "hira": _Kind("HiraConfig", dropout="hira_dropout"),
    "delora": _Kind("DeloraConfig", dropout="module_dropout"),
    "vera": _Kind("VeraConfig", dropout="vera_dropout", rank_factor=16),
    "randlora": _Kind(
        "RandLoraConfig", alpha="randlora_alpha", dropout="randlora_dropout", alpha_factor=20.0
    ),
    "loha": _Kind("LoHaConfig", alpha="alpha", dropout="module_dropout"),
    "lokr": _Kind("LoKrConfig", alpha="alpha", dropout="module_dropout"),
    "miss": _Kind("MissConfig", dropout="miss_dropout"),
    "ia3": _Kind("IA3Config", rank=""),
    "glora": _Kind("GloraConfig"),
    "road": _Kind("RoadConfig", rank=""),
    "oft": _Kind(
        "OFTConfig", rank="", dropout="module_dropout", fixed={"use_cayley_neumann": False}
    ),
    "boft": _Kind("BOFTConfig", rank="", dropout="boft_dropout"),
    "hra": _Kind("HRAConfig"),
    "psoft": _Kind("PsoftConfig", alpha="psoft_alpha", dropout="psoft_dropout"),
    "shira": _Kind("ShiraConfig", rank=""),
    "fourierft": _Kind("FourierFTConfig", rank="", fixed={"init_weights": True}),
    "waveft": _Kind("WaveFTConfig", rank=""),
    "c3a": _Kind("C3AConfig", rank="", fixed={"init_weights": True}),
}

ADAPTERS: tuple[str, ...] = tuple(_KINDS)
"""Names of the adapters, as `--method` takes them."""


def check_kind(kind: str, *, alpha: float | None, dropout: float) -> None:
    """Checks that a kind of adapter has what it is given values for.

    Raises:
        ConfigError: it has no scale, or no dropout.
    """
    known = _KINDS[kind]
    if alpha is not None and not known.alpha:
        raise ConfigError(f"{kind} has no scale", where="adapter.alpha", mend="leave it out")
    if dropout and not known.dropout:
        raise ConfigError(f"{kind} has no dropout", where="adapter.dropout", mend="leave it out")


def config_class(peft_type: str) -> type[PeftConfig] | None:
    """PEFT's settings for what a file calls `peft_type`; None where Tunesmith does not know it."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    names = {kind.config for kind in _KINDS.values()}
    found = {name.value: config for name, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    config = found.get(peft_type)
    return config if config is not None and config.__name__ in names else None


def adapter_config(
    kind: str,
    targets: str,
    feedforward: str,
    shapes: Sequence[Shape],
    *,
    rank: int,
    alpha: float | None,
    dropout: float,
) -> PeftConfig:
    """PEFT's settings of an adapter.

    Args:
        kind: one of `ADAPTERS`.
        targets: matches the full names of the layers that get it.
        feedforward: of these, the ones that IA³ scales at their input.
        shapes: inputs and outputs of each of these layers.
        rank: rank of the update of each matrix; kinds without one get about as much freedom.
        alpha: scale of the update, divided by the rank; None: what suits the kind.
        dropout: on the adapter's input.

    Raises:
        ConfigError: see `check_kind`; or the rank is higher than the layers allow.
    """
    import peft

    check_kind(kind, alpha=alpha, dropout=dropout)
    known = _KINDS[kind]
    limit = min(min(shape) for shape in shapes)
    if rank > limit:
        raise ConfigError(
            f"a rank of {rank} is more than the base's layers have ({limit})",
            where="adapter.rank",
            mend=f"--set adapter.rank={limit} at most",
        )
    values: dict[str, Any] = {**known.fixed, **_fitted(kind, rank, shapes)}
    if known.rank:
        values.setdefault(known.rank, rank * known.rank_factor)
    if known.alpha:
        values[known.alpha] = known.alpha_factor * rank if alpha is None else alpha
    if known.dropout:
        values[known.dropout] = dropout
    if kind == "ia3":
        values["feedforward_modules"] = feedforward
    config: PeftConfig = getattr(peft, known.config)(
        target_modules=targets, task_type="FEATURE_EXTRACTION", **values
    )
    return config


def _fitted(kind: str, rank: int, shapes: Sequence[Shape]) -> dict[str, Any]:
    """Settings that must fit the layers: blocks must divide them, and numbers must not exceed."""
    inputs = math.gcd(*(shape[0] for shape in shapes))
    outputs = math.gcd(*(shape[1] for shape in shapes))
    size = min(num_inputs * num_outputs for num_inputs, num_outputs in shapes)
    match kind:
        case "oft":
            return {"oft_block_size": _block(kind, inputs, 2 * rank)}
        case "boft":
            return {"boft_block_size": _block(kind, inputs, 2 * rank)}
        case "road":
            return {"group_size": _block(kind, outputs, _HIGHEST_BLOCK)}
        case "c3a":
            side = min(math.isqrt(a * b) for a, b in shapes) // rank
            return {"block_size": _block(kind, math.gcd(inputs, outputs), max(side, 2))}
        case "gralora":
            return {"gralora_k": 2 if rank % 2 == 0 and math.gcd(inputs, outputs) % 2 == 0 else 1}
        case "hra":
            # Only an even number of reflections can begin as none at all.
            return {"r": rank + rank % 2}
        case "shira":
            highest = min(a * b // (a + b) for a, b in shapes)
            return {"r": min(rank, highest), "random_seed": torch.initial_seed() % 2**31}
        case "fourierft":
            return {"n_frequency": min(64 * rank, size)}
        case "waveft":
            return {"n_frequency": min(160 * rank, size)}
    return {}


def _block(kind: str, divided: int, highest: int) -> int:
    """The largest block of at most `highest` that divides the sizes of all layers."""
    size = max(n for n in range(1, min(highest, divided) + 1) if divided % n == 0)
    if size == 1:
        raise ConfigError(
            f"{kind} works in blocks, and no block divides the sizes of all of the base's layers",
            where="training.method",
            mend="--method lora, or fewer layers with --set adapter.targets=…",
        )
    return size
