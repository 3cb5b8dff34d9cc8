"""What a model card is made of, and its two forms: Markdown for a hub, a page for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tunesmith import storage

__all__ = ["CardSection", "CardTable", "ModelCard"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~!$])")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LEADING = re.compile(r"^(\s*\d*)([-+=.)])(?=\s|[-=]|$)")


@dataclass(frozen=True, slots=True)
class CardTable:
    """Rows of cells; the first column names the row, the others hold figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class CardSection:
    """A heading and what stands under it, in this order; all of it plain text.

    Attributes:
        words: paragraphs of the user's own, which may be Markdown.
        paragraphs: sentences.
        points: a list.
        facts: (name, value) pairs.
        table: figures.
        code: lines to copy.
    """

    heading: str
    words: tuple[str, ...] = ()
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    table: CardTable | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is for, what it was made of, how good it is and where it fails.

    The contents follow Mitchell et al. 2019, "Model Cards for Model Reporting".

    Attributes:
        title: the model's name.
        summary: one sentence under it.
        metadata: what a hub reads, as the Hugging Face hub's `README.md` has it.
    """

    title: str
    summary: str
    sections: tuple[CardSection, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_markdown(self) -> str:
        """`README.md` of a hub's repository: metadata in YAML, then the card."""
        metadata = yaml.safe_dump(
            _one_line(dict(self.metadata)), sort_keys=False, allow_unicode=True, width=100
        )
        parts = [f"# {_plain(self.title)}", _plain(self.summary)]
        for section in self.sections:
            parts += [f"## {_plain(section.heading)}", *_section(section)]
        return f"---\n{metadata}---\n\n" + "\n\n".join(parts) + "\n"

    def to_html(self) -> str:
        """One self-contained page: no script, and nothing loaded from anywhere."""
        from tunesmith.evaluation._page import page_templates

        return page_templates().render("model_card.html", {"card": self})

    def write(self, folder: Path) -> None:
        """Puts `README.md` into a bundle's folder, and `report/model-card.html`.

        Raises:
            OutputError: the disk is full or may not be written.
        """
        storage.write_bytes(folder / "README.md", self.to_markdown().encode())
        storage.write_bytes(folder / "report" / "model-card.html", self.to_html().encode())


def _section(section: CardSection) -> Iterable[str]:
    yield from (words.strip() for words in section.words)
    yield from map(_plain, section.paragraphs)
    if section.points:
        yield "\n".join(f"- {_plain(point)}" for point in section.points)
    if section.facts:
        yield "\n".join(f"- **{_plain(name)}:** {_plain(value)}" for name, value in section.facts)
    if section.table is not None:
        yield "\n".join(_table(section.table))
    if section.code:
        yield f"```sh\n{section.code}\n```"


def _table(table: CardTable) -> Iterable[str]:
    yield _row(table.head)
    yield _row_of(["---", *["---:"] * (len(table.head) - 1)])
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    return _row_of([_plain(cell) for cell in cells])


def _row_of(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """A text on one line that Markdown shows as it is: the data's markup is not the card's."""
    text = _MARKDOWN.sub(r"\\\1", _INVISIBLE.sub(" ", text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LEADING.sub(r"\1\\\2", text)


def _one_line(value: Any) -> Any:
    """The same values with each text on one line, so that none can end the metadata."""
    if isinstance(value, str):
        return _INVISIBLE.sub(" ", value)
    if isinstance(value, Mapping):
        return {_one_line(name): _one_line(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_one_line(own) for own in value]
    return value
