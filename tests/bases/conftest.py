"""Small bases of every family, texts for them, and a base that a test may spoil."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tunesmith.bases import Classifier, TokenizedDataset

_LAST = {"gpt2", "llama", "qwen2", "mamba"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spoilt(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of `tiny_base`."""
    return shutil.copytree(tiny_base, tmp_path / "spoilt")


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Family → the folder of a small base of it."""
    from tiny import tiny_model

    root, made = tmp_path_factory.mktemp("families"), {}

    def folder_of(family: str) -> Path:
        if family not in made:
            made[family] = tiny_model(root / family, family)
        return made[family]

    return folder_of


@pytest.fixture(scope="session")
def model_of(folder_of: Callable[[str], Path]) -> Callable[[str], Classifier]:
    """Family → a new classifier with three labels, whose head is not zero."""
    import torch

    from tunesmith.bases import new_classifier

    def model_of(family: str) -> Classifier:
        model = new_classifier(folder_of(family), "last" if family in _LAST else "mean", 3)
        torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
        return model

    return model_of


@pytest.fixture(scope="session")
def tokens_of(folder_of: Callable[[str], Path]) -> Callable[[str], TokenizedDataset]:
    """Family → twelve texts of different lengths as its token ids."""
    from tiny import labelled_rows

    from tunesmith.bases import load_tokenizer, tokenize

    made: dict[str, TokenizedDataset] = {}

    def tokens_of(family: str) -> TokenizedDataset:
        if family not in made:
            inputs = [(text,) for text, _ in labelled_rows(12)]
            made[family] = tokenize(load_tokenizer(folder_of(family)), inputs, 64)
        return made[family]

    return tokens_of
