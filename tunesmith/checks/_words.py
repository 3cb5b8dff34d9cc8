"""Words that give the label away, and lines that stand in every text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from tunesmith.checks._finding import Finding, counted
from tunesmith.checks._masking import redacted
from tunesmith.checks._subject import Subject
from tunesmith.data import labels_of

__all__ = ["check_boilerplate", "check_label_in_text", "check_telltale_words"]

_SAMPLE_ROWS = 50_000
_FEWEST_ROWS = 20
_TELLS, _COVERS = 0.99, 0.8
_BOILERPLATE_WORDS = 6
_BOILERPLATE_SHARE = 0.05
_WORD = re.compile(r"[^\W_]+(?:[-'’_][^\W_]+)*")


def check_telltale_words(subject: Subject) -> Iterator[Finding]:
    """Finds words that stand in nearly all rows of one label and in hardly any other row."""
    rows_with: Counter[tuple[str, str]] = Counter()
    rows_of_word: Counter[str] = Counter()
    rows_of_label: Counter[str] = Counter()
    num_rows = 0
    for _, text, labels in _sample(subject):
        num_rows += 1
        words = {word.casefold() for word in _WORD.findall(text)}
        rows_of_word.update(words)
        for label in labels:
            rows_of_label[label] += 1
            rows_with.update((label, word) for word in words)
    found = [
        (label, word, count / rows_of_label[label])
        for (label, word), count in rows_with.items()
        if count >= _FEWEST_ROWS
        and count >= _TELLS * rows_of_word[word]
        and count >= _COVERS * rows_of_label[label]
        and rows_of_label[label] < num_rows
    ]
    if not found:
        return
    found.sort(key=lambda one: (-one[2], one[0], one[1]))
    shown = "; ".join(f"{word!r} for {label!r} ({share:.0%})" for label, word, share in found[:5])
    yield Finding(
        check="telltale-words",
        severity="warning",
        message=f"{counted(len(found), 'word stands', 'words stand')}"
        " in nearly all rows of one label and in no others: "
        f"{shown}",
        fix="see that such a word will be there when the model is used; a ticket number or a word "
        "that was added with the label will not, and must come out of the text",
        column=subject.text[0],
        details=[
            {"label": redacted(label), "word": redacted(word), "share": round(share, 4)}
            for label, word, share in found[:100]
        ],
    )


def check_label_in_text(subject: Subject) -> Iterator[Finding]:
    """Finds labels that are written into the text as a label, such as "[spam]" or "label: spam"."""
    labels = [label for label in subject.label_counts if len(label) > 1]
    if not labels or len(labels) > 1000:
        return
    choice = "|".join(sorted(map(re.escape, labels), key=len, reverse=True))
    marked = re.compile(
        rf"[\[<({{]\s*({choice})\s*[\]>)}}]|(?:label|class|category|tag|target)\s*[:=]\s*({choice})\b",
        re.IGNORECASE,
    )
    rows = [
        row
        for row, text, own in _sample(subject)
        if (hit := marked.search(text))
        and (hit[1] or hit[2]).casefold() in {label.casefold() for label in own}
    ]
    if len(rows) < 3:
        return
    yield Finding(
        check="label-in-text",
        severity="warning",
        message=f"{len(rows):,} texts hold their own label, marked as one",
        fix="take it out of the text: it will not be there when the model is used",
        rows=np.array(rows, dtype=np.int64),
        column=subject.text[0],
    )


def check_boilerplate(subject: Subject) -> Iterator[Finding]:
    """Finds beginnings and ends that many texts share, such as a greeting or a signature."""
    beginnings: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    examples: dict[str, list[int]] = {}
    num_rows = 0
    for row, text, _ in _sample(subject):
        num_rows += 1
        words = text.split()
        if len(words) < 2 * _BOILERPLATE_WORDS:
            continue
        for counts, part in (
            (beginnings, words[:_BOILERPLATE_WORDS]),
            (ends, words[-_BOILERPLATE_WORDS:]),
        ):
            key = " ".join(part)
            counts[key] += 1
            examples.setdefault(key, []).append(row)
    for counts, where in ((beginnings, "begin"), (ends, "end")):
        for key, count in counts.most_common(3):
            if count < max(_FEWEST_ROWS, _BOILERPLATE_SHARE * num_rows):
                break
            yield Finding(
                check="boilerplate",
                severity="note",
                message=f"{count:,} texts {where} with the same words: {key!r}",
                fix="take out what stands in many texts and says nothing of the label: it costs "
                "room and time",
                rows=np.array(examples[key], dtype=np.int64),
                column=subject.text[0],
            )


def _sample(subject: Subject) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Row, text and labels of complete rows: all of them, or some spread over a long file."""
    places = np.flatnonzero(subject.is_complete)
    step = max(1, -(-len(places) // _SAMPLE_ROWS))
    column = subject.whole_texts
    for place in places[::step].tolist():
        yield place + 1, str(column[place].as_py()), labels_of(subject.targets[place] or ())
