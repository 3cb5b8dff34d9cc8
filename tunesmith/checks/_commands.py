"""What to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tunesmith.checks._finding import Finding
from tunesmith.checks._masking import redacted
from tunesmith.checks._steps import STEPS
from tunesmith.checks._subject import Subject

__all__ = ["commands"]

_DEFAULT_BASE = "minilm"
_MOST_CHARACTERS = 100
_REVIEWED = ("suspected-label-errors", "conflicting-labels", "near-duplicates", "outliers")


def commands(
    subject: Subject, findings: Sequence[Finding], *, base: str | None, copy: str
) -> list[tuple[str, str]]:
    """Why, and the command: what cleans the file, and what trains on it.

    Args:
        base: the encoder that looked; None where none did.
        copy: what the cleaned copy is called.

    Returns:
        Nothing where a column cannot be called by its name on a page: in a file without a header
        the first example is taken for one, with all that it holds.
    """
    names = [name for name in (*subject.text, subject.target) if name is not None]
    if any(len(name) > _MOST_CHARACTERS or redacted(name) != name for name in names):
        return []
    source = "FILE" if subject.source == "standard input" else subject.source
    steps = [STEPS[one.step] for one in findings if one.step in STEPS]
    safe = list(dict.fromkeys(step.name for step in steps if step.is_safe))
    others = list(dict.fromkeys(step.name for step in steps if not step.is_safe))
    columns = [part for name in subject.text for part in ("--text", name)]
    if subject.target is not None:
        columns += ["--target", subject.target]
    check = ["tunesmith", "check", source, *columns]
    if base not in (None, _DEFAULT_BASE):
        check += ["--base", str(base)]
    found = []
    if safe:
        why = f"Write a cleaned copy. This takes what loses nothing: {', '.join(safe)}."
        found.append((why, shlex.join([*check, "--fix"])))
    if any(one.check in _REVIEWED for one in findings):
        why = "Decide on rows that only a person can judge, in the browser."
        found.append((why, shlex.join(["tunesmith", "review", *check[2:]])))
    if others:
        instead = "Or with what loses something" if safe else "Write a cleaned copy"
        why = f"{instead}; it asks about each: {', '.join(others)}."
        found.append((why, shlex.join([*check, "--fix", "all"])))
    if subject.target is not None:
        cleaned = copy if steps and copy else source
        why = "Train on the copy." if steps and copy else "Train on it."
        left = any(one.severity == "error" and one.step is None for one in findings)
        why = why.replace(".", ", when the errors are mended.") if left else why
        found.append((why, shlex.join(["tunesmith", "train", cleaned, *columns])))
    return found
