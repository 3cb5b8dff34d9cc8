"""What each check finds, and what it lets pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tunesmith.checks import CHECKS, Finding, Subject, clean, find_steps, redacted, run_checks
from tunesmith.checks._masking import KINDS
from tunesmith.data import Table, read_table
from tunesmith.errors import ConfigError
from tunesmith.samples import SAMPLES


def subject(
    texts: Sequence[str | None], labels: Sequence[object], **others: Sequence[object]
) -> Subject:
    table = Table(pa.table({"text": texts, "label": labels, **others}), "rows.csv")
    return Subject(table, ("text",), "label")


def found(checked: Subject, check: str) -> list[Finding]:
    return [one for one in run_checks(checked) if one.check == check]


def rows(checked: Subject, check: str) -> list[int]:
    return [row for one in found(checked, check) for row in one.rows.tolist()]


PLAIN = [f"the {word} of the house is painted in another colour" for word in "abcdefghijkl"]
LABELS = ["in", "out"] * 6


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_documented_flaws_of_the_samples_are_found(sample) -> None:
    flaws = json.loads(sample.path.with_suffix(".flaws.json").read_text())
    checked = Subject(read_table(sample.path), (sample.text,), sample.target)
    assert rows(checked, "missing-text") == flaws["missing_text"]
    assert rows(checked, "missing-label") == flaws["missing_label"]
    (copies,) = found(checked, "exact-duplicates")
    assert sorted(copies.groups) == sorted([old, new] for new, old in flaws["duplicates"])


def test_every_check_takes_an_empty_and_a_hopeless_table() -> None:
    for checked in (subject([], []), subject([None, ""], [None, None]), subject(["a"], ["b"])):
        for check in CHECKS:
            assert all(isinstance(one, Finding) for one in check(checked))


def test_a_check_changes_nothing_and_names_rows_of_the_table() -> None:
    checked = subject([*PLAIN, "N/A", PLAIN[0], None], [*LABELS, "In", "in", "out"])
    before = checked.table.arrow.to_pylist()
    for one in run_checks(checked):
        assert all(1 <= row <= checked.num_rows for row in one.rows.tolist())
        assert one.message
        assert one.fix
        json.dumps(one.as_dict())
    assert checked.table.arrow.to_pylist() == before


def test_placeholders_are_found_and_words_that_somebody_may_mean_are_none() -> None:
    checked = subject([*PLAIN[:8], "none", "нет", " n/a", "—"], ["none", "some"] * 6)
    assert rows(checked, "placeholder-values") == [11, 12]


def test_white_space_of_every_kind_is_no_text() -> None:
    checked = subject([*PLAIN[:9], "\x1f", "\u2003\u00a0", "\t\n"], LABELS)
    assert rows(checked, "missing-text") == [10, 11, 12]
    assert len(checked.dataset) == checked.is_complete.sum() == 9


def test_copies_are_found_whatever_their_case_and_white_space() -> None:
    checked = subject([*PLAIN, PLAIN[0].upper() + " ", PLAIN[1]], [*LABELS, "in", "in"])
    assert rows(checked, "exact-duplicates") == [13]
    assert rows(checked, "conflicting-labels") == [2, 14]


def test_labels_written_in_two_ways_are_found() -> None:
    checked = subject(PLAIN, [*LABELS[:10], "IN ", "o_u t"])
    assert rows(checked, "label-variants") == [11]


def test_rare_labels_are_an_error_where_they_have_one_row() -> None:
    checked = subject(PLAIN, [*LABELS[:11], "lonely"])
    assert [one.severity for one in found(checked, "rare-labels")] == ["error", "warning"]


@pytest.mark.parametrize(
    ("check", "text", "clean"),
    [
        ("mojibake", "the cafÃ© was closed", "the café was closed, Ã is a letter"),
        ("control-characters", "zero\u200bwidth", "tab\tand\nline and 👩\u200d🔬"),
        ("markup", "<p>hello</p> you", "if a < b and b > c then a < c, AT&T"),
        ("markup", "fish &amp; chips", "fish & chips; more"),
        ("personal-data", "write to jane.doe@example.org", "write to us @ the desk"),
        ("personal-data", "card 4111 1111 1111 1111", "order 4111 1111 1111 1112"),
        ("personal-data", "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 01"),
        ("personal-data", "mi DNI es 12345678Z", "mi DNI es 12345678A"),
        ("personal-data", "NIE X1234567L", "NIE X1234567M"),
        ("personal-data", "codice RSSMRA85T10A562S", "codice RSSMRA85T10A562T"),
        ("personal-data", "NIR 2 55 08 14 168 025 38", "NIR 2 55 08 14 168 025 39"),
        ("personal-data", "2341 2341 2346", "2341 2341 2345, and 234123412346"),
        ("personal-data", "my aadhaar is 234123412346", "my aadhaar is 234123412345"),
        ("personal-data", "529.982.247-25", "529.982.247-26, and 52998224725"),
        ("personal-data", "CPF: 52998224725", "CPF: 52998224726"),
        ("personal-data", "BSN 111222333", "order 111222333"),
        ("personal-data", "11010519491231002X", "110105194912310021"),
        ("personal-data", "passport no. C01X00T47", "my passport expired in 2019"),
        ("personal-data", "call +49 170 1234567 now", "in 2019 we sold 1234567 units"),
    ],
)
def test_a_flaw_in_a_text_is_found_and_its_like_is_not(check: str, text: str, clean: str) -> None:
    assert rows(subject([*PLAIN, text, clean], [*LABELS, "in", "out"]), check) == [13]


def test_personal_data_is_never_printed_whole() -> None:
    secrets = ["jane.doe@example.org", "4111 1111 1111 1111", "+49 170 1234567"]
    for one in run_checks(subject([*PLAIN, *secrets], [*LABELS, *"abc"])):
        told = json.dumps(one.as_dict())
        assert not any(secret in told for secret in secrets)


def test_a_column_and_a_word_that_give_the_label_away_are_found() -> None:
    texts = [
        f"case {n} says {'alpha' if n % 2 else 'beta'} and more things {n * 7}" for n in range(80)
    ]
    labels = ["odd" if n % 2 else "even" for n in range(80)]
    teams = ["A" if n % 2 else "B" for n in range(80)]
    numbers = [f"T-{n}" for n in range(80)]
    checked = subject(texts, labels, team=teams, ticket=numbers, same=["x"] * 80)
    assert [one.column for one in found(checked, "column-leakage")] == ["team"]
    assert [one.column for one in found(checked, "id-column")] == ["ticket"]
    assert [one.column for one in found(checked, "constant-column")] == ["same"]
    (told,) = found(checked, "telltale-words")
    assert {(one["label"], one["word"]) for one in told.details} == {
        ("odd", "alpha"),
        ("even", "beta"),
    }


def test_labels_that_change_with_time_are_found() -> None:
    days = [f"2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(300)]
    labels = ["old" if n < 150 else "new" for n in range(300)]
    texts = [f"message number {n} of the long list" for n in range(300)]
    assert [one.column for one in found(subject(texts, labels, day=days), "time-drift")] == ["day"]
    steady = ["old" if n % 2 else "new" for n in range(300)]
    assert not found(subject(texts, steady, day=days), "time-drift")


def test_other_languages_are_found() -> None:
    german = [f"Das ist der Satz Nummer {n}, und er steht hier auf Deutsch." for n in range(4)]
    english = [f"This is sentence number {n}, and it stands here in English." for n in range(40)]
    checked = subject([*english, *german], ["a", "b"] * 22)
    assert rows(checked, "languages") == [41, 42, 43, 44]


def test_rows_of_the_test_file_that_are_in_the_training_file_are_found() -> None:
    own = subject(PLAIN, LABELS)
    other = subject(["new and unseen words stand in this row", PLAIN[3].upper()], ["in", "out"])
    both = Subject(own.table, own.text, own.target, beside={"test": other})
    (exact,) = found(both, "test-in-train")
    assert exact.rows.tolist() == [2]
    assert exact.details == [{"row": 2, "train_row": 4}]


def test_a_check_of_ones_own_is_a_few_lines() -> None:
    def shouting(checked: Subject):
        loud = [n for n, text in enumerate(checked.whole_texts.to_pylist(), 1) if text.isupper()]
        if loud:
            yield Finding("shouting", "note", f"{len(loud)} texts shout", "write as usual", loud)

    (one,) = run_checks(subject(["HELLO", "hello"], ["a", "b"]), [shouting])
    assert one.as_dict()["rows"] == [1]


def test_findings_do_not_depend_on_where_the_rows_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred rows, read at once and kept in memory; then in pieces, and kept on the disk."""
    generator = np.random.default_rng(0)
    words = [
        *"abcdefgh",
        "\u00e9t\u00e9",
        "caf\u00c3\u00a9",
        "<b>",
        "a.b@example.com",
        "\u6211",
        "N/A",
    ]
    lines = ["text,title,label,day"]
    for _ in range(100):
        text = " ".join(generator.choice(words, generator.integers(0, 7)))
        title = str(generator.choice(["one", "two", ""]))
        label = str(generator.choice(["in", "out", "In ", "", "null"]))
        lines.append(f"{text},{title},{label},2024-01-{generator.integers(10, 29)}")
    lines += [f"{' '.join(words * 4)} {n},one,in,2024-01-01" for n in range(5)] + lines[1:20]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(lines))

    def every() -> list[dict[str, object]]:
        other = Subject(read_table(file), ("title",), "label")
        one = Subject(read_table(file), ("text",), "label", beside={"test": other})
        two = Subject(read_table(file), ("text", "title"), "label", beside={"test": one})
        return [found.as_dict() for own in (one, two) for found in run_checks(own)]

    expected = every()
    assert {"exact-duplicates", "conflicting-labels", "near-duplicates", "personal-data"} < {
        str(one["check"]) for one in expected
    }
    monkeypatch.setattr("tunesmith.data._long._FEWEST_BYTES", 1)
    monkeypatch.setattr("tunesmith.data._spill._BYTES_IN_MEMORY", 1)
    monkeypatch.setattr("tunesmith.data._pieces.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("tunesmith.checks._pieces._ROWS_AT_ONCE", 5)
    monkeypatch.setattr("tunesmith.checks._subject._ROWS_AT_ONCE", 11)
    monkeypatch.setattr("tunesmith.checks._near._KEYS_IN_MEMORY", 20)
    assert every() == expected


def test_nulls_are_empty_texts_without_a_copy() -> None:
    column = pa.array(["a", None, "b", None]).slice(1)
    whole = Subject(Table(pa.table({"text": column}), "rows"), ("text",)).whole_texts
    assert whole.to_pylist() == ["", "b", ""]
    assert whole.chunk(0).buffers()[2].address == column.buffers()[2].address
    # An array may hold text where it says that there is none.
    mask = pa.array([True, False]).buffers()[1]
    hidden = pa.StringArray.from_buffers(2, *pa.array(["a", "b"]).buffers()[1:], mask)
    whole = Subject(Table(pa.table({"text": hidden}), "rows"), ("text",)).whole_texts
    assert whole.to_pylist() == ["a", ""]


def test_json_in_pieces_is_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.checks._finding._VALUES_AT_ONCE", 2)
    texts = [*PLAIN, *PLAIN[:5], "mail a.b@example.com", 'say "é", "num_rows": 3']
    for one in [
        *run_checks(subject(texts, [*LABELS, *"abcde", "in", "out"])),
        Finding("a", "note", "c", "d"),
    ]:
        whole = json.dumps(one.as_dict(), ensure_ascii=False)
        assert "".join(one.json_pieces()) == whole


def test_no_message_holds_personal_data() -> None:
    texts = [f"Contact jane.doe@example.com for this case please: {text}" for text in PLAIN * 3]
    labels = ["jane.doe@example.com" if n == 0 else "out" for n in range(len(texts))]
    names = {"john.smith@example.com": ["same"] * len(texts)}
    findings = run_checks(subject(texts, labels, **names))
    assert {"boilerplate", "rare-labels"} <= {one.check for one in findings}
    for one in findings:
        assert "jane.doe@example.com" not in one.message
        assert "john.smith@example.com" not in one.message


def test_personal_data_of_columns_that_no_model_reads() -> None:
    who = ["jane.doe@example.com" if n == 3 else "nobody" for n in range(len(PLAIN))]
    days = [f"2024-01-{n + 1:02}" for n in range(len(PLAIN))]
    checked = subject(PLAIN, LABELS, requester=who, day=days)
    (one,) = found(checked, "personal-data")
    assert (one.column, one.rows.tolist(), one.step) == ("requester", [4], "redact-personal-data")
    cleaned = clean(checked, find_steps(["redact-personal-data"]))
    assert "jane.doe@example.com" not in str(cleaned.table.arrow.to_pylist())
    (label,) = found(subject(PLAIN, who), "personal-data")
    assert label.step is None


def test_a_placeholder_that_many_rows_have_as_their_label_is_left_to_a_person() -> None:
    texts = [f"text number {n} of the house" for n in range(40)]
    (one,) = found(subject(texts, ["N/A", "b"] * 20), "placeholder-values")
    assert one.step is None
    (few,) = found(subject(texts, ["a", "b"] * 18 + ["N/A"] * 4), "placeholder-values")
    assert few.step == "empty-placeholders"


def test_one_label_is_none() -> None:
    (one,) = found(subject(PLAIN, ["a"] * len(PLAIN)), "one-label")
    assert one.severity == "error"


def test_files_beside_are_looked_at_as_training_will() -> None:
    test = Table(pa.table({"text": [PLAIN[0], None], "label": ["in", "new"]}), "test.csv")
    more = Table(pa.table({"text": [PLAIN[0], "another"], "label": ["in", "out"]}), "more.csv")
    beside = {
        "validation": Subject(more, ("text",), "label"),
        "test": Subject(test, ("text",), "label"),
    }
    checked = replace(subject(PLAIN[1:], LABELS[1:]), beside=beside)
    assert rows(checked, "test-incomplete") == [2]
    assert rows(checked, "test-labels") == [2]
    assert rows(checked, "test-in-validation") == [1]
    assert not found(checked, "validation-in-train")


def test_a_severity_that_is_none() -> None:
    with pytest.raises(ValueError, match="mine: the severity is 'warn', not of error, warning"):
        Finding("mine", "warn", "what", "how")  # type: ignore[arg-type]


def test_numbers_side_by_side_are_both_masked() -> None:
    text = redacted(
        "call +49 170 1234567 13812345678 or de89370400440532013000, room 0 a.b@example.com"
    )
    assert not any(part in text for part in ("1234567", "138123", "3704", "a.b"))


def test_a_check_of_the_users_that_breaks_ends_itself_alone() -> None:
    def broken(subject: Subject) -> Iterator[Finding]:
        yield Finding("first", "note", "what it found before", "nothing", [1])
        raise KeyError("jane.doe@example.org")

    def wrong(subject: Subject) -> list[str]:
        return ["no finding"]

    told = run_checks(subject(PLAIN, LABELS), (*CHECKS, broken, wrong))
    assert [one.rows.tolist() for one in told if one.check == "first"] == [[1]]
    (about,) = [one for one in told if one.check == "broken"]
    assert "'broken' broke off: KeyError" in about.message
    assert "jane.doe" not in about.message
    assert "it gives str, not Finding" in next(one for one in told if one.check == "wrong").message


def test_one_label_of_several_has_a_single_row() -> None:
    (told,) = [
        one for one in found(subject(PLAIN, [*LABELS[:11], "odd"]), "rare-labels") if one.step
    ]
    assert told.message.startswith("1 of 3 labels has a single row")


def test_of_a_number_that_a_word_names_only_the_number_is_masked() -> None:
    masked = redacted("Passport number is C01X00T47, BSN: 111222333.")
    assert masked.startswith("Passport number is [passport number ")
    assert "], BSN: [dutch citizen service number " in masked
    assert masked.endswith("].")


def test_patterns_are_read_alike_by_both_libraries() -> None:
    text = "RSSMRA85T10A562S, 12345678z, 2 55 08 14 168 025 38, CPF 52998224725, BSN 111222333"
    for kind in KINDS:
        by_arrow = pc.match_substring_regex(pa.array([text]), kind.pattern.pattern)
        assert by_arrow.to_pylist() == [kind.pattern.search(text) is not None]


def test_a_single_text_in_another_language_is_found() -> None:
    english = [f"This is sentence number {n}, and it stands here in English." for n in range(40)]
    german = "Guten Tag, ich habe meine Rechnung leider noch nicht bekommen."
    (told,) = found(subject([*english, german], [*["a", "b"] * 20, "a"]), "languages")
    assert told.rows.tolist() == [41]
    assert "de 1 row" in told.message
    assert told.severity == "note"


def test_white_space_around_labels_and_names_is_found_and_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [
        f"{text},{' out ' if n == 3 else label}"
        for n, (text, label) in enumerate(zip(PLAIN, LABELS, strict=True))
    ]
    path.write_text("text, label\n" + "\n".join(lines) + "\n")
    checked = Subject(read_table(path), ("text",), "label")
    (header,) = found(checked, "header-white-space")
    assert "1 column name in the file: 'label'" in header.message
    assert rows(checked, "label-white-space") == [4]
    cleaned = clean(checked, find_steps(["strip-labels"]))
    assert cleaned.table.column("label") == LABELS
    assert [(one.row, one.before, one.after) for one in cleaned.changes] == [(4, " out ", "out")]


def test_the_marker_for_missing_texts_can_be_chosen() -> None:
    checked = subject([*PLAIN[:11], None], LABELS)
    cleaned = clean(checked, find_steps(["safe", "fill-missing=(nothing said)"]))
    assert cleaned.table.column("text")[11] == "(nothing said)"
    assert cleaned.counts() == {"fill-missing": 1}
    for marker in ("", " ", "N/A"):
        with pytest.raises(ConfigError, match="stands for nothing itself"):
            find_steps([f"fill-missing={marker}"])
