"""The sections that there are, for reading a report back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.evaluation._calibration import CalibrationSection
from tunesmith.evaluation._conformal import ConformalSection
from tunesmith.evaluation._errors import Errors
from tunesmith.evaluation._explanations import Explanations
from tunesmith.evaluation._fairness import Fairness
from tunesmith.evaluation._robustness import Robustness
from tunesmith.evaluation._scope import ScopeSection
from tunesmith.evaluation._section import Section
from tunesmith.evaluation._selective import SelectiveSection
from tunesmith.evaluation._slices import Slices
from tunesmith.evaluation._weak_slices import WeakSlices

__all__ = ["READERS", "sections_from_dict"]

READERS: dict[str, Callable[[Mapping[str, Any]], Section]] = {
    "errors": Errors.from_dict,
    "explanations": Explanations.from_dict,
    "fairness": Fairness.from_dict,
    "robustness": Robustness.from_dict,
    "slices": Slices.from_dict,
    "weak_slices": WeakSlices.from_dict,
    "calibration": CalibrationSection.from_dict,
    "selective": SelectiveSection.from_dict,
    "conformal": ConformalSection.from_dict,
    "scope": ScopeSection.from_dict,
}
"""A section's name → what makes it from its `as_dict()`."""


def sections_from_dict(saved: Mapping[str, Any]) -> tuple[Section, ...]:
    """The sections that a report was saved with, in their order.

    Raises:
        KeyError: there is no such section here.
    """
    return tuple(READERS[name](values) for name, values in saved.items())
