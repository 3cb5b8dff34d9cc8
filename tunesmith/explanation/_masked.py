"""Explanations without the personal data of their texts, for what is handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.checks import personal_spans
from tunesmith.explanation._results import ExplainedText, WordAttribution

__all__ = ["masked"]


def masked(text: ExplainedText) -> ExplainedText:
    """The same with personal data as the name of what it is, such as "[e-mail]".

    The words that it was made of become one, which adds what they added together; starts and ends
    are of the masked text. Names of people are not looked for.
    """
    fields = {field: _Masked(value) for field, value in zip(text.fields, text.inputs, strict=True)}
    return replace(
        text,
        inputs=tuple(fields[field].text for field in text.fields),
        explanations=tuple(
            replace(one, words=_words(one.words, fields)) for one in text.explanations
        ),
    )


class _Masked:
    """A text, and where places of it are when it is masked."""

    def __init__(self, text: str) -> None:
        self._spans: list[tuple[int, int, int, int]] = []
        parts, end, length = [], 0, 0
        for start, stop, kind in personal_spans(text):
            name = f"[{kind}]"
            parts += [text[end:start], name]
            new = length + start - end
            length = new + len(name)
            self._spans.append((start, stop, new, length))
            end = stop
        self.text = "".join([*parts, text[end:]])

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where a piece is; what is partly masked reaches to the ends of the mask."""
        first, last = start, end
        for old_start, old_end, new_start, new_end in self._spans:
            if old_start < end:
                last = new_end + max(end - old_end, 0)
            if old_start <= start:
                first = new_start if start < old_end else new_end + start - old_end
        return first, last


def _words(
    words: Sequence[WordAttribution], fields: dict[str, _Masked]
) -> tuple[WordAttribution, ...]:
    found: list[WordAttribution] = []
    for word in words:
        own = fields[word.field]
        start, end = own.place(word.start, word.end)
        value = word.attribution
        if found and found[-1].field == word.field and start < found[-1].end:
            before = found.pop()
            start, end, value = before.start, max(end, before.end), value + before.attribution
        found.append(WordAttribution(word.field, own.text[start:end], start, end, value))
    return tuple(found)
