"""Explanations on the terminal: coloured words, and tables of the strongest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from tunesmith.cli._output import out

if TYPE_CHECKING:
    from tunesmith.explanation import ExplainedText, Explanation, Faithfulness, GlobalView
    from tunesmith.types import Estimate, Target

__all__ = ["print_texts", "print_view"]

_FOR = ("#e0f2f1", "#b2dfdb", "#80cbc4", "#4db6ac", "#26a69a")
_AGAINST = ("#fbe9e7", "#ffccbc", "#ffab91", "#ff8a65", "#ff7043")
_BAR = 12
_CHARACTERS = 200


def print_texts(texts: Sequence[ExplainedText], num_words: int) -> None:
    """Each text with its words coloured, its strongest words, and its nearest training rows."""
    for place, text in enumerate(texts):
        if place:
            out.print()
        _print_text(text, num_words)
        for one in text.neighbours:
            shown = " / ".join(one.inputs)
            if len(shown) > _CHARACTERS:
                shown = shown[: _CHARACTERS - 1].rstrip() + "…"
            head = f"near  {one.similarity:.2f}  {_target(one.target)}  "
            out.print(Text.assemble((head, "cyan"), shown), soft_wrap=True)


def print_view(view: GlobalView, source: str, num_words: int) -> None:
    """The words that drive each label, whether that is to be believed, and some mistakes."""
    from tunesmith.checks import counted
    from tunesmith.explanation import signed

    for drivers in view.drivers:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(Text(f"{drivers.label} ({counted(drivers.num_rows, 'row', 'rows')})"))
        for title in ("adds", "rows"):
            table.add_column(title, justify="right")
        for word in drivers.words[:num_words]:
            table.add_row(Text(word.word), signed(word.attribution), f"{word.num_rows:,}")
        if not drivers.words:
            table.add_row("no word stands in enough rows and speaks for it", "", "")
        out.print(table)
    if view.mistakes:
        out.print(Text("wrong answers, the surest first", style="bold"))
        for text in view.mistakes:
            out.print(Text(f"label {_target(text.target or ())}; the model:", style="cyan"))
            _print_text(text, num_words)
    if view.faithfulness is not None:
        _print_faithfulness(view.faithfulness)
    out.print(
        Text(
            f"{view.num_rows:,} of {view.of_rows:,} rows of {source}, by {view.method}; what a "
            f"word adds is in log-odds, on average; words in fewer than {view.min_rows} rows of "
            "a label are left out, and words that drive nothing in particular"
        ),
        soft_wrap=True,
    )


def _print_text(text: ExplainedText, num_words: int) -> None:
    for one in text.explanations:
        given = "" if _is_given(text, one) else "  (not given)"
        out.print(Text.assemble((one.label, "bold"), f"  {one.probability:.1%}{given}"))
        for line in _coloured(text, one):
            out.print(line, soft_wrap=True)
        out.print(_words(one, num_words))
        out.print(Text(one.facts(), style="dim"), soft_wrap=True)
    if text.is_cut:
        read = f"the first {text.num_tokens:,} of {text.full_tokens:,} tokens are read"
        out.print(Text(f"! {read}; the rest has no part in the answer", style="yellow"))


def _coloured(text: ExplainedText, explanation: Explanation) -> Iterator[Text]:
    """Each of the texts, green where it speaks for the label, red where against it."""
    from tunesmith.explanation import shades

    strengths = list(zip(explanation.words, shades(explanation.words), strict=True))
    for field, value in zip(text.fields, text.inputs, strict=True):
        line = Text(f"{field}: " if len(text.fields) > 1 else "")
        end = 0
        for word, shade in strengths:
            if word.field == field:
                line.append(value[end : word.start])
                line.append(value[word.start : word.end], style=_style(shade))
                end = word.end
        line.append(value[end:], style="dim" if text.is_cut else "")
        yield line


def _style(shade: int) -> str:
    if not shade:
        return ""
    return f"black on {(_FOR if shade > 0 else _AGAINST)[abs(shade) - 1]}"


def _words(explanation: Explanation, num_words: int) -> Table:
    from tunesmith.explanation import signed

    table = Table(box=None, pad_edge=False, show_header=False)
    top = [word for word in explanation.top(num_words) if word.attribution]
    most = max((abs(word.attribution) for word in top), default=0.0)
    for word in top:
        length = max(1, round(_BAR * abs(word.attribution) / most))
        style = "green" if word.attribution > 0 else "red"
        table.add_row(Text(word.text), signed(word.attribution), Text("█" * length, style=style))
    return table


def _print_faithfulness(own: Faithfulness) -> None:
    from tunesmith.checks import counted

    out.print()
    measures = (
        ("comprehensiveness: points that the answer loses without the top words; more is better",
         own.comprehensiveness, own.random_comprehensiveness, own.comprehensiveness_gain),
        ("sufficiency: what it loses with nothing but them; less is better",
         own.sufficiency, own.random_sufficiency, own.sufficiency_gain),
    )  # fmt: skip
    for name, these, by_lot, gain in measures:
        out.print(Text(name), soft_wrap=True)
        figures = f"these words {_points(these)}   words by lot {_points(by_lot)}"
        out.print(Text(f"  {figures}   better by {_points(gain)}"), soft_wrap=True)
    out.print(
        Text(f"{counted(own.num_rows, 'row', 'rows')}: {own.sentence()}", style="bold"),
        soft_wrap=True,
    )


def _points(estimate: Estimate) -> str:
    value, low, high = (100 * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} ({low:.1f} to {high:.1f})" if estimate.has_interval else f"{value:.1f} (–)"


def _is_given(text: ExplainedText, explanation: Explanation) -> bool:
    answer = text.prediction
    labels = getattr(answer, "labels", None)
    return explanation.label in ((answer.label,) if labels is None else labels)  # type: ignore[union-attr]


def _target(target: Target) -> str:
    return target if isinstance(target, str) else ", ".join(target) or "no label"
