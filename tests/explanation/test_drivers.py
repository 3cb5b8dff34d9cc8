"""The words that drive each label."""

from __future__ import annotations

import numpy as np

from tunesmith.explanation import ExplainedText, Explanation, WordAttribution, find_drivers
from tunesmith.explanation._attribution import Attribution
from tunesmith.types import LabelPrediction


def explained(label: str, text: str, *values: float) -> ExplainedText:
    """A text whose words, split at spaces, have these attributions."""
    words, place = [], 0
    for word, value in zip(text.split(" "), values, strict=True):
        words.append(WordAttribution("text", word, place, place + len(word), value))
        place += len(word) + 1
    attribution = Attribution(np.array(values), 1.0)
    one = Explanation(label, 0.9, "leave-one-out", "nothing", tuple(words), attribution)
    answer = LabelPrediction(label, 0.9, {label: 0.9})
    return ExplainedText(("text",), (text,), answer, (one,), 0, 0)


TEXTS = [
    explained("money", "Refund now", 2.0, 0.1),
    explained("money", "refund REFUND please", 1.0, 1.0, -0.5),
    explained("money", "please a@b.org", -0.3, 5.0),
    explained("money", "now a@b.org rare", 0.3, 5.0, 9.0),
    explained("parcel", "refund", 0.2),
]


def test_means_over_rows_the_strongest_first() -> None:
    money, parcel = find_drivers(TEXTS, ["login", "money", "parcel"], min_rows=2)
    assert (money.label, money.num_rows) == ("money", 4)
    assert [(w.word, w.attribution, w.num_rows) for w in money.words] == [
        ("refund", 2.0, 2),
        ("now", 0.2, 2),
    ]
    assert money.num_rare == 1, "the rare word; personal data is no word"
    assert (parcel.words, parcel.num_rare) == ((), 1)
    assert money.as_dict()["words"][0] == {"word": "refund", "attribution": 2.0, "num_rows": 2}


def test_personal_data_is_no_word() -> None:
    (money,) = find_drivers(TEXTS[:4], ["money"], min_rows=1)
    assert {word.word for word in money.words} == {"rare", "refund", "now"}
