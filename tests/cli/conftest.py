"""The command line in this process, and a small base, file and run for it to work on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import labelled_rows, tiny_model

from tunesmith.cli import main

QUICK = ("--set", "training.precision=fp32", "--set", "evaluation.resamples=100")


class Result(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write to the folder that they are started in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Runs a command as the console script does, in this process."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["tunesmith", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def command() -> list[str]:
    """The start of a command line for a process of its own."""
    return [sys.executable, "-m", "tunesmith"]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, and much slower on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.bases._machine.available_cores", lambda: 1)
        yield


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory, _one_thread: None) -> Path:
    """A folder with `base`, `topics.csv` and `run`, which holds a bundle; nobody changes it."""
    folder = tmp_path_factory.mktemp("small")
    tiny_model(folder / "base")
    write_rows(folder / "topics.csv", labelled_rows(90))
    from tunesmith import config, recipes

    settings = {
        "data.source": str(folder / "topics.csv"),
        "data.target": "topic",
        "base.id": str(folder / "base"),
        "training.method": "probe",
        "training.precision": "fp32",
        "evaluation.resamples": 100,
        "output": str(folder / "run"),
    }
    recipes.train(config.load(settings=settings))
    return folder


def write_rows(file: Path, rows: list[tuple[str, str]], header: str = "text,topic") -> Path:
    """A csv of texts without commas and their labels."""
    lines = [header, *(f"{text},{label}" for text, label in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
