"""The page: self-contained, escaped, masked, bounded."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from tunesmith.explanation import (
    GlobalView,
    find_drivers,
    measure_faithfulness,
    read_words,
    render_page,
    shades,
)
from tunesmith.explanation._page import MAX_TEXTS

from .test_drivers import TEXTS, explained
from .test_leave_one_out import additive

HOSTILE = '<script>alert("x")</script>" onload=x \'&'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.attributes.update(name for name, _ in attributes)


def checked(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert not tags.names & {"script", "img", "link", "iframe", "form", "object"}
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert not tags.attributes & {"src", "href", "style"}
    assert "default-src 'none'" in page
    return tags


def view() -> GlobalView:
    inputs = [(f"{word} password there",) for word in ("my", "the", "a")]
    readings = read_words(inputs)
    values = [np.arange(len(reading.words), dtype=float) for reading in readings]
    return GlobalView(
        method="leave-one-out",
        num_rows=5,
        of_rows=1200,
        min_rows=1,
        num_not_converged=0,
        drivers=find_drivers(TEXTS[:4], ["money", "parcel"], min_rows=1),
        faithfulness=measure_faithfulness(
            additive, readings, [0] * 3, values, method="leave-one-out"
        ),
        mistakes=(explained("money", "a mistake", 0.5, -0.1),),
    )


def test_texts_one_by_one() -> None:
    page = render_page(
        [explained(HOSTILE, f"{HOSTILE.replace(' ', '_')} ann@example.org plain", 1.0, -0.5, 0.0)],
        title=HOSTILE,
        notes=[HOSTILE],
    )
    checked(page)
    assert "ann@example.org" not in page
    assert "[e-mail]" in page
    assert 'class="for-5"' in page
    assert 'class="against-3"' in page
    assert page.count('<td class="number">+1.00</td>') == 1


def test_the_view_of_many() -> None:
    page = render_page(view=view(), title="tickets", source="rows.csv")
    checked(page)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for words in ("What drives each label", "5 of 1,200 rows", "refund", "comprehensiveness"):
        assert words in text
    assert "a@b.org" not in page


def test_of_many_texts_a_part_is_shown() -> None:
    many = [explained("money", f"text {place}", 1.0, 0.5) for place in range(MAX_TEXTS + 7)]
    long = explained("money", "word " * 50_000 + "end", *[1.0] * 50_001)
    page = render_page([long, *many], title="tickets")
    assert "… and 8 more" in page
    assert len(page.encode()) < 2_000_000


def test_shades_follow_the_strongest_word() -> None:
    (one,) = explained("x", "a b c d e", 2.0, -2.0, 0.3, 0.05, 0.0).explanations
    assert shades(one.words) == [5, -5, 1, 0, 0]
