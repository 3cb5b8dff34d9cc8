"""The embedded data: small, our own writing, with a few honest flaws (see README.md here)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import ConfigError

__all__ = ["SAMPLES", "Sample", "sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One embedded file, and which of its columns are the text and the label."""

    name: str
    text: str
    target: str
    example: str

    @property
    def path(self) -> Path:
        return Path(__file__).parent / f"{self.name}.csv"


SAMPLES = (
    Sample(
        "support_tickets",
        text="ticket",
        target="team",
        example="I was charged twice this month, please send the second payment back",
    ),
    Sample(
        "medical_triage",
        text="message",
        target="urgency",
        example="My father's speech is slurred and one side of his face is drooping",
    ),
    Sample(
        "finance_sentiment",
        text="text",
        target="sentiment",
        example="Operating profit rose to EUR 13.1 mn from EUR 8.7 mn a year earlier",
    ),
)


def sample(name: str) -> Sample:
    """The sample called `name`.

    Raises:
        ConfigError: there is none; the message names those there are.
    """
    for known in SAMPLES:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in SAMPLES)
    raise ConfigError(f"there is no sample {name!r}", mend=f"choose one of {names}")
