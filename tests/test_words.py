"""Texts as words, and texts without some of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.words import (
    _dictionaries,
    keep_words,
    leave_out_each,
    missing_dictionary,
    split_words,
    words_of,
)


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n", []),
        ("Don't e-mail me!!", ["Don't", "e-mail", "me", "!!"]),
        ("It costs 3.50, or 1,000.", ["It", "costs", "3.50", ",", "or", "1,000", "."]),
        ("- a -b c- 'quoted'", ["-", "a", "-", "b", "c", "-", "'", "quoted", "'"]),
        ("snake_case a/b", ["snake_case", "a", "/", "b"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("👩‍👩‍👧 👍🏽 🇨🇳", ["👩‍👩‍👧", "👍🏽", "🇨🇳"]),
        ("привет, мир", ["привет", ",", "мир"]),
        ("我的iPhone坏了", ["我", "的", "iPhone", "坏", "了"]),
    ],
)
def test_whole_words(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("包裹在哪里", ["包", "裹", "在", "哪", "里"]),
        ("注文はデータです", ["注", "文", "は", "データ", "で", "す"]),
        ("ที่ดี", ["ที่", "ดี"]),
    ],
)
def test_without_a_dictionary_each_character_is_a_word(
    text: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dictionaries, "_is_installed", lambda name: False)
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "我的包裹没有送到，请退款！",
            ["我", "的", "包裹", "没有", "送到", "，", "请", "退款", "！"],
        ),
        (
            "这个の好用得很，我们都很喜欢",
            ["这个", "の", "好用", "得", "很", "，", "我们", "都", "很", "喜欢"],
        ),
        ("用iPhone付款 3.5元", ["用", "iPhone", "付款", "3.5", "元"]),
        ("退款\n退款", ["退款", "退款"]),
        ("𠮷野家很好吃", ["𠮷", "野家", "很", "好吃"]),
    ],
)
def test_chinese_words(text: str, found: list[str]) -> None:
    pytest.importorskip("rjieba")
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("注文はデータです", ["注文", "は", "データ", "です"]),
        ("𠮷野家で注文した", ["𠮷", "野家", "で", "注文", "した"]),
        ("ที่นี่อากาศดีมาก", ["ที่", "นี่", "อากาศ", "ดี", "มาก"]),
        ("ខ្ញុំស្រឡាញ់អ្នក", ["ខ្ញុំ", "ស្រឡាញ់", "អ្នក"]),
    ],
)
def test_japanese_thai_and_khmer_words(text: str, found: list[str]) -> None:
    pytest.importorskip("icu4py")
    assert words(text) == found


@pytest.mark.parametrize(
    ("installed", "texts", "hint"),
    [
        ((), ["hello", "привет"], ""),
        ((), ["退款", "hello"], "each Chinese character is a word here: pip install rjieba"),
        ((), ["退款", "注文はデータです"], "each Japanese character is a word here"),
        (("rjieba",), ["退款"], ""),
        (("rjieba",), ["退款", "ที่นี่"], "each character of scripts without spaces is a word here"),
        (("icu4py",), ["退款", "ที่นี่"], ""),
    ],
)
def test_what_to_install_is_said(
    installed: tuple[str, ...], texts: list[str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dictionaries, "_is_installed", lambda name: name in installed)
    said = missing_dictionary(texts)
    assert said.startswith(hint)
    assert bool(said) is bool(hint)


@given(st.text())
def test_every_character_but_white_space_is_in_one_word(text: str) -> None:
    found = split_words(text)
    covered = [place for start, end in found for place in range(start, end)]
    assert covered == sorted(set(covered))
    assert not any(text[place].isspace() for place in covered)
    rest = set(range(len(text))) - set(covered)
    assert all(text[place].isspace() for place in rest)


@given(st.lists(st.text(), min_size=1, max_size=2), st.randoms())
def test_what_is_kept_is_there_and_nothing_else(texts, random) -> None:
    inputs = tuple(texts)
    own = words_of(inputs)
    kept = np.array([random.random() < 0.5 for _ in own], dtype=bool)
    left = keep_words(inputs, own, kept)
    for field, text in enumerate(left):
        wanted = [
            inputs[field][word.start : word.end]
            for word, stays in zip(own, kept, strict=True)
            if word.field == field and stays
        ]
        assert "".join(text.split()) == "".join("".join(wanted).split())


@pytest.mark.parametrize(
    ("text", "left_out", "found"),
    [
        ("hello, world", {1}, "hello world"),
        ("a (b) c", {1}, "a b) c"),
        ("one two  three", {0}, "two  three"),
        ("one two three", {1}, "one three"),
        ("退，请", {1}, "退请"),
        ("x", {0}, ""),
    ],
)
def test_no_two_words_grow_together(text: str, left_out: set[int], found: str) -> None:
    own = words_of((text,))
    kept = np.array([place not in left_out for place in range(len(own))])
    assert keep_words((text,), own, kept) == (found,)


@given(st.lists(st.text(), min_size=1, max_size=2))
def test_each_word_left_out_in_turn(texts: list[str]) -> None:
    inputs = tuple(texts)
    own = words_of(inputs)
    found = leave_out_each(inputs, own)
    assert len(found) == len(own)
    for word, left, row in zip(own, found, ~np.eye(len(own), dtype=bool), strict=True):
        kept = keep_words(inputs, own, row)
        assert left[word.field] == kept[word.field]
        assert all(left[field] == text for field, text in enumerate(inputs) if field != word.field)
