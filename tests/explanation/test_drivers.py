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
    (money,) = find_drivers(TEXTS[:4], ["login", "money", "parcel"], min_rows=2)
    assert (money.label, money.num_rows) == ("money", 4)
    assert [(w.word, w.attribution, w.num_rows) for w in money.words] == [
        ("refund", 2.0, 2),
        ("now", 0.2, 2),
    ]
    assert money.num_rare == 1, "the rare word; personal data is no word"
    values = money.as_dict()
    assert values["words"][0] == {"word": "refund", "attribution": 2.0, "num_rows": 2}
    assert (values["num_rare"], values["num_unspecific"]) == (1, 0)


def test_personal_data_is_no_word() -> None:
    (money,) = find_drivers(TEXTS[:4], ["money"], min_rows=1)
    assert {word.word for word in money.words} == {"rare", "refund", "now"}


def test_words_that_drive_nothing_in_particular_are_left_out() -> None:
    """A word for each label; others speak for all labels alike, or now and then."""
    chance = np.random.default_rng(0)
    texts = []
    for number in range(60):
        label = ("money", "parcel")[number % 2]
        own = ("refund", "courier")[number % 2] if number % 3 else "hello"
        values = chance.normal([2.0 if number % 3 else 0.0, 0.3, 0.0, 0.1], [0.5, 0.1, 1.0, 0.05])
        words = f"{own} the word{number % 5} ."
        texts.append(explained(label, words, *values.tolist()))
    money, parcel = find_drivers(texts, ["money", "parcel"])
    assert [word.word for word in money.words] == ["refund"]
    assert [word.word for word in parcel.words] == ["courier"]
    assert money.num_unspecific >= 2, "the stop word and the full stop, among others"
    (only,) = find_drivers(texts[::2], ["money"])
    assert {"refund", "the", "."} <= {word.word for word in only.words}, "nothing to compare with"


def test_a_word_may_drive_several_labels_of_many() -> None:
    chance = np.random.default_rng(1)
    labels = [f"label {number % 6}" for number in range(120)]
    texts = [
        explained(label, f"{'card' if label in ('label 0', 'label 1') else 'the'} x",
                  *chance.normal([1.5, 0.0], 0.3).tolist())
        for label in labels
    ]  # fmt: skip
    found = {
        one.label: [w.word for w in one.words] for one in find_drivers(texts, sorted({*labels}))
    }
    assert found["label 0"] == found["label 1"] == ["card"]


def test_values_without_spread_are_no_fault() -> None:
    texts = [explained(label, "same", 1.0) for label in ("a", "a", "a", "b", "b", "b")]
    assert [one.words for one in find_drivers(texts, ["a", "b"])] == [(), ()]
