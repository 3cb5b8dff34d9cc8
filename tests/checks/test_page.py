"""The page of a check: nothing leaves it, nothing breaks it, nothing on it is personal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.checks import Finding, Subject, run_checks
from tunesmith.checks._masking import excerpt
from tunesmith.checks._page import render_page
from tunesmith.checks._shown import plain, shown
from tunesmith.data import Table, read_table
from tunesmith.samples import SAMPLES

HOSTILE = '<script>alert("x")</script>$" onload=x \'&\u202e\u200b'
PRIVATE = ("jane.roe@example.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00")


def subject(
    texts: Sequence[str | None], labels: Sequence[object], name: str = "text", **others: object
) -> Subject:
    table = pa.table({name: texts, "label": labels, **others})
    return Subject(Table(table, "rows.csv"), (name,), "label")


class Page(HTMLParser):
    """Collects tags, attributes and texts, and checks that tags nest."""

    VOID = frozenset({"meta", "wbr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        self.text = "".join(self.texts)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("details", "ul", "table", "blockquote") or "p" not in self.open
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def suspected(*rows: tuple[int, str, str]) -> Finding:
    details = [
        {"row": row, "label": label, "suggested": other, "probability": 0.97}
        for row, label, other in rows
    ]
    return Finding(
        "suspected-label-errors", "warning", "labels look wrong", "read them",
        np.array([one["row"] for one in details]), column="label", details=details,
    )  # fmt: skip


def everything(text: str, label: str) -> tuple[Subject, list[Finding]]:
    """A subject of which every part of the page has something to show, and its findings."""
    texts: list[str | None] = [f"{text} number {place} of many words" for place in range(60)]
    texts += [texts[3], texts[4], "N/A", None, texts[5]]
    labels: list[object] = [f"{label} {place % 5}" for place in range(60)]
    labels += [labels[3], "other", "other", "other", None]
    checked = subject(texts, labels, **{f"{text} c": [None] * len(texts)})
    findings = [
        *run_checks(checked),
        suspected(*((row, f"{label} 1", f"{label} {row % 4}") for row in range(1, 30))),
        Finding("outliers", "note", f"strange: {text}", "look", [7], details=[{"row": 7}]),
        Finding("own-check", "note", text, text, [1, 2, 99_999]),
    ]
    return checked, findings


CASES = {
    "plain": ("a text", "label"),
    "hostile": (HOSTILE, HOSTILE),
    "chinese": ("房间很干净", "好评"),
    "arabic": ("أريد إلغاء البطاقة", "إلغاء"),
}


@pytest.fixture(params=CASES, scope="module")
def html(request: pytest.FixtureRequest) -> str:
    checked, findings = everything(*CASES[request.param])
    return render_page(checked, findings, base="minilm", notes=[HOSTILE], copy="rows-clean.csv")


def test_the_page_stands_alone(html: str) -> None:
    page = Page(html)
    assert not {"script", "img", "link", "iframe", "object", "base", "form"} & set(page.tags)
    loading = {"src", "xlink:href", "srcset", "action", "style"}
    assert not [entry for entry in page.attributes if entry[1] in loading]
    assert not [entry for entry in page.attributes if entry[1].startswith("on")]
    anchors = {value for _, name, value in page.attributes if name == "id"}
    links = {value for _, name, value in page.attributes if name == "href"}
    assert links == {f"#{anchor}" for anchor in anchors} == {"#repeated", "#suspected", "#outliers"}
    assert not re.search(r"https?://|@import|url\(", html)
    policy = next(value for _, _, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.tags.count("h1") == 1


def test_what_users_write_is_escaped_and_turns_nothing_around(html: str) -> None:
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\u200b" not in html


def test_invisible_characters_are_shown_by_their_numbers() -> None:
    assert shown("a\u200b\u200bb\u202e", 20) == "a<i>U+200B×2</i>b<i>U+202E</i>"
    assert plain("a\u202e<b>", 20) == "a\ufffd<b>"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_samples_have_a_page(sample) -> None:
    checked = Subject(read_table(sample.path), (sample.text,), sample.target)
    page = Page(render_page(checked, run_checks(checked), copy="clean.csv"))
    assert "Mend 2 errors before training" in page.text
    assert f"tunesmith train clean.csv --text {sample.text} --target {sample.target}" in page.text
    assert "wrong labels were not looked for" in page.text
    for label in checked.label_counts:
        assert label in page.text


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        (["error"], "Mend 1 error before training."),
        (["error", "error", "note"], "Mend 2 errors before training; 1 note besides."),
        (["warning", "warning"], "Nothing stops training; 2 warnings to read first."),
        (["note"], "Ready for training; 1 note to know of."),
        ([], "Ready for training; nothing was found."),
    ],
)
def test_the_verdict(severities: list, verdict: str) -> None:
    findings = [Finding("own", severity, "told", "mend") for severity in severities]
    assert verdict in Page(render_page(subject(["a b"], ["x"]), findings)).text


def test_personal_data_is_masked_wherever_texts_of_the_data_stand() -> None:
    text = f"write to {PRIVATE[0]}, pay with {PRIVATE[1]} or {PRIVATE[2]}"
    checked, findings = everything(text, PRIVATE[0])
    html = render_page(checked, findings, notes=[text])
    assert not [value for value in PRIVATE if value in html.replace("<wbr>", "")]
    assert "[e-mail]" in html
    page = Page(html)
    pieces = {value[place : place + 8] for value in PRIVATE for place in range(len(value) - 7)}
    assert not [piece for piece in pieces if piece in page.text]


def test_a_header_that_is_an_example_is_in_no_command() -> None:
    html = render_page(subject(["a b"], ["x"], name=f"write to {PRIVATE[0]}"), [])
    assert PRIVATE[0] not in html.replace("<wbr>", "")
    assert "tunesmith train" not in html


@settings(max_examples=200, deadline=None)
@given(
    before=st.text(max_size=700),
    value=st.sampled_from(PRIVATE),
    length=st.integers(1, 400),
    start=st.integers(0, 900),
)
def test_no_cut_leaves_a_piece_of_personal_data(
    before: str, value: str, length: int, start: int
) -> None:
    text = f"{before} {value} and so on"
    spread = 700
    for runs in (excerpt(text, length, start), excerpt(text + " x" * spread, length, start)):
        said = "".join(run for run, is_masked in runs if not is_masked)
        assert value[3:] not in said
        assert len(said) <= length


def test_an_excerpt_of_a_text_without_personal_data_is_a_piece_of_it() -> None:
    assert excerpt("one two three", 5, 4) == [("two t", False)]
    assert excerpt("", 5) == []
    assert excerpt(f"to {PRIVATE[0]}!", 8) == [("to ", False), ("e-mail", True)]


def test_the_page_is_bounded() -> None:
    num = 40_000
    text = "<\u202e&_a" * 400
    table = pa.table({
        "text": pa.array([text] * 50 + ["a b"] * (num - 50)),
        "label": pa.array([f"{HOSTILE * 5}{place % 5_000}" for place in range(num)]),
        **{f"{HOSTILE * 9}{place}": pa.nulls(num, pa.string()) for place in range(130)},
    })  # fmt: skip
    checked = Subject(Table(table, "rows.csv"), ("text",), "label")
    rows = np.arange(1, num + 1)
    pairs = [rows[:50].tolist()] * 5 + [[row, row + 1] for row in range(1, num, 2)]
    findings = [Finding("own", "error", text, text, rows, "text", "drop-short")] * 1_000
    findings += [Finding("near-duplicates", "note", text, text, rows, groups=pairs)]
    findings += [suspected(*((row, text, f"{row}{text}") for row in range(1, 2_000)))]
    details = [{"row": row} for row in range(1, 2_000)]
    findings += [Finding("outliers", "note", text, text, rows, details=details)]
    html = render_page(checked, findings, notes=[text] * 3, copy="rows-clean.csv")
    assert len(html.encode()) < 2_000_000
    Page(html)


def test_rows_of_another_file_are_shown_from_there() -> None:
    train, test = subject(["the first", "the second"], "ab"), subject(["the first"], ["a"])
    checked = Subject(train.table, ("text",), "label", beside={"test": test})
    finding = Finding("mine", "warning", "stands in both", "leave it out", [1, 2], part="test")
    page = Page(render_page(checked, [finding]))
    assert "rows of the test file 1, 2" in page.text
    assert page.text.count("the first") == 1
    assert "the second" not in page.text


def test_hardly_anything_to_show() -> None:
    for checked in (
        subject([], []),
        subject([None, ""], [None, None]),
        subject(["a"], ["b"]),
        Subject(Table(pa.table({"text": ["a b", "c"]}), "standard input"), ("text",)),
    ):
        page = Page(render_page(checked, run_checks(checked)))
        assert "Data check" in page.text
