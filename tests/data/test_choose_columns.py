"""Columns named, guessed, and not to be guessed."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tunesmith.data import Table, choose_columns
from tunesmith.errors import DataError

REVIEWS = [f"this film is number {n} of all" for n in range(12)]
PLOTS = [f"in part {n} a man walks home" for n in range(12)]
STARS = [str(n % 3) for n in range(12)]
COLOURS = ["red", "blue"] * 6
IDS = [f"id{n}" for n in range(12)]


def table(**columns: list) -> Table:
    return Table(pa.table(columns), "x.csv")


def test_named_columns() -> None:
    chosen = choose_columns(table(a=REVIEWS, b=STARS, label=COLOURS), text=["a"], target="b")
    assert (chosen.text, chosen.target, chosen.notes) == (("a",), "b", ())


def test_pair_of_texts() -> None:
    data = table(premise=REVIEWS, hypothesis=PLOTS, label=STARS)
    assert choose_columns(data, text=["premise", "hypothesis"]).text == ("premise", "hypothesis")


@pytest.mark.parametrize("name", ["label", "Label", "target", "category", "sentiment", "intent"])
def test_target_by_name(name: str) -> None:
    chosen = choose_columns(table(review=REVIEWS, colour=COLOURS, **{name: STARS}))
    assert (chosen.text, chosen.target) == (("review",), name)
    assert chosen.notes == (
        f"target column: {name!r} (guessed; --target chooses another)",
        "text column: 'review' (guessed; --text chooses another)",
    )


@pytest.mark.parametrize(
    "values",
    [STARS, [n % 3 for n in range(12)], [float(n % 3) for n in range(12)], [True, False] * 6],
)
def test_target_by_few_values(values: list) -> None:
    chosen = choose_columns(table(id=IDS, review=REVIEWS, stars=values))
    assert (chosen.text, chosen.target) == (("review",), "stars")


def test_list_column_is_a_target() -> None:
    data = table(id=IDS, review=REVIEWS, moods=[["joy"], []] * 6)
    assert choose_columns(data).target == "moods"


def test_scores_are_no_labels() -> None:
    with pytest.raises(DataError, match="no column looks like the target"):
        choose_columns(table(review=REVIEWS, score=[n % 3 + 0.5 for n in range(12)]))


def test_two_possible_targets() -> None:
    with pytest.raises(DataError) as caught:
        choose_columns(table(review=REVIEWS, stars=STARS, colour=COLOURS))
    assert str(caught.value) == (
        "x.csv: several columns could be the target: 'stars', 'colour'\n  → name it with --target"
    )
    with pytest.raises(DataError, match="'label', 'sentiment'"):
        choose_columns(table(review=REVIEWS, label=STARS, sentiment=COLOURS))


def test_two_possible_texts() -> None:
    with pytest.raises(DataError, match="several columns could be the text: 'a', 'b'"):
        choose_columns(table(a=REVIEWS, b=PLOTS, label=STARS))


def test_text_by_name() -> None:
    assert choose_columns(table(doc=PLOTS, text=REVIEWS, label=STARS)).text == ("text",)
    assert choose_columns(table(id=IDS, text=IDS[::-1], label=STARS)).text == ("text",)


def test_only_column_left_is_the_text() -> None:
    assert choose_columns(table(word=IDS, label=STARS)).text == ("word",)


def test_text_without_spaces_between_words() -> None:
    reviews = [f"早餐太差无论去多少人那边也不加食品的{n}" for n in range(12)]
    assert choose_columns(table(id=IDS, review=reviews, label=STARS)).text == ("review",)


def test_all_guesses_that_fail_are_reported() -> None:
    with pytest.raises(DataError) as caught:
        choose_columns(table(id=IDS, key=IDS))
    assert [fault.what for fault in caught.value.faults] == [
        "no column looks like the target",
        "no column looks like the text",
    ]
    assert "the columns are 'id', 'key'" in str(caught.value)


def test_named_columns_that_do_not_exist() -> None:
    with pytest.raises(DataError) as caught:
        choose_columns(table(review=REVIEWS, label=STARS), text=["reviw"], target="lable")
    assert len(caught.value.faults) == 2
    assert "did you mean 'review'?" in str(caught.value)
    assert "did you mean 'label'?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (["a"], "a", "both as the text and as the target"),
        (["a", "a"], "label", "named twice"),
        (["a", "b", "label"], None, "3 text columns are named"),
    ],
)
def test_contradictions(text: list[str], target: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_columns(table(a=REVIEWS, b=PLOTS, label=STARS), text=text, target=target)


def test_named_text_is_not_guessed_as_target() -> None:
    chosen = choose_columns(table(label=REVIEWS, stars=STARS), text=["label"])
    assert chosen.target == "stars"


def test_without_target() -> None:
    chosen = choose_columns(table(review=REVIEWS, label=STARS), with_target=False)
    assert (chosen.text, chosen.target) == (("review",), None)
    chosen = choose_columns(table(word=IDS), target="ignored", with_target=False)
    assert (chosen.text, chosen.target) == (("word",), None)


def test_missing_values_and_odd_types_do_no_harm() -> None:
    data = table(
        review=[None, "", *REVIEWS[2:]],
        nothing=[None] * 12,
        thing=[{"a": 1}] * 12,
        text_code=pa.array(IDS).dictionary_encode().to_pylist(),
        label=STARS,
    )
    assert choose_columns(data).text == ("review",)
