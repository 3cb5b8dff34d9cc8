"""Data sets of the hub, from a server of our own that answers as the hub does."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tunesmith.data import read_table
from tunesmith.data._hub_address import HubAddress, choose_files, parse_hub_address
from tunesmith.errors import DataError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"# shop",
    "shop.py": b"raise SystemExit('code was run')",
    "data/train-00000-of-00002.csv": b"text,label\none,a\n",
    "data/train-00001-of-00002.csv": b"text,label\ntwo,b\n",
    "data/test.csv.gz": gzip.compress(b"text,label\nthree,a\n", mtime=0),
}


class Hub(http.server.BaseHTTPRequestHandler):
    """The endpoints that list a data set's files, and give one."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/datasets/ann/shop/tree/main":
            listing = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in FILES.items()
            ]
            self._answer(json.dumps(listing).encode(), "application/json")
        elif path.startswith("/datasets/ann/shop/resolve/main/"):
            data = FILES.get(path.removeprefix("/datasets/ann/shop/resolve/main/"))
            if data is None:
                self._refuse("EntryNotFound")
            else:
                self._answer(data, "application/octet-stream")
        elif "/ann/shop/" in path:
            self._refuse("RevisionNotFound")
        else:
            self._refuse("GatedRepo" if "/gated/" in path else "RepoNotFound")

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _refuse(self, code: str) -> None:
        self.send_response(403 if code == "GatedRepo" else 404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch) -> Iterator[http.server.HTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_split_of_several_files(hub) -> None:
    table = read_table("hf://datasets/ann/shop/train")
    assert table.column("text") == ["one", "two"]
    assert table.notes == (
        "2 files: data/train-00000-of-00002.csv row 1, data/train-00001-of-00002.csv row 2",
        f"revision {COMMIT} on the hub",
    )
    assert table.parts[1].source == "hf://datasets/ann/shop/data/train-00001-of-00002.csv"


def test_a_file_stays_in_the_cache(hub, monkeypatch) -> None:
    address = "hf://datasets/ann/shop/data/test.csv.gz"
    assert read_table(address).column("text") == ["three"]
    hub.shutdown()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert read_table(address).column("text") == ["three"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "hf://datasets/ann/shop",
            "holds 2 tables\n  → name one: hf://datasets/ann/shop/data/test",
        ),
        ("hf://datasets/ann/shop/tran", "no file or split 'tran'\n  → did you mean"),
        ("hf://datasets/ann/shop/x.csv", "the data set has no such file"),
        ("hf://datasets/ann/shop@v9/x.csv", "no such revision"),
        ("hf://datasets/ann/none", "no such data set on the hub"),
        ("hf://datasets/gated/x/x.csv", "only for those who agreed to its terms"),
        ("hf://ann/shop", "is no address of a data set"),
    ],
)
def test_refusals(hub, address: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(address)


@pytest.mark.parametrize("inside", ["", "/train.csv"])
@pytest.mark.parametrize(
    "offline", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["told", "tried"]
)
def test_out_of_reach(tmp_path: Path, monkeypatch, inside: str, offline: bool) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    with pytest.raises(DataError, match="the hub cannot be reached, and the file is not in its"):
        read_table(f"hf://datasets/ann/shop{inside}")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://datasets/a/b", HubAddress("a/b", None, "")),
        ("hf://datasets/a/b/data/x.csv", HubAddress("a/b", None, "data/x.csv")),
        ("hf://datasets/a/b@v1/train", HubAddress("a/b", "v1", "train")),
        ("hf://datasets/a/b/x@2.csv", HubAddress("a/b", None, "x@2.csv")),
        (
            "hf://datasets/a/b@refs/convert/parquet/default/train",
            HubAddress("a/b", "refs/convert/parquet", "default/train"),
        ),
        ("hf://datasets/a/b@refs%2Fpr%2F1/x.csv", HubAddress("a/b", "refs/pr/1", "x.csv")),
    ],
)
def test_addresses(address: str, expected: HubAddress) -> None:
    assert parse_hub_address(address) == expected


@pytest.mark.parametrize(
    "rest", ["", "a", "a/", "/b", "a/b@", "a/b/../../x", "a b/c", "a/b@v/../x", "../b"]
)
def test_no_addresses(rest: str) -> None:
    with pytest.raises(DataError, match="is no address"):
        parse_hub_address(f"hf://datasets/{rest}")


@pytest.mark.parametrize(
    ("inside", "files", "chosen"),
    [
        ("", ["x.csv", "x.py", "README.md", ".x.csv"], ["x.csv"]),
        ("train", ["default/train/0000.parquet", "default/train/0001.parquet"], [0, 1]),
        ("train", ["data/train-00000-of-00001-0123456789abcdef.parquet", "test.csv"], [0]),
        ("plain", ["plain/train.csv", "other/train.csv"], [0]),
        ("*/t*.csv", ["a/t1.csv", "b/t2.csv", "c/x.csv"], [0, 1]),
        ("b/train", ["a/train.csv", "b/train.csv"], [1]),
    ],
)
def test_files_that_are_meant(inside: str, files: list[str], chosen: list) -> None:
    address = HubAddress("a/b", None, inside)
    expected = [files[one] if isinstance(one, int) else one for one in chosen]
    assert choose_files(address, "x", files, {".csv", ".parquet"}) == expected


@pytest.mark.parametrize(
    ("inside", "files", "message"),
    [
        ("", ["x.py"], "code in it is not run\n  → .*refs/convert/parquet"),
        ("train", ["a/train.csv", "b/train.csv"], "holds 2 tables"),
        ("train", ["train.csv", "train.jsonl"], "is there in several formats"),
        ("x*.csv", ["train.csv"], "no file matches"),
    ],
)
def test_files_that_cannot_be_chosen(inside: str, files: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_files(HubAddress("a/b", None, inside), "x", files, {".csv", ".jsonl"})


def test_without_a_network_the_cache_answers_and_the_rest_is_refused_at_once(
    hub: http.server.HTTPServer, monkeypatch
) -> None:
    source = "hf://datasets/ann/shop/data/test.csv.gz"
    assert read_table(source).column("text") == ["three"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert read_table(source).column("text") == ["three"]
        for other in ("hf://datasets/ann/shop", "hf://datasets/ann/shop/data/new.csv"):
            with pytest.raises(DataError, match="the hub cannot be reached"):
                read_table(other)
