"""Every check and every step, ours and one of a user's own, under the contract suites."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from tunesmith.checks import CHECKS, STEPS, Check, Finding, Step, Subject
from tunesmith.data import Table
from tunesmith.testing import CheckContract, StepContract

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")


def check_shouting(subject: Subject) -> Iterator[Finding]:
    """A user's own check."""
    for name in subject.text:
        places = subject.places_matching(name, r"^[^\p{Ll}]*\p{Lu}[^\p{Ll}]*$")
        if len(places):
            yield Finding("shouting", "note", "texts in capitals", "write them small", places + 1)


def flawed_subject() -> Subject:
    """A table in which every check finds something."""
    plain = [
        f"the {one} {two} stands in the {three} room of the house near the water"
        for one in ("red", "green", "blue", "old")
        for two in ("chair", "table", "lamp")
        for three in NUMBERS
    ]
    texts: list[str | None] = [*plain]
    labels: list[str | None] = [
        "chair" if "chair" in text else "table" if "table" in text else "other" for text in plain
    ]
    more: list[tuple[str | None, str | None]] = [
        (None, "chair"), ("a text without any label at all", None), ("N/A", "table"),
        (plain[0], labels[0]), (plain[1], "table"), (plain[2] + "!", labels[2]),
        ("cafÃ© au lait with a chair", "chair"), ("zero\u200bwidth chair here", "chair"),
        ("<b>bold</b> chair &amp; more", "chair"), ("x", "other"), ("a label of its own", "alone"),
        ("mail a.b@example.com about the lamp", "other"), ("THE LAMP IS BROKEN", "other"),
        ("a chair of another spelling", "Chair "), ("word " * 600, "other"),
    ]  # fmt: skip
    more += [(f"broken since day {n} of the rain, label: other", "other") for n in NUMBERS]
    more += [(f"a rug that nobody has seen since year {n}", "rug") for n in NUMBERS]
    more += [
        (f"lamp {n} and window {m} of the hall are dark", "other")
        for n in NUMBERS
        for m in range(30)
    ]
    more += [(f"Der Tisch Nummer {n} steht nicht in der großen Küche", "table") for n in NUMBERS]
    more += [(f"sent by my phone: lamp {n}\nsent by my phone, kindly", "other") for n in NUMBERS]
    texts += [text for text, _ in more]
    labels += [label for _, label in more]
    count = len(texts)
    table = pa.table({
        "text": pa.array(texts, pa.string()),
        "label": pa.array(labels, pa.string()),
        "id": pa.array([f"row-{n}" for n in range(count)]),
        "constant": pa.array(["same"] * count),
        "city": pa.array(["Birminhgam" if n == 7 else "Birmingham" for n in range(count)]),
        "copy": pa.array([str(label).upper() for label in labels]),
        "day": pa.array([
            f"20{10 if label == 'chair' else 20}-01-{n % 28 + 1:02}"
            for n, label in enumerate(labels)
        ]),
    })  # fmt: skip
    test = pa.table(
        {"text": [plain[3], plain[4] + "?", None], "label": ["chair", "stool", "chair"]}
    )
    beside = {"test": Subject(Table(test, "test"), ("text",), "label")}
    return Subject(Table(table, "rows"), ("text",), "label", beside=beside)


def sorted_subject() -> Subject:
    """A table that is sorted by its labels."""
    texts = [f"text {n} of a file that somebody has sorted" for n in range(100)]
    table = pa.table({"text": texts, "label": ["a"] * 60 + ["b"] * 40})
    return Subject(Table(table, "rows"), ("text",), "label")


@pytest.fixture(scope="module")
def flawed() -> Subject:
    return flawed_subject()


class TestChecks(CheckContract):
    @pytest.fixture(params=[*CHECKS, check_shouting], ids=lambda check: check.__name__)
    def check(self, request: pytest.FixtureRequest) -> Check:
        check: Check = request.param
        return check

    @pytest.fixture
    def flawed(self, check: Check, flawed: Subject) -> Subject:
        return sorted_subject() if check.__name__ == "check_order" else flawed


class TestSteps(StepContract):
    @pytest.fixture(params=STEPS.values(), ids=lambda step: step.name)
    def step(self, request: pytest.FixtureRequest) -> Step:
        step: Step = request.param
        return step
