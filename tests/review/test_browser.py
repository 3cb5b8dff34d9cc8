"""The page in a real browser, by keyboard alone, against the command itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.checks import read_corrections

from .chromium import BINARY, Chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(os.name != "posix", reason="the browser is driven over a pipe"),
]


class Server:
    """`tunesmith review` in a process of its own."""

    def __init__(self, file: Path) -> None:
        self._command = [sys.executable, "-m", "tunesmith", "review", str(file), "--target"]
        self._command += ["label", "--no-model", "--no-open", "--json"]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return str(json.loads(line)["url"])

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    one = Server(file)
    yield one
    one.kill()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


def row_is(browser: Chromium, row: int) -> None:
    browser.wait_for(f"document.querySelector('#row-title').textContent === 'Row {row}'")


def test_a_review_by_keyboard_that_survives_a_kill(
    server: Server, browser: Chromium, corrections: Path
) -> None:
    browser.open(server.start())
    row_is(browser, 1)
    assert "0 of" in browser.evaluate("document.querySelector('#count').textContent")
    browser.press("k")
    row_is(browser, 2)
    browser.press("Enter")  # two of three equal rows say "delivery"
    row_is(browser, 3)
    browser.press("ArrowLeft")
    row_is(browser, 2)
    browser.wait_for("document.querySelector('.badge').textContent === 'Relabelled → delivery'")
    browser.press("j", "d")
    row_is(browser, 5)
    assert {
        one.row: (one.action, one.after) for one in read_corrections(corrections).decisions
    } == {
        1: ("keep", "delivery"),
        2: ("relabel", "delivery"),
        3: ("drop", None),
    }
    server.kill()
    browser.press("k")
    browser.wait_for("document.querySelector('#notice').textContent.includes('gives no answer')")
    browser.open(server.start())
    row_is(browser, 5)
    browser.press("u")  # the newest decision, also of a window that is long gone
    row_is(browser, 3)
    browser.wait_for("document.querySelector('.badge').textContent === 'undecided'")
    assert [one.row for one in read_corrections(corrections).decisions] == [1, 2]


def test_labels_are_searched_and_new_ones_confirmed(
    server: Server, browser: Chromium, corrections: Path
) -> None:
    browser.open(server.start())
    row_is(browser, 1)
    browser.press("/", *"bil", "Enter")
    row_is(browser, 2)
    browser.press("/", *"refunds", "Enter")
    browser.wait_for("document.querySelector('#notice').textContent.includes('refunds')")
    assert [one.row for one in read_corrections(corrections).decisions] == [1]
    browser.wait_for("document.activeElement.textContent.startsWith('Add refunds')")
    browser.press("Enter")
    row_is(browser, 3)
    assert [one.after for one in read_corrections(corrections).decisions] == ["billing", "refunds"]


def test_texts_are_never_read_as_html_and_any_row_is_found(
    server: Server, browser: Chromium
) -> None:
    browser.open(server.start())
    row_is(browser, 1)
    browser.press("g", "6", "Enter")
    row_is(browser, 6)
    shown = browser.evaluate("document.querySelector('.main-text .text').textContent")
    assert shown == "<b>hello</b> <img src=x onerror=alert(1)>"
    assert browser.evaluate("document.querySelectorAll('main img, main b').length") == 0
    browser.press("g", *"99", "Enter")
    browser.wait_for("document.querySelector('#notice').textContent.includes('from 1 to 9')")


def test_another_window_is_heard_of(server: Server, browser: Chromium) -> None:
    browser.open(server.start())
    row_is(browser, 1)
    browser.press("j")
    row_is(browser, 2)
    browser.press("ArrowLeft")
    row_is(browser, 1)
    # What a second window sends, from the page itself, right before a key of this one.
    browser.evaluate(
        """fetch("api/rows/1/decision", {method: "PUT", body: '{"action": "drop"}',
        headers: {"content-type": "application/json"}}).then(() =>
        dispatchEvent(new KeyboardEvent("keydown", {key: "k"})) && 0)"""
    )
    browser.wait_for("document.querySelector('#notice').textContent.includes('another window')")
    browser.wait_for("document.querySelector('.badge').textContent === 'Dropped'")
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=320, height=700, deviceScaleFactor=1, mobile=True,
    )  # fmt: skip
    browser.wait_for("innerWidth === 320")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 320
