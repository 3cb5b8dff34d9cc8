"""`tunesmith keys`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Invoke


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys are kept that no option names."""
    file = tmp_path / "own" / "keys.json"
    monkeypatch.setenv("TUNESMITH_KEYS", str(file))
    return file


def test_a_key_is_printed_alone_so_that_it_can_be_piped(invoke: Invoke, keys: Path) -> None:
    result = invoke("keys", "create", "--name", "billing", "--expires", "90d", "--rate", "2.5")
    assert result.code == 0, result.err
    key = result.out.strip()
    assert key.startswith("tsk_")
    assert "only time" in result.err
    assert key.rpartition("_")[2] not in keys.read_text()
    listed = invoke("keys", "list").out
    for part in (key.split("_")[1], "billing", "active", "explain", "predict", "2.5/s"):
        assert part in listed


def test_json_for_programs(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    options = ("--keys", file, "--json")
    made = json.loads(
        invoke("keys", "create", "--name", "a", "--scope", "metrics,admin", *options).out
    )
    assert made["scopes"] == ["admin", "metrics"]
    rotated = json.loads(invoke("keys", "rotate", "a", "--grace", "0", *options).out)
    assert rotated["key"] != made["key"]
    gone = json.loads(invoke("keys", "revoke", rotated["id"], *options).out)
    assert gone["state"] == "revoked"
    listed = json.loads(invoke("keys", "list", *options).out)
    assert [key["state"] for key in listed["keys"]] == ["revoked", "revoked"]
    assert "key" not in listed["keys"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "--name", "a", "--scope", "everything"), "'everything' is not known"),
        (("create", "--name", "a", "--expires", "soon"), "--expires: 'soon' is no time"),
        (("create", "--name", "a", "--rate", "0"), "--rate: must be above zero, and is 0"),
        (("create", "--name", "a", "--burst", "3"), "--burst: has no meaning without a rate"),
        (("create", "--name", " "), "a key's name"),
        (("revoke", "nobody"), "there is no such key"),
        (("rotate", "nobody", "--grace", "later"), "--grace: 'later' is no time"),
    ],
)
def test_bad_input(invoke: Invoke, keys: Path, arguments: tuple[str, ...], message: str) -> None:
    result = invoke("keys", *arguments)
    assert result.code == 2
    assert message in result.err
    assert not keys.exists()


def test_no_keys_yet(invoke: Invoke, keys: Path) -> None:
    result = invoke("keys", "list")
    assert (result.code, result.out.strip()) == (0, f"no keys in {keys}: there is no such file")
