"""What is loaded is what was verified, even where a file is changed in between."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tunesmith
from tunesmith.bundles import Bundle, open_bundle
from tunesmith.errors import BundleError
from tunesmith.runtimes import load

GRAPH = "runtimes/onnx-fp32/model.onnx"


@pytest.fixture(scope="module")
def optimised(
    tiny_bundle: Bundle, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("optimised") / "bundle"
    tunesmith.optimize(tiny_bundle, output=folder, data=labelled_csv, keep=["onnx-fp32"])
    return folder


@pytest.fixture
def bundle(optimised: Path, tmp_path: Path) -> Bundle:
    return open_bundle(shutil.copytree(optimised, tmp_path / "bundle"))


def change(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_reads_what_the_manifest_lists(bundle: Bundle) -> None:
    assert bundle.read(GRAPH) == (bundle.path / GRAPH).read_bytes()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (change, "was changed or damaged"),
        (Path.unlink, "cannot be read"),
        (lambda file: file.write_bytes(b""), "was changed or damaged"),
    ],
)
def test_what_was_changed_since_is_not_read(
    bundle: Bundle, spoil: Callable[[Path], object], what: str
) -> None:
    spoil(bundle.path / GRAPH)
    with pytest.raises(BundleError, match=what):
        bundle.read(GRAPH)


def test_what_is_not_listed_is_not_read(bundle: Bundle) -> None:
    (bundle.path / "more.json").write_text("{}")
    with pytest.raises(BundleError):
        bundle.read("more.json")


@pytest.mark.parametrize("file", [GRAPH, "model/tokenizer.json", "model/head.safetensors"])
def test_a_runtime_loads_nothing_that_was_changed_since(bundle: Bundle, file: str) -> None:
    change(bundle.path / file)
    with pytest.raises(BundleError, match=f"{file}: was changed or damaged"):
        load(bundle, "onnx-fp32", allow_unverified=True)


def test_golden_rows_that_were_changed_since_are_not_asked(bundle: Bundle) -> None:
    assert bundle.golden() is not None
    change(bundle.path / "reference/golden.json")
    with pytest.raises(BundleError, match=r"golden\.json: was changed or damaged"):
        bundle.golden()


def test_a_change_while_it_is_loaded_is_not_noticed_and_not_used(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file, put in the place of the graph after it was read, is never opened."""
    texts = ["where is the parcel", "i forgot the password"]
    wanted = load(bundle, "onnx-fp32", allow_unverified=True).predict(texts)
    read = Bundle.read

    def read_and_swap(self: Bundle, name: str) -> bytes:
        content = read(self, name)
        (self.path / name).write_bytes(b"of somebody else")
        return content

    monkeypatch.setattr(Bundle, "read", read_and_swap)
    again = open_bundle(shutil.copytree(bundle.path, bundle.path.with_name("other")))
    # The head is asked for once, and the others once each: what is there now is never seen.
    assert load(again, "onnx-fp32", allow_unverified=True).predict(texts) == wanted


def test_the_bytes_of_a_graph_are_not_kept(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    contents: list[bytes] = []
    read = Bundle.read

    def read_and_note(self: Bundle, name: str) -> bytes:
        content = read(self, name)
        if name == GRAPH:
            contents.append(content)
        return content

    monkeypatch.setattr(Bundle, "read", read_and_note)
    runtime = load(bundle, "onnx-fp32", allow_unverified=True)
    gc.collect()
    holders = sys.getrefcount(contents[0])  # before pytest holds it too, to show it
    assert holders == 2  # this list, and the call
    assert runtime.predict(["where is the parcel"])
