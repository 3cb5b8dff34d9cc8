"""The tree of errors: codes, faults, and what a user reads."""

from __future__ import annotations

import inspect
import re

import pytest

from tunesmith import errors
from tunesmith.errors import ConfigError, Fault, InputError, Interrupted, TunesmithError

TREE = [getattr(errors, name) for name in errors.__all__ if name != "Fault"]


def test_message_holds_place_fault_and_mend() -> None:
    error = InputError("column 'lable' does not exist", where="a.csv", mend="did you mean 'label'?")
    assert str(error) == "a.csv: column 'lable' does not exist\n  → did you mean 'label'?"
    assert error.faults == (
        Fault("column 'lable' does not exist", "a.csv", "did you mean 'label'?"),
    )


def test_message_leaves_out_what_is_not_known() -> None:
    assert str(InputError("is empty")) == "is empty"


def test_of_reports_every_fault_in_order() -> None:
    faults = [Fault("is wrong", f"row {number}") for number in (3, 1, 2)]
    error = ConfigError.of(iter(faults))
    assert type(error) is ConfigError
    assert error.faults == tuple(faults)
    assert str(error) == "row 3: is wrong\nrow 1: is wrong\nrow 2: is wrong"


@pytest.mark.parametrize("kind", TREE)
def test_exit_codes_follow_the_tree(kind: type[TunesmithError]) -> None:
    expected = 2 if issubclass(kind, InputError) else {Interrupted: 130}.get(kind, 1)
    assert kind("fault").exit_code == expected


def test_docstring_draws_the_whole_tree() -> None:
    drawn = set(re.findall(r"^[│├└─\s]*([A-Z]\w+)", inspect.getdoc(errors) or "", re.MULTILINE))
    assert {kind.__name__ for kind in TREE} <= drawn
