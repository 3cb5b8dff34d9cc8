"""What several calls of the Python API share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.recipes import Listener

__all__ = ["console", "given"]


def console() -> Listener:
    """Shows progress on standard error, as the command line does."""
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors

    return ConsoleListener(errors)


def given(named: Mapping[str, object]) -> dict[str, object]:
    """Arguments as settings, by dotted name: paths as texts, one column as a list of it."""
    text = named["data.text"]
    values = {**named, "data.text": (text,) if isinstance(text, str) else text}
    as_texts = (
        "data.source", "data.validation", "data.test", "data.corrections", "base.id", "output"
    )  # fmt: skip
    return {
        name: str(value) if name in as_texts else value
        for name, value in values.items()
        if value is not None
    }
