"""The pages in a browser: they fit a phone, weigh little, and ask nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from review.chromium import BINARY, Chromium

from .test_cross_validation import result
from .test_model_card import card
from .test_report import make_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="needs a Chromium"),
]

PAGES = {
    "report": lambda: make_report(size=12, label="a label with a long name").to_html(),
    "card": lambda: card(label="a label with a long name").to_html(),
    "cross-validation": lambda: result().to_html(),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_and_loads_nothing(
    browser: Chromium, tmp_path: Path, name: str, width: int
) -> None:
    page = PAGES[name]()
    assert len(page.encode()) < 2_000_000
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=800, deviceScaleFactor=1, mobile=width < 500,
    )  # fmt: skip
    browser.open(file.as_uri())
    browser.wait_for("document.readyState === 'complete' && document.querySelector('h1')")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("performance.getEntriesByType('resource').length") == 0
