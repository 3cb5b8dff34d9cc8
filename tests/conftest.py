"""A tiny base, tiny bundles and a labelled file that every test may read; none of them is changed.

Nothing here needs a network, and torch is imported only where a test asks for a model.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before any library reads it

from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

# A busy machine is no fault of the code.
hypothesis.settings.register_profile("tunesmith", deadline=None)
hypothesis.settings.load_profile("tunesmith")

if TYPE_CHECKING:
    from tunesmith.bundles import Bundle


@pytest.fixture(scope="session")
def labelled_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows of text and topic that a linear model can learn."""
    from tiny import labelled_rows

    file = tmp_path_factory.mktemp("data") / "topics.csv"
    lines = [f"{text},{topic}" for text, topic in labelled_rows(120)]
    file.write_text("\n".join(["text,topic", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def pairs_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows of two texts, and whether they are of the same topic."""
    from tiny import labelled_rows

    file = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    left, right = labelled_rows(120, seed=1), labelled_rows(120, seed=2)[::-1]
    lines = [f"{a},{b},{x == y}" for (a, x), (b, y) in zip(left, right, strict=True)]
    file.write_text("\n".join(["question,answer,same", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def several_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 rows with one or two topics each."""
    from tiny import labelled_rows

    file = tmp_path_factory.mktemp("several") / "several.csv"
    rows = labelled_rows(120, seed=3)
    lines = [f"{text},{topic}" for text, topic in rows[:80]]
    both = zip(rows[:40], rows[81:] + rows[80:81], strict=True)
    lines += [f"{a} {b},{'|'.join(sorted({x, y}))}" for (a, x), (b, y) in both]
    file.write_text("\n".join(["text,topics", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two small layers, in Hugging Face layout."""
    from tiny import tiny_model

    return tiny_model(tmp_path_factory.mktemp("bases") / "bert")


@pytest.fixture(scope="session")
def tiny_bundle(
    tmp_path_factory: pytest.TempPathFactory, labelled_csv: Path, tiny_base: Path
) -> Bundle:
    """`tiny_base` fine-tuned on `labelled_csv`: one label a text."""
    return _train(tmp_path_factory, labelled_csv, tiny_base)


@pytest.fixture(scope="session")
def pair_bundle(
    tmp_path_factory: pytest.TempPathFactory, pairs_csv: Path, tiny_base: Path
) -> Bundle:
    """`tiny_base` fine-tuned on `pairs_csv`: one label a pair of texts."""
    chosen = {"data.text": ["question", "answer"], "data.target": "same"}
    return _train(tmp_path_factory, pairs_csv, tiny_base, chosen)


@pytest.fixture(scope="session")
def several_bundle(
    tmp_path_factory: pytest.TempPathFactory, several_csv: Path, tiny_base: Path
) -> Bundle:
    """`tiny_base` fine-tuned on `several_csv`: any number of labels a text."""
    return _train(tmp_path_factory, several_csv, tiny_base, {"data.label_separator": "|"})


def _train(
    factory: pytest.TempPathFactory, data: Path, base: Path, chosen: dict[str, Any] | None = None
) -> Bundle:
    from tiny import TINY_SETTINGS

    from tunesmith import config, recipes

    settings = {
        **TINY_SETTINGS,
        "data.source": str(data),
        "base.id": str(base),
        "output": str(factory.mktemp("runs") / data.stem),
    }
    return recipes.train(config.load(settings={**settings, **(chosen or {})})).bundle
