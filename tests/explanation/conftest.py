"""Models with random weights of which every word matters, and a way to explain them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from tiny import tiny_model

from tunesmith.bases import Classifier, find_base, load_tokenizer, new_classifier
from tunesmith.explanation import Explainer
from tunesmith.tasks import Field, MultiLabelClassification, Task, TextClassification

LABELS = ("login", "money", "parcel")


class Tiny(NamedTuple):
    """A small model with a head of random weights."""

    classifier: Classifier
    tokenizer: Any
    max_length: int

    def explainer(self, method: str, task: Task | None = None, **more: Any) -> Explainer:
        return Explainer.of_model(
            self.classifier, self.tokenizer, task or one_label(), self.max_length,
            method, **more,  # type: ignore[arg-type]
        )  # fmt: skip


def one_label(*names: str) -> Task:
    return TextClassification(tuple(map(Field, names or ("text",))), LABELS)


def several_labels() -> Task:
    return MultiLabelClassification((Field("text"),), LABELS)


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tiny]:
    """A small model of a family; made once."""
    made: dict[str, Tiny] = {}

    def make(family: str = "bert") -> Tiny:
        if family not in made:
            folder = tiny_model(tmp_path_factory.mktemp(family) / "base", family)
            base = find_base(str(folder))
            classifier = new_classifier(folder, base.pooling, len(LABELS))
            torch.manual_seed(1)
            torch.nn.init.normal_(classifier.head.weight)
            made[family] = Tiny(classifier, load_tokenizer(folder), min(base.max_length, 60))
        return made[family]

    return make
