"""A small file with something wrong in it, its queue, and a page around both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tunesmith.checks import Finding, Subject, run_checks
from tunesmith.data import choose_columns, read_table
from tunesmith.review import Decisions, Queue, create_app, make_queue

TOKEN = "a-token-that-nobody-guesses"
LINES = [
    "text,label",
    "where is my parcel today,delivery",
    "where is my parcel today,billing",
    "where is my parcel today,delivery",
    "the invoice was charged two times last week,billing",
    "the invoice was charged two times last month,billing",
    "<b>hello</b> <img src=x onerror=alert(1)>,billing",
    "N/A,delivery",
    "why was my card charged,delivery",
    "thank you very much indeed,delivery",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mail.csv"
    path.write_text("\n".join(LINES) + "\n")
    return path


@pytest.fixture
def subject(file: Path) -> Subject:
    table = read_table(file)
    columns = choose_columns(table)
    return Subject(table, columns.text, columns.target)


@pytest.fixture
def queue(subject: Subject) -> Queue:
    suspected = Finding(
        check="suspected-label-errors",
        severity="warning",
        message="2 labels look wrong",
        fix="read them",
        rows=[6, 8],  # type: ignore[arg-type]
        details=[
            {"row": 8, "suggested": "billing", "probability": 0.97, "likeliest": {"billing": 0.97}},
            {"row": 6, "suggested": "delivery", "probability": 0.91},
        ],
    )
    # With rows this few, every label is a rare one.
    found = [one for one in run_checks(subject) if one.check != "rare-labels"]
    return make_queue(subject, [*found, suspected])


@pytest.fixture
def corrections(file: Path) -> Path:
    return file.with_name("mail.corrections.csv")


@pytest.fixture
def open_page(queue: Queue, subject: Subject, corrections: Path) -> Callable[[], TestClient]:
    """Makes clients of servers of their own, on the same corrections file."""

    def make() -> TestClient:
        decisions = Decisions(corrections, subject)
        hosts = ("localhost", "testserver")
        app = create_app(queue, decisions, token=TOKEN, allowed_hosts=hosts, command="train it")
        return TestClient(app, base_url=f"http://testserver/{TOKEN}/")

    return make


@pytest.fixture
def client(open_page: Callable[[], TestClient]) -> TestClient:
    return open_page()
