"""The page's routes: guarded, and true to the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tunesmith.checks import Subject, read_corrections
from tunesmith.data import read_table
from tunesmith.review import Decisions, create_app, make_queue

from .conftest import TOKEN

OpenPage = Callable[[], TestClient]
PATHS = ["", "review.js", "row.js", "search.js", "review.css", "page.css", "icon.svg",
         "api/review", "api/decisions", "api/rows/1"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_route_answers_with_its_token_alone(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for wrong in ("/", "/wrong/", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", "/%ff/", "/ /"):
        refused = client.get(f"http://testserver{wrong}{path}")
        assert refused.status_code == 403
        assert "tunesmith review" in refused.text


def test_routes_that_write_need_the_token_too(client: TestClient, corrections: Path) -> None:
    for method in ("PUT", "DELETE"):
        address = "http://testserver/api/rows/1/decision"
        answer = client.request(method, address, json={"action": "drop"})
        assert answer.status_code == 403
    assert not corrections.exists()


def test_the_address_without_its_last_slash_leads_there(client: TestClient) -> None:
    answer = client.get(f"http://testserver/{TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, f"/{TOKEN}/")


def test_other_hosts_and_other_origins_are_refused(client: TestClient, corrections: Path) -> None:
    assert client.get("", headers={"host": "evil.example"}).status_code == 403
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = client.put("api/rows/1/decision", json={"action": "drop"}, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "cross_origin"
    assert not corrections.exists()


def test_nothing_comes_from_elsewhere_or_is_read_as_html(client: TestClient) -> None:
    for path in PATHS[:4]:
        text = client.get(path).text.replace("http://www.w3.org", "")
        assert "http://" not in text
        assert "https://" not in text
        assert "innerHTML" not in text
        assert "insertAdjacentHTML" not in text


def test_the_overview(client: TestClient) -> None:
    told = client.get("api/review").json()
    assert told["num_rows"] == 9
    assert [one[0] for one in told["items"]] == [8, 6, 1, 2, 3, 5, 7]
    assert told["labels"] == [["delivery", 5], ["billing", 4]]
    assert told["command"] == "train it"
    assert not told["several"]
    assert told["findings"][0]["check"] == "suspected-label-errors"


def test_texts_come_as_they_are(client: TestClient) -> None:
    told = client.get("api/rows/6")
    assert told.headers["content-type"] == "application/json"
    assert told.json()["texts"][0]["text"] == "<b>hello</b> <img src=x onerror=alert(1)>"


def put(client: TestClient, row: int, action: str, **more: object) -> tuple[int, dict]:  # type: ignore[type-arg]
    answer = client.put(f"api/rows/{row}/decision", json={"action": action, **more})
    return answer.status_code, answer.json()


def test_decisions_are_written_and_found_by_the_next_server(
    client: TestClient, open_page: OpenPage, corrections: Path
) -> None:
    status, made = put(client, 8, "relabel", labels=["billing"], check="suspected-label-errors")
    assert (status, made["after"], made["before"]) == (200, "billing", "delivery")
    assert put(client, 1, "keep")[0] == 200
    other = open_page()
    assert other.get("api/decisions").json()["8"] == made
    assert set(other.get("api/review").json()["decisions"]) == {"1", "8"}
    assert [one.action for one in read_corrections(corrections).decisions] == ["keep", "relabel"]


def test_two_windows_do_not_lose_each_others_decisions(
    client: TestClient, open_page: OpenPage
) -> None:
    other = open_page()
    _, first = put(client, 8, "keep")
    status, refused = put(other, 8, "drop")
    assert status == 409
    assert refused["error"]["code"] == "changed"
    assert refused["present"] == first
    status, _ = put(other, 8, "drop", seen=first["when"])
    assert status == 200
    gone = client.request("DELETE", "api/rows/8/decision", json={"seen": first["when"]})
    assert gone.status_code == 409


def test_undo(client: TestClient) -> None:
    _, made = put(client, 8, "keep")
    answer = client.request("DELETE", "api/rows/8/decision", json={"seen": made["when"]})
    assert answer.status_code == 200
    assert client.get("api/decisions").json() == {}


def test_a_label_that_is_new_must_be_meant(client: TestClient) -> None:
    status, refused = put(client, 8, "relabel", labels=["refunds"])
    assert (status, refused["error"]["code"]) == (422, "new_label")
    assert client.get("api/decisions").json() == {}
    assert put(client, 8, "relabel", labels=["refunds"], new_label=True)[0] == 200
    # From now on it is a label.
    assert put(client, 9, "relabel", labels=["refunds"])[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "delete"},
        {"action": "relabel"},
        {"action": "relabel", "labels": ["billing", "delivery"]},
        {"action": "relabel", "labels": [" "]},
        {"action": "relabel", "labels": ["a\nb"], "new_label": True},
        {"action": "relabel", "labels": "billing"},
        {"action": "relabel", "labels": ["x" * 201], "new_label": True},
        {"action": "keep", "more": 1},
        [],
    ],
)
def test_what_is_no_decision(client: TestClient, corrections: Path, body: object) -> None:
    answer = client.put("api/rows/8/decision", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert not corrections.exists()


@pytest.mark.parametrize("row", [0, -1, 10, 10**30])
def test_rows_that_are_not_there(client: TestClient, row: int) -> None:
    assert client.get(f"api/rows/{row}").status_code == 404
    assert put(client, row, "keep")[0] == 404
    assert client.get("api/rows/one").status_code == 422


def test_a_large_body_is_refused(client: TestClient) -> None:
    body = b'{"action": "keep", "check": "' + b"x" * 300_000 + b'"}'
    answer = client.put("api/rows/1/decision", content=body)
    assert answer.status_code == 413


def test_a_file_that_was_broken_meanwhile_is_said_and_not_replaced(
    client: TestClient, corrections: Path
) -> None:
    put(client, 8, "keep")
    broken = corrections.read_text().replace("keep", "kept")
    corrections.write_text(broken)
    status, refused = put(client, 1, "drop")
    assert status == 409
    assert "'kept' is not keep" in refused["error"]["message"]
    assert corrections.read_text() == broken


def test_rows_with_several_labels(tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("text,tags\na b c,x|y\nd e f,x\ng h i,y\n")
    subject = Subject(read_table(file), ("text",), "tags", multi_label=True)
    fixes = tmp_path / "fixes.csv"
    app = create_app(
        make_queue(subject, []), Decisions(fixes, subject), token=TOKEN,
        allowed_hosts=("testserver",),
    )  # fmt: skip
    client = TestClient(app, base_url=f"http://testserver/{TOKEN}/")
    assert client.get("api/review").json()["several"]
    assert put(client, 2, "relabel", labels=["y", "x"])[1]["after"] == ["x", "y"]
    assert put(client, 3, "relabel", labels=[])[1]["after"] == []
    (two, three) = read_corrections(fixes).decisions
    assert (two.after, three.after) == (("x", "y"), ())


def test_rows_without_labels_can_be_kept_and_dropped(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\na b c\nd e f\n")
    subject = Subject(read_table(file), ("text",))
    app = create_app(
        make_queue(subject, []), Decisions(tmp_path / "fixes.csv", subject), token=TOKEN,
        allowed_hosts=("testserver",),
    )  # fmt: skip
    client = TestClient(app, base_url=f"http://testserver/{TOKEN}/")
    assert put(client, 1, "drop")[0] == 200
    assert put(client, 2, "relabel", labels=["x"], new_label=True)[0] == 422
