"""What a part of the report beside the figures must offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Section"]


class Section(Protocol):
    """A part of the report that stands by itself: calibration, slices, errors and the like.

    Frozen. It is made once, by a function in `tunesmith/recipes/`, and then only shown: in
    report.json under `sections`, by its own template on the page, and in a sentence or two on the
    terminal. `from_dict(as_dict())` gives an equal section.
    """

    @property
    def name(self) -> str:
        """Its key in report.json, such as "calibration"."""

    @property
    def template(self) -> str:
        """The file in `templates/` that shows it; what it is given is called `part`."""

    def view(self) -> Mapping[str, Any]:
        """What the template is given."""

    def sentences(self) -> tuple[str, ...]:
        """What a reader of the terminal is told; empty where there is nothing worth a line."""

    def as_dict(self) -> Mapping[str, Any]:
        """The section as JSON values."""
