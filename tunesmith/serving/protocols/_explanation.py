"""Why a text has a label's probability, as JSON: the same in /v1/explain and in /v1/predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, Field

from tunesmith.serving.explaining import ExplainedInputs
from tunesmith.tasks import Task

__all__ = ["Explanation", "cut_warnings", "explanation", "piece_warnings"]


class WordEffect(BaseModel):
    """One word, and what it adds to the label's log-odds."""

    field: str = Field(description="The column that its text is of")
    text: str
    start: int = Field(description="Where it stands in that text, in characters of Unicode")
    end: int
    attribution: float = Field(
        description="Above 0 where it speaks for the label, below where it speaks against it"
    )


class Explanation(BaseModel):
    """Why a text has a label's probability."""

    label: str
    probability: float = Field(ge=0, le=1)
    log_odds: float = Field(description="ln(p / (1 - p)) of the text as far as it is read")
    words: list[WordEffect] = Field(description="The words that were read, in their order")


def explanation(one: ExplainedInputs, task: Task) -> dict[str, object]:
    """An explanation as JSON values, of the shape of `Explanation`."""
    return {
        "label": one.label,
        "probability": one.probability,
        "log_odds": one.log_odds,
        "words": [
            {
                "field": task.fields[word.field].name,
                "text": str(one.inputs[word.field])[word.start : word.end],
                "start": word.start,
                "end": word.end,
                "attribution": value,
            }
            for word, value in zip(one.pieces, one.attributions, strict=True)
        ],
    }


def cut_warnings(counts: Iterable[tuple[int, int]], max_length: int) -> Iterator[str]:
    """What to say of texts of which only the beginning was read.

    Args:
        counts: the place of each such text in the request, and its tokens.
        max_length: the most tokens that the model reads.
    """
    for index, count in counts:
        yield f"texts[{index}]: {count:,} tokens, only the first {max_length:,} were read"


def piece_warnings(found: Sequence[ExplainedInputs]) -> Iterator[str]:
    """What to say of texts that have too many words to leave out each."""
    for index, one in enumerate(found):
        if one.words_a_piece > 1:
            size = one.words_a_piece
            yield f"texts[{index}]: of so many words, {size} at a time are taken together"
