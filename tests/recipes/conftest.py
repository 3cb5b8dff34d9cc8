"""Small bases, small files, and a quick way to train on them."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import labelled_rows, tiny_model

from tunesmith import config, recipes
from tunesmith.recipes import Run, Silent

Train = Callable[..., Run]


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, and much slower on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.bases._machine.available_cores", lambda: 1)
        yield


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two small layers, in Hugging Face layout."""
    return tiny_model(tmp_path_factory.mktemp("bases") / "bert")


@pytest.fixture(scope="package")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows of text and topic, 40 a topic."""
    return write_rows(tmp_path_factory.mktemp("data") / "topics.csv", labelled_rows(120))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def train(base: Path, topics: Path, tmp_path: Path, notes: Notes) -> Train:
    """Trains on `topics` with `base`, unless the settings say otherwise."""

    def run(settings: dict[str, Any] | None = None, name: str = "run", **data: Any) -> Run:
        named = {f"data.{key}": value for key, value in data.items()}
        quick = quick_settings(topics, base, tmp_path / name)
        return recipes.train(config.load(settings={**quick, **(settings or {}), **named}), notes)

    return run


@pytest.fixture(scope="package")
def finished(
    base: Path, topics: Path, tmp_path_factory: pytest.TempPathFactory, _one_thread: None
) -> Run:
    """A fully fine-tuned run that several tests look at."""
    settings = quick_settings(topics, base, tmp_path_factory.mktemp("finished") / "run")
    return recipes.train(config.load(settings=settings))


def quick_settings(data: Path, base: Path, output: Path) -> dict[str, Any]:
    return {
        "data.source": str(data),
        # So few rows would be shared out unevenly by chance.
        "data.split": "stratified",
        "data.validation_fraction": 0.1,
        "data.checks": False,  # texts made from a pattern are full of faults
        "base.id": str(base),
        "training.method": "full",
        "training.epochs": 2,
        "training.batch_size": 16,
        "training.refit": "never",
        "training.precision": "fp32",
        "evaluation.resamples": 100,
        "evaluation.explanation_seconds": 0,  # a test of its own has them
        "output": str(output),
    }


def write_rows(file: Path, rows: list[tuple[str, ...]], header: str = "text,topic") -> Path:
    """A csv of values without commas."""
    lines = [header, *(",".join(row) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def make_workbook(tmp_path: Path) -> Callable[..., Path]:
    """Writes a workbook of sheets; see tests/data/conftest.py, whose parts it takes."""
    file = Path(__file__).parent.parent / "data" / "conftest.py"
    spec = importlib.util.spec_from_file_location("workbooks", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(name: str, sheets: dict[str, Any]) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for part, content in module._parts(sheets).items():
                archive.writestr(part, content)
        return tmp_path / name

    return make
