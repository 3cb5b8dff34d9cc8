"""Labels: written in several ways, too rare, too unequal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._masking import redacted
from tunesmith.checks._subject import Subject
from tunesmith.data import listed

__all__ = ["check_imbalance", "check_label_variants", "check_rare_labels", "label_variants"]

_FEW_ROWS = 10
_UNEQUAL = 20.0
_SEPARATORS = str.maketrans({"_": " ", "-": " ", ".": " ", "/": " "})


def check_label_variants(subject: Subject) -> Iterator[Finding]:
    """Finds labels that differ in case, white space or punctuation only, such as "Spam", "spam"."""
    variants = label_variants(subject.label_counts)
    if not variants:
        return
    shown = ", ".join(f"{old!r} for {new!r}" for old, new in list(variants.items())[:5])
    yield Finding(
        check="label-variants",
        severity="warning",
        message=f"{counted(len(variants), 'label looks', 'labels look')}"
        f" like another way to write a label: {shown}",
        fix="write each label in one way",
        rows=subject.rows_with(variants),
        column=subject.target,
        step="unify-labels",
        details=[
            {"value": redacted(old), "suggested": redacted(new)} for old, new in variants.items()
        ],
    )


def label_variants(counts: Mapping[str, int]) -> dict[str, str]:
    """Label → the commonest label that is the same but for case, white space and punctuation."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike[" ".join(label.casefold().translate(_SEPARATORS).split()) or label].append(label)
    return {
        label: common
        for group in alike.values()
        if (common := max(group, key=lambda one: (counts[one], one)))
        for label in sorted(group)
        if label != common
    }


def check_rare_labels(subject: Subject) -> Iterator[Finding]:
    """Finds labels with too few rows to be learned, held out and judged."""
    counts = subject.label_counts
    if len(counts) == 1:
        yield Finding(
            check="one-label",
            severity="error",
            message=f"all rows have the same label: {listed(counts)}",
            fix="add rows with other labels, or name another column with --target",
            column=subject.target,
        )
        return
    single = sorted(label for label, count in counts.items() if count == 1)
    few = sorted(label for label, count in counts.items() if 1 < count < _FEW_ROWS)
    if single:
        yield Finding(
            check="rare-labels",
            severity="error",
            message=f"{_of_all(single, counts)} a single row: {listed(single)}",
            fix="add rows, join such a label with another, or leave it out",
            rows=subject.rows_with(single),
            column=subject.target,
            step="drop-rare-labels",
        )
    if few:
        yield Finding(
            check="rare-labels",
            severity="warning",
            message=f"{_of_all(few, counts)} fewer than {_FEW_ROWS} rows, "
            f"too few to judge how well they are told: {listed(few)}",
            fix="add rows of these labels, or join them with others",
            rows=subject.rows_with(few),
            column=subject.target,
        )


def _of_all(some: Sequence[str], counts: Mapping[str, int]) -> str:
    """ "1 of 3 labels has", "all 2 labels have"."""
    if len(some) == len(counts):
        return f"all {len(some):,} labels have"
    return f"{len(some):,} of {len(counts):,} labels {'has' if len(some) == 1 else 'have'}"


def check_imbalance(subject: Subject) -> Iterator[Finding]:
    """Finds that one label has many times the rows of another."""
    counts = {label: n for label, n in subject.label_counts.items() if n >= _FEW_ROWS}
    if len(counts) < 2:
        return
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    ratio = counts[most] / counts[least]
    if ratio < _UNEQUAL:
        return
    share = counts[most] / subject.num_rows
    yield Finding(
        check="imbalance",
        severity="note",
        message=f"{most!r} has {counts[most]:,} rows ({share:.0%}), {least!r} {counts[least]:,}: "
        f"{ratio:,.0f} times as many",
        fix="look at macro-F1 rather than accuracy; --set training.class_weights=balanced gives "
        "rare labels more weight",
        column=subject.target,
    )
