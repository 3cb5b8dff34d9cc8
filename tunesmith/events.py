"""What happens in a server, as lines of its log: names with values, for people and programs."""

from __future__ import annotations

import json
import logging

__all__ = ["log_event", "logger"]

logger = logging.getLogger("tunesmith.serving")


def log_event(level: int, event: str, **fields: object) -> None:
    """Logs that something happened.

    Args:
        level: as of `logging`.
        event: what, such as "deployed".
        fields: what is known of it; never a text.
    """
    if logger.isEnabledFor(level):
        known = {"event": event, **fields}
        logger.log(level, "%s", _line(known), extra={"fields": known})


def _line(fields: dict[str, object]) -> str:
    """Names with values on one line, for people."""
    return " ".join(f"{name}={_word(value)}" for name, value in fields.items())


def _word(value: object) -> str:
    """The value, in quotes where a blank would end it, and without what a terminal would obey."""
    text = str(value)
    if text.isprintable() and " " not in text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(own if own.isprintable() else json.dumps(own)[1:-1] for own in quoted)
