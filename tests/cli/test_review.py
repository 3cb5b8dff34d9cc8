"""`tunesmith review`, as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tunesmith import storage

from .conftest import Invoke, write_rows


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    async def end(_: object) -> None: ...

    monkeypatch.setattr("uvicorn.Server.main_loop", end)
    pairs = [("where is it", "parcel"), ("where is it", "money"), ("thank you so much", "parcel")]
    return write_rows(tmp_path / "topics.csv", pairs)


def test_says_where_the_page_is_and_what_comes_then(invoke: Invoke, rows: Path) -> None:
    result = invoke("review", "topics.csv", "--target", "topic", "--no-model", "--no-open")
    assert result.code == 0, result.err
    assert re.search(r"^page   http://127\.0\.0\.1:\d+/[\w-]{43}/$", result.out, re.MULTILINE)
    assert "saves  topics.corrections.csv" in result.out
    assert "train topics.csv --target topic --text text --corrections topics.c" in result.out
    assert "0 of them decided" in result.out


def test_json_is_one_object_and_a_second_server_is_named(invoke: Invoke, rows: Path) -> None:
    command = ("review", rows, "--target", "topic", "--no-model", "--no-open", "--json")
    told = json.loads(invoke(*command).out)
    assert (told["num_rows"], told["is_alone"]) == (3, True)
    with storage.locked(rows.with_name(".topics.corrections.csv.open")):
        result = invoke(*command)
    assert not json.loads(result.out)["is_alone"]
    assert "another review has" in result.err


def test_the_page_is_opened(invoke: Invoke, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    seen, opened = [], threading.Event()

    def open_page(url: str) -> None:
        seen.append(url)
        opened.set()

    monkeypatch.setattr("webbrowser.open", open_page)
    result = invoke("review", rows, "--target", "topic", "--no-model", "--json")
    assert opened.wait(10)
    assert seen == [json.loads(result.out)["url"]]


def test_beyond_loopback_only_if_asked_and_with_a_warning(invoke: Invoke, rows: Path) -> None:
    command = ("review", rows, "--target", "topic", "--no-model", "--no-open", "--host", "0.0.0.0")
    result = invoke(*command)
    assert (result.code, "needs --insecure" in result.err) == (2, True)
    result = invoke(*command, "--insecure")
    assert (result.code, "there is no TLS" in result.err) == (0, True)


def test_bad_input(invoke: Invoke, rows: Path) -> None:
    assert invoke("review", "none.csv", "--no-model", "--no-open").code == 2
    result = invoke("review", rows, "--target", "topics", "--no-model", "--no-open")
    assert (result.code, "did you mean 'topic'" in result.err) == (2, True)
    rows.with_name("fixes.csv").write_text("a,b\n1,2\n")
    result = invoke("review", rows, "--no-model", "--no-open", "--corrections", "fixes.csv")
    assert (result.code, "is no corrections file" in result.err) == (2, True)
