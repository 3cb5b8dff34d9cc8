"""Bundles: whole or absent, and any change after writing is refused by name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunesmith.bases import extract_features, load_classifier, load_tokenizer, tokenize
from tunesmith.bundles import Ancestor, Bundle, Manifest, is_bundle, open_bundle, write_bundle
from tunesmith.errors import BundleError, OutputError
from tunesmith.tasks import TextClassification

FILES = [
    "README.md",
    "manifest.json",
    "model/config.json",
    "model/head.safetensors",
    "model/model.safetensors",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "reference/golden.json",
    "reference/held_out.parquet",
    "report/model-card.html",
    "report/report.html",
    "report/report.json",
]


@pytest.fixture
def copy(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may spoil."""
    return shutil.copytree(tiny_bundle.path, tmp_path / "copy")


def names(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_a_bundle_tells_what_it_is(tiny_bundle: Bundle, tiny_base: Path) -> None:
    manifest = tiny_bundle.manifest
    assert isinstance(tiny_bundle.task, TextClassification)
    assert tiny_bundle.task.labels == ("login", "money", "parcel")
    assert (manifest.base.family, manifest.base.pooling) == ("bert", "mean")
    assert manifest.base.id == tiny_base.name  # a path would tell of this machine
    assert manifest.metrics["accuracy"]["value"] > 0.5
    assert set(manifest.files) == set(FILES) - {"manifest.json"}
    assert tiny_bundle.version == manifest.digest[:12]
    assert os.fspath(tiny_bundle) == str(tiny_bundle) == str(tiny_bundle.path)


def test_every_file_is_tested_below(tiny_bundle: Bundle) -> None:
    assert names(tiny_bundle.path) == FILES


def test_the_card_is_read_and_older_bundles_have_none(tiny_bundle: Bundle) -> None:
    assert tiny_bundle.card().startswith("---\n")
    files = {name: own for name, own in tiny_bundle.manifest.files.items() if name != "README.md"}
    older = Bundle(tiny_bundle.path, tiny_bundle.manifest.model_copy(update={"files": files}))
    with pytest.raises(BundleError, match="has no model card"):
        older.card()


def test_a_run_folder_opens_as_its_bundle(tiny_bundle: Bundle) -> None:
    assert open_bundle(tiny_bundle.path.parent) == tiny_bundle == open_bundle(str(tiny_bundle))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_flipped_byte_is_refused_by_name(copy: Path, name: str, place: float) -> None:
    content = bytearray((copy / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match="changed or damaged") as raised:
        open_bundle(copy)
    assert name in str(raised.value)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: is missing"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["modeling.py", "model/tokenizer.py", "model/pytorch_model.bin"])
def test_a_foreign_file_is_named(copy: Path, name: str) -> None:
    (copy / name).write_text("import os")
    with pytest.raises(BundleError, match=f"{name}: does not belong"):
        open_bundle(copy)


def test_every_fault_is_named_at_once(copy: Path) -> None:
    (copy / "model/config.json").unlink()
    (copy / "model/head.safetensors").write_bytes(b"")
    (copy / "notes.txt").touch()
    with pytest.raises(BundleError) as raised:
        open_bundle(copy)
    for name in ("model/config.json", "model/head.safetensors", "notes.txt"):
        assert name in str(raised.value)


def test_links_are_refused_even_to_the_same_content(copy: Path, tmp_path: Path) -> None:
    file = copy / "model/config.json"
    file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleError, match=r"model/config\.json: was changed"):
        open_bundle(copy)


def test_a_linked_folder_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "model").rename(tmp_path / "elsewhere")
    (copy / "model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="model: does not belong"):
        open_bundle(copy)


def test_what_is_no_file_is_not_waited_for(copy: Path) -> None:
    (copy / "model/config.json").unlink()
    os.mkfifo(copy / "model/config.json")
    with pytest.raises(BundleError, match=r"model/config\.json: was changed"):
        open_bundle(copy)


def _later_format(values: dict[str, object]) -> str:
    return json.dumps({**values, "format_version": 99, "new_field": 1})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_later_format, r"has format 99; this Tunesmith reads formats up to 3"),
        (lambda values: json.dumps(values), "changed or damaged"),
        (lambda values: json.dumps(values, ensure_ascii=False, indent=2), "changed or damaged"),
        (lambda values: json.dumps({**values, "name": "x"}, indent=2) + "\n", "changed"),
        (lambda values: json.dumps({**values, "digest": ""}, indent=2) + "\n", "changed"),
        (lambda values: json.dumps([values]), "changed or damaged"),
        (lambda values: json.dumps({**values, "format_version": "1"}), "changed or damaged"),
        (lambda values: "{}", "changed or damaged"),
        (lambda values: "", "changed or damaged"),
    ],
)
def test_a_manifest_that_was_touched_is_refused(
    copy: Path, change: Callable[[dict[str, object]], str], fault: str
) -> None:
    file = copy / "manifest.json"
    file.write_text(change(json.loads(file.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(BundleError, match=fault):
        open_bundle(copy)


def as_format_1(folder: Path, **changes: object) -> None:
    """Rewrites a manifest as Tunesmith 0.1.0 wrote it."""
    file = folder / "manifest.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    assert not {"lineage", "forgetting", "runtimes"} & values.keys(), (
        "only what is known is written"
    )
    values.update(changes, format_version=1, digest="")
    text = json.dumps(values, ensure_ascii=False, indent=2) + "\n"
    values["digest"] = hashlib.sha256(text.encode()).hexdigest()
    file.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def test_a_bundle_of_format_1_is_read(copy: Path) -> None:
    as_format_1(copy)
    bundle = open_bundle(copy)
    assert (bundle.manifest.format_version, bundle.manifest.lineage) == (1, None)
    [itself] = bundle.manifest.chain()
    assert (itself.digest, itself.name) == (bundle.manifest.digest, "topics")


def test_a_parent_of_format_1_is_known_by_its_digest(copy: Path) -> None:
    as_format_1(copy, parent="ab" * 32)
    older, _ = open_bundle(copy).manifest.chain()
    assert older == Ancestor(digest="ab" * 32)


def test_the_chain_is_told_oldest_first(tiny_bundle: Bundle) -> None:
    first = tiny_bundle.manifest
    second = first.model_copy(
        update={"name": "second", "parent": first.digest, "lineage": first.chain()}
    ).sealed({})
    chain = second.chain()
    assert [one.name for one in chain] == ["topics", "second"]
    assert [one.digest for one in chain] == [first.digest, second.digest]
    assert chain[0].fingerprint == first.data["fingerprint"]
    assert json.loads(second.to_bytes())["lineage"][0]["digest"] == first.digest


def test_the_test_rows_are_kept(tiny_bundle: Bundle, labelled_csv: Path) -> None:
    held_out = tiny_bundle.held_out()
    assert held_out is not None
    assert len(held_out) == tiny_bundle.manifest.metrics["num_examples"]
    lines = set(labelled_csv.read_text(encoding="utf-8").splitlines())
    pairs = zip(held_out.columns[0], held_out.targets or (), strict=True)
    assert {f"{text},{label}" for text, label in pairs} <= lines


def test_rows_of_several_labels_and_of_two_texts(
    several_bundle: Bundle, pair_bundle: Bundle
) -> None:
    several, pairs = several_bundle.held_out(), pair_bundle.held_out()
    assert several is not None
    assert pairs is not None
    assert all(isinstance(target, tuple) for target in several.targets or ())
    assert len(pairs.columns) == 2


def test_a_bundle_without_test_rows(tiny_bundle: Bundle, tmp_path: Path) -> None:
    bundle = write_bundle(
        tmp_path / "new", unsealed(tiny_bundle), lambda folder: None, check=lambda whole: None
    )
    assert bundle.held_out() is None


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        open_bundle(tmp_path / "absent")
    with pytest.raises(BundleError, match=r"is not a bundle \(no manifest\.json\)"):
        open_bundle(tmp_path)
    assert not is_bundle(tmp_path)


def test_any_library_opens_the_model_and_reads_the_same(tiny_bundle: Bundle) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(tiny_bundle.model_path)
    texts = ["where is my card", "the parcel has not arrived on monday", ""]
    plain_model, plain_tokenizer = (
        AutoModel.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    batch = plain_tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = plain_model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    plain = (states * mask).sum(1) / mask.sum(1)
    model = load_classifier(tiny_bundle.model_path, "mean", 3)
    tokens = tokenize(load_tokenizer(tiny_bundle.model_path), [(text,) for text in texts], 66)
    assert np.abs(extract_features(model, tokens) - plain.numpy()).max() < 1e-5


def unsealed(bundle: Bundle) -> Manifest:
    return bundle.manifest.model_copy(update={"files": {}, "digest": ""})


def test_written_and_opened(tiny_bundle: Bundle, tmp_path: Path) -> None:
    seen: list[Path] = []
    bundle = write_bundle(
        tmp_path / "new",
        unsealed(tiny_bundle),
        lambda folder: (folder / "weights").write_bytes(b"abc") and None,
        check=lambda whole: seen.append(whole.path),
    )
    assert bundle.path == tmp_path / "new"
    assert seen[0] != bundle.path, "it is checked before it is in its place"
    assert open_bundle(tmp_path / "new") == bundle
    assert names(bundle.path) == ["manifest.json", "weights"]


@pytest.mark.parametrize("failing", ["write_parts", "check"])
@pytest.mark.parametrize(
    "failure", [BundleError("differs"), OSError(28, "full"), KeyboardInterrupt()]
)
def test_half_a_bundle_cannot_exist(
    tiny_bundle: Bundle, tmp_path: Path, failing: str, failure: BaseException
) -> None:
    def write_parts(folder: Path) -> None:
        (folder / "weights").write_bytes(b"half")
        if failing == "write_parts":
            raise failure

    def check(bundle: Bundle) -> None:
        raise failure

    expected = OutputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        write_bundle(tmp_path / "new", unsealed(tiny_bundle), write_parts, check=check)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_folder_is_left_alone(tiny_bundle: Bundle, copy: Path) -> None:
    def write_parts(folder: Path) -> None:
        raise AssertionError("must not be asked")

    with pytest.raises(OutputError, match="not empty"):
        write_bundle(copy, unsealed(tiny_bundle), write_parts, check=lambda bundle: None)
    assert open_bundle(copy).version == tiny_bundle.version


def test_the_same_content_has_the_same_digest(tiny_bundle: Bundle) -> None:
    manifest = unsealed(tiny_bundle)
    one, other = (manifest.sealed(files) for files in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}))
    assert one == other
    assert one.digest != manifest.sealed({"a": "1", "b": "3"}).digest
