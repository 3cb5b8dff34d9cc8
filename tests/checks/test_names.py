"""Names of persons: found where it is asked for, by a spaCy model that lies on the disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest

from tunesmith import recipes
from tunesmith.checks import (
    Finding,
    Names,
    Subject,
    clean,
    find_steps,
    looking_for_names,
    open_names,
    redacted,
    run_checks,
)
from tunesmith.checks._masking import excerpt
from tunesmith.checks._personal import check_personal_data
from tunesmith.data import Table
from tunesmith.errors import ConfigError

TEXTS = [
    "Please tell Ada Lovelace that the printer on the second floor is broken again.",
    "The invoice of last month was paid twice, and nobody answers the telephone.",
    "Grace Hopper (grace@example.org) asks for another monitor on her desk.",
]
needs_presidio = pytest.mark.skipif(
    find_spec("presidio_analyzer") is None, reason="presidio-analyzer is not installed"
)


def subject(texts: Sequence[str], **others: Sequence[object]) -> Subject:
    table = Table(pa.table({"text": texts, "label": ["in", "out", "in"], **others}), "rows.csv")
    return Subject(table, ("text",), "label")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A spaCy model that knows two people and a city."""
    import spacy

    nlp = spacy.blank("en")
    known = {"Ada Lovelace": "PERSON", "Grace Hopper": "PER", "London": "GPE"}
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": name} for name, label in known.items()])
    folder = tmp_path_factory.mktemp("spacy") / "people"
    nlp.to_disk(folder)
    return str(folder)


def found(checked: Subject, names: Names) -> list[Finding]:
    with looking_for_names(names):
        open_names(checked)
        return [one for one in run_checks(checked) if one.check == "personal-data"]


def test_without_being_asked_nobody_looks_for_names() -> None:
    assert [one.rows.tolist() for one in check_personal_data(subject(TEXTS))] == [[3]]


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="presidio is installed")
def test_what_is_missing_is_told_with_the_way_to_install_it() -> None:
    addresses, told = found(subject(TEXTS), Names())
    assert told.severity == "note"
    assert "presidio-analyzer is not installed" in told.message
    assert "tunesmith[presidio]" in told.fix
    assert "en_core_web_sm" in told.fix
    assert addresses.rows.tolist() == [3]


@needs_presidio
def test_a_language_without_a_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import spacy

    monkeypatch.setattr(spacy.util, "get_installed_models", lambda: ["en_core_web_sm"])
    german = "Das ist ein langer Satz auf Deutsch, in dem niemand beim Namen genannt wird."
    *_, told = found(subject([german, f"{german} Nein.", f"{german} Ja."]), Names())
    assert told.severity == "note"
    assert "de_core_news_sm" in told.fix


@needs_presidio
def test_names_are_found_in_every_column_and_never_printed(model: str) -> None:
    checked = subject(TEXTS, asked_by=["London", "Grace Hopper", "nobody"])
    texts, others = found(checked, Names(model))
    assert texts.rows.tolist() == [1, 3]
    assert "name in 2" in texts.message
    assert others.rows.tolist() == [2]
    details = [one for one in texts.details if one["kind"] == "name"]
    assert [(TEXTS[one["row"] - 1][one["start"] : one["end"]]) for one in details] == [
        "Ada Lovelace",
        "Grace Hopper",
    ]
    told = json.dumps([one.as_dict() for one in (texts, others)])
    assert "Lovelace" not in told
    assert "Hopper" not in told


@needs_presidio
def test_a_text_longer_than_spacy_reads_is_read_in_pieces(model: str) -> None:
    text = "word " * 250_000 + "Ada Lovelace"
    names = Names(model)
    names.open("en")
    assert [text[start:end] for start, end in next(names.find([text]))] == ["Ada Lovelace"]


@needs_presidio
def test_masking_takes_names_and_again_changes_nothing(model: str) -> None:
    names = Names(model)
    checked = subject(TEXTS)
    with looking_for_names(names):
        open_names(checked)
        cleaned = clean(checked, find_steps(["redact-personal-data"]))
        again = clean(replace(checked, table=cleaned.table), find_steps(["redact-personal-data"]))
        runs = excerpt(TEXTS[0], 60)
    texts = cleaned.table.column("text")
    assert "[name " in texts[0]
    assert "Lovelace" not in texts[0]
    assert "[e-mail " in texts[2]
    assert not again.changes
    assert ("name", True) in runs
    assert redacted(TEXTS[0]) == TEXTS[0]  # outside, all is as it was


@needs_presidio
def test_a_name_that_was_found_is_known_where_the_model_sees_none(model: str) -> None:
    names = Names(model)
    names.open("en")
    glued = "[see:Ada Lovelace/2]"  # no words for spaCy
    assert not names.places(glued)
    assert list(names.find(TEXTS))
    assert names.places(glued) == [(5, 17)]
    assert not names.places(glued.replace("Lovelace", "Lovelaces"))


@needs_presidio
@pytest.mark.parametrize("what", ["no/such/folder", "empty"])
def test_a_model_that_is_none_is_refused(what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="spaCy model"):
        Names(str(tmp_path / what)).open("en")


@needs_presidio
def test_check_and_its_page_and_its_copy_mask_names(model: str, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    table = [f'"{text}",{"in" if n % 2 else "out"}' for n, text in enumerate(TEXTS * 4)]
    source.write_text("text,label\n" + "\n".join(table) + "\n")
    checked = recipes.check(str(source), base=None, names=Names(model))
    page = checked.to_html()
    assert "Lovelace" not in page
    fixed = recipes.fix(checked, find_steps(["redact-personal-data"]))
    assert "Lovelace" not in fixed.path.read_text()
    assert "Lovelace" in source.read_text()
