"""Changes of texts that should not matter, and models of which it is known what they mind."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation._perturbations import PERTURBATIONS
from tunesmith.evaluation._robustness import Robustness, judge_robustness
from tunesmith.types import Dataset

from .rows_for_tests import ONE, SEVERAL, dataset_of, random_texts


def changed(name, text, seed=0):
    return PERTURBATIONS[name](text, random.Random(seed))


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("letter case", "ABC 1", "abc 1"),
        ("punctuation", "Where is it?", "Where is it"),
        ("punctuation", "Where is it", "Where is it."),
        ("punctuation", "房间很干净", "房间很干净。"),
        ("punctuation", "!!!", "!!!"),
        ("white space", "one two", " one  two "),
        ("contractions", "I do not know, it's late", "I don't know, it is late"),
        ("contractions", "I don’t know", "I do not know"),
        ("contractions", "DO NOT ENTER", "DON'T ENTER"),
        ("contractions", "nothing here", "nothing here"),
        ("synonyms", "Enormous kids", "Huge children"),
        ("synonyms", "Perhaps tomorrow", "Maybe tomorrow"),
        ("synonyms", "为什么不行？我很高兴", "为何不行？我很开心"),
        ("character width", "很好，谢谢！", "很好,谢谢!"),
        ("character width", "很好,谢谢", "很好，谢谢"),
        ("character width", "fine, thanks", "fine, thanks"),
        ("numbers", "room 7", "room 7"),
        ("names", "It was Mark", "It was Mark"),
    ],
)
def test_what_becomes_of_a_text(name, before, after):
    assert changed(name, before) == after


def test_a_synonym_within_a_longer_chinese_word_stays():
    pytest.importorskip("rjieba")
    assert changed("synonyms", "母亲节祝母亲快乐") == "母亲节祝妈妈快乐"


@pytest.mark.parametrize(
    "text",
    [
        "I got sick, and my doctor needs help at once",
        "I need to film the start of the holiday",
        "a concerning issue, and a big deal",
        "一起案件十分钟", "怎么了？全部完成，非常特别", "大概不过如此",
    ],
)  # fmt: skip
def test_words_that_mean_more_than_one_thing_stay(text):
    assert changed("synonyms", text) == text


def test_typos_leave_length_and_first_letters_about_as_they_are():
    text = "where is the parcel that was ordered before yesterday by somebody"
    for seed in range(50):
        typed = changed("typos", text, seed)
        assert typed != text
        assert len(typed) == len(text)
        assert [word[0] for word in typed.split()] == [word[0] for word in text.split()]
    assert changed("typos", "a b 12") == "a b 12"


def test_numbers_and_names_become_others():
    assert (found := changed("numbers", "order 4711 of 23 items"))[:6] == "order "
    assert "4711" not in found
    assert [len(word) for word in found.split()] == [5, 4, 2, 2, 5]
    names = changed("names", "Mary met John, and Mary left").split()
    assert names[0] == names[4]
    assert names[0] not in ("Mary", "John")
    assert changed("names", "王先生来了")[0] != "王"
    assert changed("names", "王先生来了")[1:] == "先生来了"


@given(st.sampled_from(sorted(PERTURBATIONS)), st.text(max_size=200), st.integers(0, 99))
def test_any_text_can_be_changed_and_the_same_chance_does_the_same(name, text, seed):
    assert changed(name, text, seed) == changed(name, text, seed)


def model(minds):
    """Says "a", but "b" where it minds something in the text."""

    def ask(inputs):
        return np.array([[0.0, 4.0, 0.0] if minds(own[0]) else [2.0, 0.0, 0.0] for own in inputs],
                        dtype=np.float32)  # fmt: skip

    return ask


def test_what_a_model_minds_is_found():
    texts = [f"Where is parcel {place}" for place in range(10, 130)]
    data = dataset_of(texts)
    ask = model(lambda text: text.isupper())
    found = judge_robustness(ONE, data, ask(data.inputs), ask, max_rows=80, seed=3)
    assert found.num_rows == 80
    checks = {one.name: one for one in found.checks}
    assert "synonyms" not in checks  # nothing to change
    assert checks["typos"].kept.value == 1.0
    assert checks["typos"].mean_change == 0.0
    case = checks["letter case"]
    assert 0.3 < case.kept.value < 0.7
    assert case.kept.low < case.kept.value < case.kept.high
    broken = case.broken[0]
    assert (broken.answer, broken.answer_after) == ("a", "b")
    assert broken.after == (texts[broken.row - 1].upper(),)
    assert "letter case" in found.sentences()[0]
    assert Robustness.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    again = judge_robustness(ONE, data, ask(data.inputs), ask, max_rows=80, seed=3)
    assert again == found


def test_one_of_ones_own_and_several_labels_and_two_texts():
    generator = np.random.default_rng(0)
    texts = random_texts(generator, 30)
    data = Dataset((texts, texts), None, np.arange(1, 31), "x.csv")

    def shout(text, chance):
        return f"{text}!!"

    def ask(inputs):
        assert all(len(own) == 2 for own in inputs)
        return np.array([[1.0, -1.0, 1.0 if own[0].endswith("!!") else -1.0] for own in inputs],
                        dtype=np.float32)  # fmt: skip

    found = judge_robustness(
        SEVERAL, data, ask(data.inputs), ask, perturbations={"shouting": shout}
    )
    (check,) = found.checks
    assert check.name == "shouting"
    assert check.kept.value == 0.0
    assert check.broken[0].answer_after == ("a", "c")


def test_long_texts_are_fewer_and_personal_data_is_masked():
    texts = [f"Write to anna{place}@example.com now " + "word " * 1000 for place in range(60)]
    data = dataset_of(texts)
    ask = model(lambda text: text != text.lower())
    found = judge_robustness(ONE, data, ask(data.inputs), ask)
    assert found.num_rows == 20
    assert "example.com" not in json.dumps(found.as_dict())
    assert max(len(one.before[0]) for check in found.checks for one in check.broken) <= 500


def test_too_few_rows():
    data = dataset_of(["a text"] * 4)
    ask = model(lambda text: False)
    assert judge_robustness(ONE, data, ask(data.inputs), ask) is None
