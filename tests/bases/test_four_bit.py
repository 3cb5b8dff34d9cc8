"""QLoRA where a GPU and bitsandbytes are at hand; without them it is refused (test_adapters.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_adapters import spread

from tunesmith.bases import (
    Classifier,
    TokenizedDataset,
    attach_adapter,
    load_classifier,
    merge_adapter,
    save_adapter,
    score,
)
from tunesmith.bases._adapter_targets import find_targets, without_conv1d
from tunesmith.bases._four_bit import check_four_bit, is_four_bit, to_four_bit, weight_of
from tunesmith.errors import ConfigError


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_without_an_nvidia_gpu_it_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match="4-bit needs an NVIDIA GPU") as raised:
        check_four_bit(torch.device(device))
    assert "--method lora" in raised.value.faults[0].mend


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_weights_are_held_in_four_bits(family: str, model_of: Callable[[str], Classifier]) -> None:
    functional = pytest.importorskip("bitsandbytes").functional
    model = model_of(family)
    without_conv1d(model.backbone)
    pattern = find_targets(model).pattern
    before = {n: m.weight.clone() for n, m in model.backbone.named_modules() if is_linear(m)}
    to_four_bit(model.backbone, pattern)
    held = [name for name in before if is_four_bit(model.backbone.get_submodule(name))]
    assert held
    assert not any(name.endswith("DenseReluDense.wo") for name in held), "T5 reads its type"
    for name in held:
        layer = model.backbone.get_submodule(name)
        assert layer.weight.numel() < before[name].numel()
        ids, scales = functional.quantize_4bit(
            before[name].detach(), quant_type="nf4", compress_statistics=True
        )
        assert torch.equal(weight_of(layer), functional.dequantize_4bit(ids, scales))


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["bert", "gpt2", "qwen2", "t5"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_on_a_gpu_it_trains_merges_and_loads(
    family: str,
    model_of: Callable[[str], Classifier],
    tokens_of: Callable[[str], TokenizedDataset],
    tmp_path: Path,
) -> None:
    pytest.importorskip("bitsandbytes")
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    model, tokens = model_of(family).to("cuda"), tokens_of(family)
    attach_adapter(model, "qlora", rank=4)
    batch = {name: value.to("cuda") for name, value in tokens.batch(np.arange(4)).items()}
    model(batch).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.zero_grad()
    spread("qlora", model)
    expected = score(model, tokens)
    assert np.abs(score(model.at("bf16"), tokens) - expected).max() < 0.1 * np.abs(expected).max()
    model.save(tmp_path / "model")
    save_adapter(model, tmp_path / "adapter")
    merge_adapter(model)
    assert np.abs(score(model, tokens) - expected).max() < 1e-4
    loaded = load_classifier(tmp_path / "model", model.pooling, 3, adapter=tmp_path / "adapter")
    assert np.abs(score(loaded, tokens) - expected).max() < 1e-4


def is_linear(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear)
