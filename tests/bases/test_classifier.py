"""A base with a head: opened whole or not at all, pooled, scored, copied to other precisions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import FAMILIES, labelled_rows, tiny_model

from tunesmith.bases import (
    Classifier,
    TokenizedDataset,
    extract_features,
    layers_of,
    load_classifier,
    load_tokenizer,
    new_classifier,
    score,
    tokenize,
    train_only,
)
from tunesmith.bases._classifier import pool
from tunesmith.errors import BaseModelError, BundleError


@pytest.fixture
def model(tiny_base: Path) -> Classifier:
    model = new_classifier(tiny_base, "mean", 3)
    torch.nn.init.normal_(model.head.weight)
    return model


@pytest.fixture(scope="module")
def tokens(tiny_base: Path) -> TokenizedDataset:
    inputs = [(text,) for text, _ in labelled_rows(40)] + [("card " * 60,), ("",)]
    return tokenize(load_tokenizer(tiny_base), inputs, 64)


def random_states() -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    lengths = [3, 5, 1]
    states = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(5)[None] < torch.tensor(lengths)[:, None]).long()
    return states, mask, lengths


@pytest.mark.parametrize(
    ("pooling", "of"),
    [
        ("mean", lambda rows: rows.mean(dim=0)),
        ("first", lambda rows: rows[0]),
        ("last", lambda rows: rows[-1]),
    ],
)
def test_pooling_is_what_a_plain_loop_gives(
    pooling: str, of: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    states, mask, lengths = random_states()
    plain = [of(row[:length]) for row, length in zip(states, lengths, strict=True)]
    torch.testing.assert_close(pool(states, mask, pooling), torch.stack(plain))
    torch.testing.assert_close(
        pool(states, None, pooling), torch.stack([of(row) for row in states])
    )


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_what_fills_up_is_not_read(pooling: str) -> None:
    states, mask, _ = random_states()
    noise = torch.where(mask.bool().unsqueeze(-1), states, torch.tensor(1e6))
    assert torch.equal(pool(states, mask, pooling), pool(noise, mask, pooling))


def test_pooling_is_in_float32() -> None:
    states, mask, _ = random_states()
    assert pool(states.bfloat16(), mask, "mean").dtype == torch.float32


def test_a_new_head_gives_zeros(tiny_base: Path, tokens: TokenizedDataset) -> None:
    assert not score(new_classifier(tiny_base, "mean", 4), tokens).any()


def test_scores_do_not_depend_on_batching(model: Classifier, tokens: TokenizedDataset) -> None:
    together = score(model, tokens)
    assert together.shape == (len(tokens), 3)
    with torch.inference_mode():
        alone = torch.cat([model(tokens.batch(np.array([i]))) for i in range(len(tokens))])
        reverse = model(tokens.batch(np.arange(len(tokens))[::-1].copy())).flip(0)
    assert np.abs(together - alone.numpy()).max() < 1e-4
    assert np.abs(together - reverse.numpy()).max() < 1e-4
    assert np.array_equal(together, score(model, tokens))


def test_scores_are_the_head_on_the_features(model: Classifier, tokens: TokenizedDataset) -> None:
    rows: list[int] = []
    features = extract_features(model, tokens, on_rows=rows.append)
    by_hand = features @ model.head.weight.detach().numpy().T + model.head.bias.detach().numpy()
    assert np.abs(by_hand - score(model, tokens)).max() < 1e-4
    assert sum(rows) == len(tokens)


@pytest.mark.parametrize("mode", [True, False])
def test_scoring_leaves_the_mode_as_it_was(
    model: Classifier, tokens: TokenizedDataset, mode: bool
) -> None:
    model.train(mode)
    score(model, tokens)
    assert model.training is model.backbone.training is mode


def test_a_copy_in_bf16_leaves_the_master_alone(
    model: Classifier, tokens: TokenizedDataset
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = model.at("bf16")
    close = score(other, tokens)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert {value.dtype for value in other.backbone.parameters()} == {torch.bfloat16}
    assert other.head.weight.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert np.abs(close - score(model, tokens)).max() < 0.3
    assert model.at("fp32") is model


def test_saved_and_loaded_scores_are_equal(
    model: Classifier, tokens: TokenizedDataset, tmp_path: Path
) -> None:
    model.save(tmp_path)
    loaded = load_classifier(tmp_path, "mean", 3)
    assert np.array_equal(score(model, tokens), score(loaded, tokens))
    with pytest.raises(BundleError, match="head does not fit"):
        load_classifier(tmp_path, "mean", 4)
    (tmp_path / "head.safetensors").unlink()
    with pytest.raises(BundleError, match="head does not fit"):
        load_classifier(tmp_path, "mean", 3)


def test_a_missing_weight_is_refused_rather_than_random(spoilt: Path) -> None:
    weights = load_file(spoilt / "model.safetensors")
    gone = next(name for name in weights if "layer.1" in name and "weight" in name)
    del weights[gone]
    save_file(weights, spoilt / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BaseModelError, match="lacks 1 of its weights") as raised:
        new_classifier(spoilt, "mean", 2)
    assert gone in str(raised.value)


def test_a_weight_of_another_shape_is_refused(spoilt: Path) -> None:
    weights = load_file(spoilt / "model.safetensors")
    name = next(name for name in weights if "layer.1" in name and "query.weight" in name)
    weights[name] = weights[name][:5].contiguous()
    save_file(weights, spoilt / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BaseModelError, match="cannot be opened"):
        new_classifier(spoilt, "mean", 2)


def test_a_missing_pooler_is_not_missed(spoilt: Path) -> None:
    weights = load_file(spoilt / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "pooler" not in name},
        spoilt / "model.safetensors",
        metadata={"format": "pt"},
    )
    assert new_classifier(spoilt, "mean", 2).head.out_features == 2


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"not a model", None])
def test_corrupt_weights_are_refused(spoilt: Path, content: bytes | None) -> None:
    file = spoilt / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    with pytest.raises(BaseModelError, match="cannot be opened"):
        new_classifier(spoilt, "mean", 2)


def test_an_unknown_family_is_refused(spoilt: Path) -> None:
    file = spoilt / "config.json"
    file.write_text(file.read_text().replace('"bert"', '"no-such-family"'))
    with pytest.raises(BaseModelError, match="cannot be opened"):
        new_classifier(spoilt, "mean", 2)


def test_what_is_not_used_is_not_trained(tiny_base: Path, tmp_path: Path) -> None:
    model = new_classifier(tiny_base, "mean", 2)
    model.freeze_unused(embeddings=True)
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert "backbone.embeddings.word_embeddings.weight" in frozen
    assert all("pooler" in name or "word_embeddings" in name for name in frozen)
    both = new_classifier(tiny_model(tmp_path / "t5", "t5"), "mean", 2)
    both.freeze_unused(embeddings=False)
    trained = {name for name, value in both.named_parameters() if value.requires_grad}
    assert trained
    assert not any("decoder" in name for name in trained)


def test_models_opened_by_several_threads_keep_their_weights_tied(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "t5", "t5")
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(lambda _: new_classifier(base, "mean", 2), range(12)))
    models.append(new_classifier(base, "mean", 2))  # what a later model finds
    for model in models:
        backbone: Any = model.backbone
        assert backbone.encoder.embed_tokens.weight is backbone.shared.weight


def test_dropout_is_set_where_asked(tiny_base: Path) -> None:
    def rates(dropout: float) -> set[float]:
        modules = new_classifier(tiny_base, "mean", 2, dropout=dropout).modules()
        return {module.p for module in modules if isinstance(module, torch.nn.Dropout)}

    assert rates(0.25) == {0.25}


def gradients(model: Classifier, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model.zero_grad()
    model(batch).square().sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_the_same_where_states_are_computed_again(
    family: str,
    training: bool,
    model_of: Callable[[str], Classifier],
    tokens_of: Callable[[str], TokenizedDataset],
) -> None:
    model, batch = model_of(family).train(training), tokens_of(family).batch(np.arange(4))
    names = list(model.state_dict())
    plain, runs = gradients(model, batch), []
    model.gradient_checkpointing(True)
    layers_of(model)[0].register_forward_hook(lambda *_: runs.append("forward"))
    inner = next(m for m in layers_of(model)[0].modules() if not list(m.children()))
    inner.register_forward_hook(lambda *_: runs.append("inner"))
    again = gradients(model, batch)
    assert runs.count("inner") == 2, "once more in the backward pass"
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert list(model.state_dict()) == names
    runs.clear()
    with torch.inference_mode():
        model(batch)
    assert runs.count("inner") == 1
    model.gradient_checkpointing(False)
    gradients(model, batch)
    assert runs.count("inner") == 2


def test_states_are_computed_again_on_frozen_embeddings_and_in_copies(
    model: Classifier, tokens: TokenizedDataset
) -> None:
    batch = tokens.batch(np.arange(4))
    train_only(model, "last-k", layers=2)
    plain = gradients(model, batch)
    model.gradient_checkpointing(True)
    again = gradients(model, batch)
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    other = model.at("bf16")
    assert gradients(other, batch).keys() == plain.keys()
    kept = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert all(torch.equal(again[name], kept[name]) for name in kept), "the copy is apart"


def test_a_copy_in_bf16_keeps_its_angles(model_of: Callable[[str], Classifier]) -> None:
    for family in ("llama", "qwen2", "modernbert"):
        model = model_of(family)
        buffers = dict(model.at("bf16").named_buffers())
        angles = [name for name in buffers if name.endswith("inv_freq")]
        assert angles
        for name, value in model.named_buffers():
            assert torch.equal(value, buffers[name]), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_layers_give_the_same(model: Classifier, tokens: TokenizedDataset) -> None:
    plain, names = score(model, tokens), list(model.state_dict())
    model.compile_layers()
    assert list(model.state_dict()) == names
    assert np.abs(score(model, tokens) - plain).max() < 1e-4
    assert layers_of(model.at("bf16"))[0]._compiled_call_impl is not None
