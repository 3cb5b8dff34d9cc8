"""Explanations as a web page: what the templates in `templates/` are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from tunesmith.explanation._drivers import LabelDrivers
from tunesmith.explanation._masked import masked
from tunesmith.explanation._results import ExplainedText, Explanation, WordAttribution, signed
from tunesmith.explanation._view import GlobalView
from tunesmith.pages import Templates, shades_of
from tunesmith.types import Estimate, LabelPrediction, Target

__all__ = ["render_page", "shades"]

MAX_TEXTS = 100
MAX_CHARACTERS = 4_000
MAX_EXPLANATIONS = 10
MAX_LABELS = 100
NUM_WORDS = 10
BAR_WIDTH = 200


def render_page(
    texts: Sequence[ExplainedText] = (),
    view: GlobalView | None = None,
    *,
    title: str,
    source: str = "",
    notes: Sequence[str] = (),
    num_words: int = NUM_WORDS,
) -> str:
    """A whole page, whose own Content-Security-Policy allows its one style sheet and no more.

    Personal data in texts is masked, and of many or long texts a bounded part is shown.

    Args:
        texts: explained one by one.
        view: of many rows at once.
        title: the model's name.
        source: the file that the rows are of.
        notes: what was said on the way.
        num_words: how many words are listed beside each text and label.
    """
    shown = [_text(masked(text), num_words) for text in texts[:MAX_TEXTS]]
    return _templates().render(
        "page.html",
        {
            "title": title,
            "source": source,
            "notes": list(dict.fromkeys(notes)),
            "texts": shown,
            "num_left_out": max(0, len(texts) - MAX_TEXTS),
            "view": view,
            "labels": [] if view is None else _labels(view.drivers, num_words),
            "mistakes": [_text(one, num_words) for one in (() if view is None else view.mistakes)],
            "bar_width": BAR_WIDTH,
        },
    )


@lru_cache(maxsize=1)
def _templates() -> Templates:
    filters = {
        "interval": _interval,
        "percent": lambda share: f"{100 * share:.1f}\u202f%",
        "signed": signed,
        "target": _target,
        "thousands": lambda value: f"{value:,}",
    }
    return Templates("tunesmith.explanation", "explanation.css", filters)


def shades(words: Sequence[WordAttribution]) -> list[int]:
    """How strongly each word is coloured: −5 (against) to 5 (for), 0 for next to nothing."""
    return shades_of([word.attribution for word in words])


def _text(text: ExplainedText, num_words: int) -> dict[str, Any]:
    answer = text.prediction
    return {
        "row": text.row,
        "target": text.target,
        "answer": answer.label if isinstance(answer, LabelPrediction) else answer.labels,
        "is_cut": text.is_cut,
        "num_tokens": text.num_tokens,
        "full_tokens": text.full_tokens,
        "explanations": [
            _explanation(text, one, num_words) for one in text.explanations[:MAX_EXPLANATIONS]
        ],
        "num_other_labels": max(0, len(text.explanations) - MAX_EXPLANATIONS),
        "neighbours": text.neighbours,
    }


def _explanation(text: ExplainedText, one: Explanation, num_words: int) -> dict[str, Any]:
    facts = one.facts()
    top = [word for word in one.top(num_words) if word.attribution]
    most = max((abs(word.attribution) for word in top), default=0.0)
    return {
        "label": one.label,
        "probability": one.probability,
        "fields": [
            (field if len(text.fields) > 1 else "", list(_pieces(value, one, field)))
            for field, value in zip(text.fields, text.inputs, strict=True)
        ],
        "top": [(word.text, word.attribution, _bar(word.attribution, most)) for word in top],
        "facts": facts[:1].upper() + facts[1:],
    }


def _pieces(text: str, explanation: Explanation, field: str) -> Iterator[tuple[str, int, float]]:
    """A text as pieces: text, shade, and what it adds to the label's log-odds."""
    end = 0
    for word, shade in zip(explanation.words, shades(explanation.words), strict=True):
        if word.field != field:
            continue
        if word.end > MAX_CHARACTERS:
            yield "…", 0, 0.0
            return
        if word.start > end:
            yield text[end : word.start], 0, 0.0
        yield word.text, shade, word.attribution
        end = word.end
    if end < len(text):
        rest = text[end : end + MAX_CHARACTERS]
        yield rest + "…" * (len(text) > end + MAX_CHARACTERS), 0, 0.0


def _bar(value: float, most: float) -> tuple[float, float]:
    """Where a bar on both sides of a middle begins, and its width."""
    width = round(BAR_WIDTH / 2 * abs(value) / most, 1)
    return (BAR_WIDTH / 2 if value > 0 else BAR_WIDTH / 2 - width), width


def _labels(drivers: Sequence[LabelDrivers], num_words: int) -> list[dict[str, Any]]:
    found = []
    for one in drivers[:MAX_LABELS]:
        words = one.words[:num_words]
        most = max((word.attribution for word in words), default=0.0)
        bars = [
            (word, round(BAR_WIDTH * word.attribution / most, 1) if most else 0) for word in words
        ]
        found.append({"label": one.label, "num_rows": one.num_rows, "words": bars})
    return found


def _interval(estimate: Estimate) -> str:
    """Points of probability with their interval, on one line."""
    if not estimate.has_interval:
        return f"{100 * estimate.value:.1f} (–)".replace("-", "−")
    value, low, high = (f"{100 * x:.1f}".replace("-", "−") for x in (
        estimate.value, estimate.low, estimate.high))  # fmt: skip
    return f"{value} ({low} to {high})".replace(" ", "\u00a0")


def _target(target: Target) -> str:
    return target if isinstance(target, str) else ", ".join(target) or "no label"
