"""`tunesmith signing-key`, `sign`, and who is told of signatures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .conftest import Invoke

pytest.importorskip("cryptography")


def test_a_bundle_is_signed_and_checked(invoke: Invoke, small: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(small / "run" / "bundle", tmp_path / "bundle"))
    made = json.loads(invoke("signing-key", "release.pem", "--json").out)
    assert (made["private"], made["public"]) == ("release.pem", "release.pub.pem")
    again = invoke("signing-key", "release.pem")
    assert (again.code, "is there already" in again.err) == (2, True)
    nameless = invoke("signing-key", ".")
    assert (nameless.code, "is no name of a file" in nameless.err) == (2, True)
    unsigned = invoke("info", bundle, "--trusted-keys", "release.pub.pem")
    assert (unsigned.code, "is not signed" in unsigned.err) == (2, True)
    refused = invoke("serve", bundle, "--port", "0", "--trusted-keys", "release.pub.pem")
    assert (refused.code, "is not signed" in refused.err) == (2, True)
    signed = json.loads(invoke("sign", bundle, "--key", "release.pem", "--json").out)
    assert signed["key"] == made["key"]
    assert f"{made['key']} (not checked" in invoke("info", bundle).out
    assert "one of them trusted" in invoke("info", bundle, "--trusted-keys", "release.pub.pem").out
    told = json.loads(invoke("info", bundle, "--json").out)
    assert told["signed_by"] == [made["key"]]


def test_a_key_that_others_may_read_is_warned_of(
    invoke: Invoke, small: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(small / "run" / "bundle", tmp_path / "bundle"))
    invoke("signing-key", "open.pem")
    Path("open.pem").chmod(0o644)
    assert "others may read this key" in invoke("sign", bundle, "--key", "open.pem").err
