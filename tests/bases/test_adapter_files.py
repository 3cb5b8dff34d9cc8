"""Adapters on disk: in PEFT's format, apart from the base, safe to open, on the right base only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_adapters import FEW, KINDS, slow_but, spread
from tiny import FAMILIES, tiny_model
from transformers import AutoModel

from tunesmith.bases import (
    Classifier,
    TokenizedDataset,
    attach_adapter,
    find_base,
    has_adapter,
    load_adapter,
    load_classifier,
    new_classifier,
    save_adapter,
    score,
)
from tunesmith.bundles import Bundle, write_bundle
from tunesmith.errors import BaseModelError

ModelOf = Callable[[str], Classifier]
TokensOf = Callable[[str], TokenizedDataset]


@pytest.fixture
def saved(model_of: ModelOf, folder_of: Callable[[str], Path], tmp_path: Path) -> Path:
    """A LoRA on the small BERT, whose folder stands beside it."""
    shutil.copytree(folder_of("bert"), tmp_path / "bert")
    model = model_of("bert")
    attach_adapter(model, "lora", rank=4)
    spread("lora", model)
    digest = find_base(str(tmp_path / "bert")).digest
    save_adapter(model, tmp_path / "adapter", base="../bert", base_digest=digest)
    return tmp_path / "adapter"


def rewrite(folder: Path, **values: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def write_apart(kind: str, model: Classifier, folder: Path) -> None:
    attach_adapter(model, kind, rank=4)
    spread(kind, model)
    model.save(folder / "model")
    save_adapter(model, folder / "adapter")


@pytest.mark.parametrize(("kind", "family"), slow_but(FEW[::4]))
def test_saved_apart_and_loaded_the_scores_are_the_same(
    kind: str, family: str, model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of(family), tokens_of(family)
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    write_apart(kind, model, tmp_path)
    torch.manual_seed(99)
    loaded = load_classifier(tmp_path / "model", model.pooling, 3, adapter=tmp_path / "adapter")
    expected = score(model, tokens)
    limit = 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(score(loaded, tokens) - expected).max() < limit
    assert torch.equal(loaded.head.weight, model.head.weight)
    base = new_classifier(tmp_path / "model", model.pooling, 3).backbone.state_dict()
    limit = 1e-6 if kind in {"pissa", "olora"} else 0
    assert all(float((before[name] - base[name]).abs().max()) <= limit for name in before)


LOADING = """
import sys, warnings; from pathlib import Path; import numpy as np
from tunesmith.bases import load_classifier, load_tokenizer, score, tokenize
root = Path(sys.argv[1])
for folder in sorted(root.iterdir()):
    pooling = (folder / "pooling").read_text()
    model = load_classifier(folder / "model", pooling, 3, adapter=folder / "adapter")
    texts = (folder / "texts").read_text().splitlines()
    tokens = tokenize(load_tokenizer(folder / "tokenizer"), [(text,) for text in texts], 64)
    np.save(folder / "scores.npy", score(model, tokens))
