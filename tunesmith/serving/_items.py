"""What clients send as inputs of a task, within the limits."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tunesmith.errors import DataError
from tunesmith.serving.refusals import Refused
from tunesmith.tasks import Task
from tunesmith.types import Inputs

__all__ = ["read_items"]

_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def read_items(
    items: Sequence[object],
    task: Task,
    *,
    place: str,
    max_texts: int,
    max_characters: int,
    max_tokens: int,
) -> list[Inputs]:
    """Every item as `Task.read` reads it.

    Args:
        place: what the protocol calls the list of items, for messages.
        max_texts: the most items.
        max_characters: the most characters of a text.
        max_tokens: the most tokens that the model reads, for messages.

    Raises:
        Refused: an item is wrong, or there are none or too many of them.
    """
    if not items:
        raise Refused("invalid_request", "is empty", where=place, mend="give at least one text")
    if len(items) > max_texts:
        raise Refused(
            "too_many_texts",
            f"{len(items):,} texts are too many for one request",
            where=place,
            mend=f"send at most {max_texts:,} at once",
        )
    found = []
    for index, item in enumerate(items):
        where = f"{place}[{index}]"
        inputs = _read(item, task, where)
        for field, value in zip(task.fields, inputs, strict=True):
            if field.modality == "text" and isinstance(value, str):
                named = f"{where}.{field.name}" if len(inputs) > 1 else where
                _check_length(value, named, max_characters, max_tokens)
                _check_visible(value, named)
        found.append(inputs)
    return found


def _read(item: object, task: Task, where: str) -> Inputs:
    try:
        return task.read(item)
    except DataError as error:
        fault = error.faults[0]
        raise Refused("invalid_text", fault.what, where=where, mend=fault.mend) from error


def _check_length(text: str, where: str, max_characters: int, max_tokens: int) -> None:
    if len(text) > max_characters:
        raise Refused(
            "text_too_long",
            f"{len(text):,} characters are too many for one text",
            where=where,
            mend=f"send at most {max_characters:,}; the model reads the first {max_tokens} tokens",
        )


def _check_visible(text: str, where: str) -> None:
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise Refused(
            "empty_text",
            "the text is empty or holds nothing but blanks",
            where=where,
            mend="leave it out, or give a text",
        )
