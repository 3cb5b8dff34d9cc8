"""`tunesmith explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import labelled_rows

from .conftest import Invoke, write_rows


def test_a_text(invoke: Invoke, small: Path) -> None:
    result = invoke("explain", small / "run", "where is the parcel", "--html", "x.html")
    assert result.code == 0
    assert "where is the parcel" in result.out
    assert "convergence delta" in result.out
    assert "padding token" in result.out
    assert result.out.count("near  ") == 3
    assert "as a page: x.html" in result.out
    page = Path("x.html").read_text(encoding="utf-8")
    assert "convergence delta" in page.casefold()
    assert "://" not in page


def test_as_json(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("explain", small / "run", "where is it", "--json", "--target-label", "money"),
        *("--method", "gradient-x-input", "--neighbours", "0"),
    )
    assert result.code == 0
    (text,) = json.loads(result.out)["texts"]
    assert text["explanations"][0]["label"] == "money"
    assert [word["text"] for word in text["explanations"][0]["words"]] == ["where", "is", "it"]
    assert text["neighbours"] == []


def test_over_labelled_rows(invoke: Invoke, small: Path) -> None:
    result = invoke(
        *("explain", small / "run", "--data", small / "topics.csv", "--rows", "20", "--top", "2")
    )
    assert result.code == 0
    assert "20 of 90 rows" in result.out
    assert "comprehensiveness" in result.out
    held_out = invoke("explain", small / "run", "--method", "gradient-x-input", "--json")
    assert held_out.code == 0
    read = json.loads(held_out.out)
    assert read["data"] == "the bundle's test rows"
    assert {"labels", "faithfulness"} <= read.keys()


def test_mistakes_are_explained(invoke: Invoke, small: Path) -> None:
    (text, label), *rest = labelled_rows(30)
    other = next(own for _, own in rest if own != label)
    write_rows(Path("wrong.csv"), [(text, other), (text, label), *rest])
    result = invoke("explain", small / "run", "--data", "wrong.csv", "--json")
    assert (result.code, bool(json.loads(result.out)["mistakes"])) == (0, True)


def test_rows_of_a_file(invoke: Invoke, small: Path) -> None:
    Path("new.csv").write_text("text\nwhere is it\ncard\n")
    result = invoke("explain", small / "run", "--file", "new.csv", "--method", "leave-one-out")
    assert result.code == 0
    assert "without the word" in result.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("text", "--data", "x.csv"), "texts and --data were both given"),
        (("text", "--method", "lime"), "unknown method 'lime'"),
        (("text", "--target-label", "mony"), "did you mean 'money'?"),
        (("text", "--html", "x.txt"), "is no name for a page"),
        (("text", "--examples", "nowhere.csv"), "nowhere.csv"),
        (("",), "has no word to explain"),
    ],
)
def test_what_is_wrong_is_said(
    invoke: Invoke, small: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = invoke("explain", small / "run", *arguments)
    assert result.code == 2
    assert said in result.err
    assert not Path("x.html").exists()
