"""Which rows are looked at, in what order, and what is shown of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.checks import Finding, Subject
from tunesmith.data import labels_of
from tunesmith.types import Target

__all__ = ["Item", "Queue", "make_queue"]

_FIRST = ("suspected-label-errors", "conflicting-labels", "near-duplicates", "outliers")
_LAST = ("rare-labels", "boilerplate")  # they name many rows, and mean none in particular
_MOST_CHOICES = 9
_MOST_BESIDE = 12


@dataclass(frozen=True, slots=True)
class Item:
    """A row to look at, and the places in `Queue.findings` of what flagged it."""

    row: int
    findings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """What a review goes through.

    Attributes:
        subject: the rows, as the file has them.
        findings: what was found that names rows, the most worthwhile first.
        items: the rows, each once, in the order of the first finding that names it.
    """

    subject: Subject
    findings: tuple[Finding, ...]
    items: tuple[Item, ...]
    _reasons: Mapping[int, tuple[int, ...]]
    _details: Mapping[tuple[int, int], Mapping[str, Any]]
    _groups: Mapping[tuple[int, int], Sequence[int]]
    _faulty: Mapping[str, str | None]  # label → what is meant, where that is known

    def flags(self, row: int) -> tuple[int, ...]:
        """Places of the findings that name a row; it need not be among the items."""
        return self._reasons.get(row, ())

    def view(self, row: int) -> dict[str, Any]:
        """What the page shows of a row: texts, labels, why it is flagged, what stands beside it."""
        flags = self.flags(row)
        beside = list(self._beside(row))
        suggested = self._suggestion(row, beside)
        return {
            **self._row(row),
            "reasons": [{"finding": one, **self._of_row(one, row)} for one in flags],
            "suggestion": suggested,
            "choices": self._choices(row, suggested, beside),
            "beside": [{**self._row(other), "check": check} for other, check in beside],
            "num_beside": sum(len(self._groups.get((one, row), (row,))) - 1 for one in flags),
        }

    def _row(self, row: int) -> dict[str, Any]:
        subject = self.subject
        texts = [{"name": n, "text": subject.text_at(n, row - 1)} for n in subject.text]
        target = subject.targets[row - 1]
        return {"row": row, "texts": texts, "labels": None if target is None else labels_of(target)}

    def _of_row(self, finding: int, row: int) -> dict[str, Any]:
        """What a finding says of one row in figures."""
        told = self._details.get((finding, row), {})
        return {name: told[name] for name in ("probability", "likeness") if name in told}

    def _beside(self, row: int) -> Iterator[tuple[int, str]]:
        """Other rows of the row's groups, each with the check that puts them together."""
        seen = {row}
        for finding in self.flags(row):
            for other in self._groups.get((finding, row), ()):
                if other not in seen and len(seen) <= _MOST_BESIDE:
                    seen.add(other)
                    yield other, self.findings[finding].check

    def _suggestion(self, row: int, beside: Sequence[tuple[int, str]]) -> dict[str, Any] | None:
        """The label that is expected instead, and how likely the given one is to be wrong."""
        for finding in self.flags(row):
            told = self._details.get((finding, row), {})
            if "suggested" in told:
                return {"label": told["suggested"], "probability": told.get("probability")}
        own = self.subject.targets[row - 1]
        if isinstance(own, str) and (meant := self._faulty.get(own)) is not None:
            return {"label": meant, "probability": None}
        votes = Counter(self.subject.targets[other - 1] for other, _ in beside)
        for target, count in votes.most_common(1):
            if isinstance(target, str) and target != own and count > votes[own] + 1:
                return {"label": target, "probability": None}
        return None

    def _choices(
        self, row: int, suggested: Mapping[str, Any] | None, beside: Sequence[tuple[int, str]]
    ) -> list[dict[str, Any]]:
        """The labels that the number keys stand for, the likeliest first."""
        chances: dict[str, float | None] = {}
        if suggested is not None:
            chances[suggested["label"]] = None
        for finding in self.flags(row):
            chances |= self._details.get((finding, row), {}).get("likeliest", {})
        own = self.subject.targets[row - 1]
        several = self.subject.has_several_labels
        near = [self.subject.targets[other - 1] or () for other, _ in beside]
        common = [label for label, _ in self.subject.label_counts.most_common(2 * _MOST_CHOICES)]
        standing = labels_of(own or ()) if several else ()
        for label in (*standing, *_labels(near), *common):
            chances.setdefault(label, None)
        taken = [
            label
            for label in chances
            if (several or label != own) and (label not in self._faulty or label in standing)
        ]
        return [{"label": one, "probability": chances[one]} for one in taken[:_MOST_CHOICES]]


def make_queue(subject: Subject, findings: Iterable[Finding]) -> Queue:
    """The rows that findings name: suspected labels by suspicion, then labels that contradict one
    another, near copies, outliers, and what else was found.
    """
    ranks = {check: rank for rank, check in enumerate((*_FIRST, "", *_LAST))}
    bound = [finding for finding in findings if len(finding.rows) and not finding.part]
    bound.sort(key=lambda finding: ranks.get(finding.check, ranks[""]))
    reasons: dict[int, list[int]] = {}
    details: dict[tuple[int, int], Mapping[str, Any]] = {}
    groups: dict[tuple[int, int], Sequence[int]] = {}
    for place, finding in enumerate(bound):
        for row in _in_order(finding):
            if 1 <= row <= subject.num_rows:
                reasons.setdefault(row, []).append(place)
        details |= {(place, int(one["row"])): one for one in finding.details if "row" in one}
        groups |= {(place, row): group for group in finding.groups for row in group}
    known = {row: tuple(places) for row, places in reasons.items()}
    items = tuple(Item(row, places) for row, places in known.items())
    return Queue(subject, tuple(bound), items, known, details, groups, _faulty(subject, bound))


def _faulty(subject: Subject, findings: Iterable[Finding]) -> dict[str, str | None]:
    """Labels that are another one written otherwise or misspelt, or stand for nothing."""
    told = [one for f in findings if f.column == subject.target for one in f.details]
    return {
        str(one["value"]): one.get("suggested")
        for one in told
        if one.get("value") in subject.label_counts
    }


def _in_order(finding: Finding) -> list[int]:
    """A finding's rows: as its details rank them, else group by group, else as they stand."""
    named = dict.fromkeys(finding.rows.tolist())
    grouped = [row for group in finding.groups for row in group]
    ranked = [] if grouped else [int(one["row"]) for one in finding.details if "row" in one]
    return list(dict.fromkeys([*(row for row in (*grouped, *ranked) if row in named), *named]))


def _labels(targets: Iterable[Target]) -> list[str]:
    return [label for target in targets for label in labels_of(target)]