"""


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_scores_for_every_kind_and_family(
    model_of: ModelOf, folder_of: Callable[[str], Path], tokens_of: TokensOf, tmp_path: Path
) -> None:
    from tiny import labelled_rows

    expected = {}
    for family in FAMILIES:
        for kind in KINDS:
            model, folder = model_of(family), tmp_path / f"{family}-{kind}"
            write_apart(kind, model, folder)
            shutil.copytree(folder_of(family), folder / "tokenizer")
            (folder / "pooling").write_text(model.pooling)
            (folder / "texts").write_text("\n".join(text for text, _ in labelled_rows(12)))
            expected[folder] = score(model, tokens_of(family))
    subprocess.run([sys.executable, "-c", LOADING, str(tmp_path)], check=True)
    for folder, scores in expected.items():
        limit = 1e-5 * max(1, np.abs(scores).max())
        assert np.abs(np.load(folder / "scores.npy") - scores).max() < limit, folder.name


@pytest.mark.parametrize(
    ("kind", "family"),
    [("lora", "bert"), ("pissa", "bert"), ("ia3", "gpt2"), ("vera", "t5"), ("oft", "llama")],
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_peft_opens_it(
    kind: str, family: str, model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
) -> None:
    model, tokens = model_of(family), tokens_of(family)
    write_apart(kind, model, tmp_path)
    base = AutoModel.from_pretrained(tmp_path / "model", attn_implementation="eager")
    opened = peft.PeftModel.from_pretrained(base.eval(), str(tmp_path / "adapter"))
    other = Classifier(opened.get_base_model(), model.pooling, model.head.in_features, 3)
    other.head.load_state_dict(model.head.state_dict())
    assert np.abs(score(other.eval(), tokens) - score(model, tokens)).max() < 1e-5


def test_what_peft_wrote_is_loaded(model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path) -> None:
    """As made on a model with a head of another library, which the file brings as well."""
    model, tokens = model_of("bert"), tokens_of("bert")
    attach_adapter(model, "lora", rank=4, targets=("query",))
    spread("lora", model)
    save_adapter(model, tmp_path)
    prefix, weights = "base_model.model.", load_file(tmp_path / "adapter_model.safetensors")
    renamed = {f"{prefix}bert.{name.removeprefix(prefix)}": x for name, x in weights.items()}
    renamed[f"{prefix}classifier.weight"] = torch.zeros(2, 32)
    save_file(renamed, tmp_path / "adapter_model.safetensors")
    rewrite(tmp_path, target_modules=["query"], modules_to_save=["classifier", "score"])
    other = model_of("bert")
    load_adapter(other, tmp_path)
    assert has_adapter(other)
    assert np.abs(score(other, tokens) - score(model, tokens)).max() < 1e-6


def test_it_is_trained_on(saved: Path, model_of: ModelOf, tokens_of: TokensOf) -> None:
    model = model_of("bert")
    load_adapter(model, saved)
    model(tokens_of("bert").batch(np.arange(4))).sum().backward()
    grown = {name for name, p in model.named_parameters() if p.grad is not None}
    assert {"head.weight", "head.bias"} < grown
    assert sum("lora_" in name for name in grown) == len(grown) - 2


def test_no_path_of_this_machine_is_written(
    model_of: ModelOf, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    model, base = model_of("bert"), folder_of("bert")
    attach_adapter(model, "lora", rank=4)
    save_adapter(model, tmp_path, base=str(base))
    text = (tmp_path / "adapter_config.json").read_text()
    assert str(base.parent) not in text
    assert json.loads(text)["base_model_name_or_path"] == "bert"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    save_adapter(model, tmp_path, base="minilm")
    assert '"minilm"' in (tmp_path / "adapter_config.json").read_text()


class TestAsABase:
    def test_it_is_found_with_the_base_that_it_names(self, saved: Path) -> None:
        base = find_base(str(saved))
        plain = find_base(str(saved.parent / "bert"))
        assert base.adapter == saved
        assert base.id == str(saved)
        assert base.path.samefile(plain.path)
        assert base.digest != plain.digest
        assert (base.family, base.pooling) == (plain.family, plain.pooling)
        assert plain.adapter is None

    def test_it_is_merged_into_a_new_classifier(
        self, saved: Path, model_of: ModelOf, tokens_of: TokensOf
    ) -> None:
        base = find_base(str(saved))
        model = new_classifier(base.path, base.pooling, 3, adapter=base.adapter)
        assert not has_adapter(model)
        other = model_of("bert")
        load_adapter(other, saved)
        model.head.load_state_dict(other.head.state_dict())
        tokens = tokens_of("bert")
        assert np.abs(score(model, tokens) - score(other, tokens)).max() < 1e-5

    def test_a_bundle_may_keep_it_apart(
        self, saved: Path, tiny_bundle: Bundle, tmp_path: Path
    ) -> None:
        def write_parts(folder: Path) -> None:
            shutil.copytree(tiny_bundle.model_path, folder / "model")
            shutil.copytree(saved, folder / "adapter")

        manifest = tiny_bundle.manifest
        bundle = write_bundle(tmp_path / "bundle", manifest, write_parts, check=lambda _: None)
        base = find_base(str(bundle.path))
        assert base.adapter == bundle.path / "adapter"
        assert base.parent == base.digest == bundle.manifest.digest
        rewrite(saved, base_model_name_or_path=str(bundle.path))
        with pytest.raises(BaseModelError, match="an adapter on an adapter"):
            find_base(str(saved))

    def test_another_base_of_the_same_shapes_is_told(self, saved: Path) -> None:
        tiny_model(saved.parent / "other", "bert", seed=5)
        rewrite(saved, base_model_name_or_path="../other")
        with pytest.raises(BaseModelError, match="adapter for another base"):
            find_base(str(saved))

    @pytest.mark.parametrize("named", [None, "", 3])
    def test_a_base_must_be_named(self, saved: Path, named: object) -> None:
        rewrite(saved, base_model_name_or_path=named)
        with pytest.raises(BaseModelError, match="names no base") as raised:
            find_base(str(saved))
        assert raised.value.faults[0].mend

    def test_an_adapter_on_itself_is_refused(self, saved: Path) -> None:
        rewrite(saved, base_model_name_or_path=".")
        with pytest.raises(BaseModelError, match="an adapter on an adapter"):
            find_base(str(saved))

    def test_an_adapter_beside_a_model_is_refused(self, saved: Path, spoilt: Path) -> None:
        """transformers would open the model that the adapter names, unchecked."""
        shutil.copytree(saved, spoilt, dirs_exist_ok=True)
        with pytest.raises(BaseModelError, match="beside a model"):
            new_classifier(spoilt, "mean", 2)


class TestWhatIsRefused:
    def test_another_base(self, saved: Path, model_of: ModelOf, tokens_of: TokensOf) -> None:
        for family in ("gpt2", "roberta", "deberta-v2"):
            model = model_of(family)
            before = score(model, tokens_of(family))
            if family == "roberta":
                weights = load_file(saved / "adapter_model.safetensors")
                name = next(iter(weights))
                weights[name] = torch.zeros(4, 48)
                save_file(weights, saved / "adapter_model.safetensors")
            with pytest.raises(BaseModelError, match="is an adapter for another base") as raised:
                load_adapter(model, saved)
            assert "(" in str(raised.value), "what differs is said"
            assert not has_adapter(model)
            assert np.array_equal(score(model, tokens_of(family)), before)

    def test_a_part_that_lacks(self, saved: Path, model_of: ModelOf) -> None:
        weights = load_file(saved / "adapter_model.safetensors")
        del weights[sorted(weights)[3]]
        save_file(weights, saved / "adapter_model.safetensors")
        with pytest.raises(BaseModelError, match="it lacks encoder"):
            load_adapter(model_of("bert"), saved)

    def test_pickles(self, saved: Path, model_of: ModelOf) -> None:
        (saved / "adapter_model.safetensors").rename(saved / "adapter_model.bin")
        for open_it in (
            lambda: load_adapter(model_of("bert"), saved),
            lambda: find_base(str(saved)),
        ):
            with pytest.raises(BaseModelError, match="pickled weights only"):
                open_it()

    def test_code(self, saved: Path) -> None:
        (saved / "custom.py").write_text("")
        with pytest.raises(BaseModelError, match="code of its own"):
            find_base(str(saved))

    def test_an_auto_map(self, saved: Path) -> None:
        rewrite(saved, auto_map={"AutoModel": "custom.Model"})
        with pytest.raises(BaseModelError, match="auto_map"):
            find_base(str(saved))

    def test_corrupt_weights(self, saved: Path, model_of: ModelOf) -> None:
        (saved / "adapter_model.safetensors").write_bytes(b"\x00" * 64)
        for open_it in (
            lambda: load_adapter(model_of("bert"), saved),
            lambda: find_base(str(saved)),
        ):
            with pytest.raises(BaseModelError, match="cannot be opened"):
                open_it()

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"peft_type": "XLORA"}, "not known"),
            ({"peft_type": None}, "not known"),
            ({"megatron_config": {"a": 1}, "megatron_core": "os"}, "megatron_config"),
            ({"bias": "all"}, "bias"),
            ({"init_lora_weights": "pissa"}, "init_lora_weights=pissa"),
            ({"trainable_token_indices": [1]}, "trainable_token_indices"),
            ({"target_modules": ["nowhere"]}, "another base"),
            ({"r": "many"}, "another base"),
        ],
    )
    def test_settings_that_reach_too_far(
        self, saved: Path, model_of: ModelOf, values: dict[str, Any], message: str
    ) -> None:
        rewrite(saved, **values)
        with pytest.raises(BaseModelError, match=message):
            load_adapter(model_of("bert"), saved)

    def test_a_size_that_fits_some_layers_only(
        self, model_of: ModelOf, tokens_of: TokensOf, tmp_path: Path
    ) -> None:
        model = model_of("gpt2")
        before = score(model, tokens_of("gpt2"))
        other = model_of("gpt2")
        attach_adapter(other, "c3a", rank=4)
        save_adapter(other, tmp_path)
        rewrite(tmp_path, block_size_pattern={r"mlp\.c_proj": 48})
        with pytest.raises(BaseModelError, match="is an adapter for another base"):
            load_adapter(model, tmp_path)
        assert not has_adapter(model)
        assert np.array_equal(score(model, tokens_of("gpt2")), before)
        assert type(model.backbone.h[0].attn.c_attn).__name__ == "Conv1D"

    def test_a_folder_without_an_adapter(self, tmp_path: Path, model_of: ModelOf) -> None:
        with pytest.raises(BaseModelError, match="is not an adapter"):
            load_adapter(model_of("bert"), tmp_path)


@pytest.mark.parametrize("place", [10_000, -1])
def test_places_outside_of_a_matrix_are_refused(
    place: int, model_of: ModelOf, tmp_path: Path
) -> None:
    """SHiRA's file says where in a matrix it adds; unchecked, it could write anywhere."""
    model = model_of("bert")
    attach_adapter(model, "shira", rank=4)
    save_adapter(model, tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    name = next(name for name in weights if "indices" in name)
    weights[name][0, 0] = place
    save_file(weights, tmp_path / "adapter_model.safetensors")
    with pytest.raises(BaseModelError, match="it adds outside of encoder"):
        load_adapter(model_of("bert"), tmp_path)
