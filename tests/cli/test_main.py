"""What all commands share: help, versions, streams, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tunesmith

from .conftest import Invoke

COMMANDS = ("train", "evaluate", "predict", "serve", "info", "doctor", "demo")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_json(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.code == 0
    assert f"Example: tunesmith {name}" in result.out
    assert "--json" in result.out


def test_help_names_every_command(invoke: Invoke) -> None:
    result = invoke("-h")
    assert result.code == 0
    assert all(name in result.out for name in COMMANDS)


def test_version(invoke: Invoke) -> None:
    assert invoke("--version") == (0, f"{tunesmith.__version__}\n", "")


def test_no_command_shows_the_help(invoke: Invoke) -> None:
    result = invoke()
    assert result.code == 2
    assert "train" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian", "x.csv"), "Did you mean 'train'?"),
        (("train", "x.csv", "--epoch", "3"), "--epochs"),
        (("train", "x.csv", "more.csv"), "unexpected extra argument"),
        (("train", "x.csv", "--epochs", "three"), "'--epochs'"),
        (("train", "--output"), "requires an argument"),
        (("predict", "bundle"), "Missing argument 'DATA'"),
        (("predict", "bundle", "x.csv"), "Missing option"),
        (("evaluate",), "a bundle and a data file are needed"),
        (("serve", "bundle", "--port", "99999"), "65535"),
    ],
)
def test_a_wrong_command_line(invoke: Invoke, arguments: tuple[str, ...], message: str) -> None:
    result = invoke(*arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not result.out


def test_a_missing_package_is_named(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("tunesmith.config.load", absent)
    result = invoke("train", "x.csv")
    assert result.code == 2
    assert "torch is not installed" in result.err
    assert "pip install 'tunesmith[all]'" in result.err


def test_importing_is_light() -> None:
    heavy = {"fastapi", "numpy", "pyarrow", "pydantic", "torch", "transformers"}
    code = (
        "import sys, tunesmith, tunesmith.cli\n"
        f"found = {heavy!r} & sys.modules.keys()\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
