"""Delimited text: delimiters, quotes, header, ragged rows, encodings."""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data import read_table
from tunesmith.errors import DataError

GERMAN = (
    "text;label\nSchöne Grüße aus München, alles wäre gut gewesen;gut\nÜbel für mich – “nö”;übel\n"
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_delimiter_is_found(make_file, delimiter: str, suffix: str) -> None:
    rows = [["text", "label", "id"], ["one; two, three", "a", "1"], ["x", "b", "2"]]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    table = read_table(make_file(f"x{suffix}", stream.getvalue()))
    assert table.column_names == rows[0]
    assert table.column("text") == ["one; two, three", "x"]
    usual = {".csv": ",", ".tsv": "\t"}[suffix]
    assert bool(table.notes) == (delimiter != usual)


def test_delimiter_note_names_it(make_file) -> None:
    assert read_table(make_file("x.csv", "a;b\n1;2\n")).notes == (
        "columns are separated by semicolons",
    )


def test_delimiter_of_most_rows_wins(make_file) -> None:
    table = read_table(make_file("x.csv", "text, long;label\na;b\nc, d, e;f\n"))
    assert table.column_names == ["text, long", "label"]


def test_one_column(make_file) -> None:
    assert read_table(make_file("x.csv", "text\nhello\n\nthere\n")).column("text") == [
        "hello",
        "there",
    ]


def test_rfc_4180(make_file) -> None:
    content = '\ufefftext,label\r\n"two\r\nlines, ""quoted""",a\r\n,b\r\n\r\n'
    table = read_table(make_file("x.csv", content))
    assert table.column_names == ["text", "label"]
    assert table.column("text") == ['two\r\nlines, "quoted"', None]
    assert table.column("label") == ["a", "b"]
    assert table.notes == ()


def test_old_mac_line_ends(make_file) -> None:
    assert read_table(make_file("x.csv", "text,label\ra,b\rc,d\r")).num_rows == 2


def test_values_stay_text(make_file) -> None:
    table = read_table(make_file("x.csv", "a,b,c\n007,1.0,NaN\n"))
    assert [table.column(name) for name in "abc"] == [["007"], ["1.0"], ["NaN"]]


def test_long_fields_are_read(make_file) -> None:
    text = "word " * 60_000
    assert read_table(make_file("x.csv", f"text,label\n{text},a\n")).column("text") == [text]


def test_ragged_rows_are_listed_together(make_file) -> None:
    lines = ["text,label", '"two', 'lines",a'] + ["good, and bad,b", "c"] * 4
    with pytest.raises(DataError) as caught:
        read_table(make_file("x.csv", "\n".join(lines)))
    assert len(caught.value.faults) == 5
    assert caught.value.faults[0].where.endswith("x.csv, row 2 (line 4)")
    assert caught.value.faults[0].what == "3 fields found, 2 ('text', 'label') expected"
    assert caught.value.faults[1].what.startswith("1 field found")
    assert "3 more rows" in caught.value.faults[-1].mend
    assert "double quotes" in caught.value.faults[-1].mend


def test_unclosed_quote_names_the_row_that_opens_it(make_file) -> None:
    with pytest.raises(DataError, match=r"row 2 \(line 3\): a quoted value begins here"):
        read_table(make_file("x.csv", 'text,label\na,b\n"c,d\ne,f\n'))


def test_text_after_a_quote(make_file) -> None:
    with pytest.raises(DataError, match=r"row 1 \(line 2\): text follows directly"):
        read_table(make_file("x.csv", 'text,label\n"Great" film,a\n'))


def test_tabs_without_quoting(make_file) -> None:
    table = read_table(make_file("x.tsv", 'text\tlabel\n"Great" film\ta\n"open\tb\n'))
    assert table.column("text") == ['"Great" film', '"open']
    assert table.notes == ("quotes are read as ordinary characters",)


def test_header_space_is_stripped(make_file) -> None:
    table = read_table(make_file("x.csv", " text ,label\na,b\n"))
    assert table.column_names == ["text", "label"]
    assert table.notes == ("white space around the column name 'text' was removed",)


def test_bad_names_are_reported_together(make_file) -> None:
    with pytest.raises(DataError) as caught:
        read_table(make_file("x.csv", "text,,text\na,b,c\n"))
    assert "column 2 has no name" in str(caught.value)
    assert "occur more than once: 'text'" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (",text\n0,a\n1,b\n", "column 1 is left out: it has no name and only counts the rows"),
        ("text,\na,\nb,\n", "column 2 is left out: it has no name and is empty"),
    ],
)
def test_nameless_columns_that_say_nothing(make_file, content: str, note: str) -> None:
    table = read_table(make_file("x.csv", content))
    assert table.column_names == ["text"]
    assert table.notes == (note,)


def test_file_without_names(make_file) -> None:
    with pytest.raises(DataError, match="the first line looks like data"):
        read_table(make_file("x.tsv", "what a fine day it is\t1\nno\t0\nwhy not then\t1\n"))


@pytest.mark.parametrize("content", ["", "  \n\n ", "\ufeff", "\ufeff\n"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".jsonl", ".json", ".csv.gz"])
def test_empty_file(make_file, content: str, suffix: str) -> None:
    import gzip

    data = content.encode()
    path = make_file(f"x{suffix}", gzip.compress(data) if suffix.endswith(".gz") else data)
    with pytest.raises(DataError, match="the file is empty"):
        read_table(path)


def test_header_only(make_file) -> None:
    with pytest.raises(DataError, match="no rows below the column names") as caught:
        read_table(make_file("x.csv", "text,label\n\n"))
    assert "'text', 'label'" in str(caught.value)


def test_txt(make_file) -> None:
    lines = read_table(make_file("a.txt", "first, of two\r\n\r\nsecond; too\r\n"))
    assert lines.column("text") == ["first, of two", "second; too"]
    assert lines.notes == ("read as one text a line, column 'text'",)
    named = read_table(make_file("b.txt", "text\nfirst\n"))
    assert named.column("text") == ["first"]
    table = read_table(make_file("c.txt", "text\tlabel\na\tb\n"))
    assert table.column_names == ["text", "label"]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
    ],
)
def test_byte_order_marks(make_file, encoding: str, mark: bytes) -> None:
    table = read_table(make_file("x.csv", mark + GERMAN.encode(encoding)))
    assert table.column("label") == ["gut", "übel"]
    assert any("not UTF-8" in note for note in table.notes) == (encoding != "utf-8")


def test_windows_encoding_is_found_and_said(make_file) -> None:
    table = read_table(make_file("x.csv", GERMAN.encode("cp1252")))
    assert table.column("label") == ["gut", "übel"]
    assert "read as cp1252 (not UTF-8)" in table.notes


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        (
            "gb18030",
            "商务大床房,房间很大,整体感觉经济实惠不错。早餐太差,酒店应该重视一下这个问题了。",
        ),
        ("big5", "這家飯店的房間很大，服務人員也非常親切，下次一定會再來住。"),
        ("cp949", "이 영화는 정말 재미있었습니다. 다시 보고 싶은 영화입니다."),
        ("cp1250", "Zażółć gęślą jaźń, to był świetny film i będę go oglądać znowu."),
        ("cp932", "この映画はとても面白かったです。もう一度見たいと思います。"),
        ("cp1251", "Очень хороший фильм, всем советую посмотреть его ещё раз."),
    ],
)
def test_other_encodings(make_file, encoding: str, text: str) -> None:
    content = f"text\tlabel\n{text}\t1\n{text * 3}\t0\n"
    table = read_table(make_file("x.tsv", content.encode(encoding)))
    assert table.column("text")[0] == text


def test_a_few_accents_among_plain_lines(make_file) -> None:
    lines = ["text,label", *["where is my card,a"] * 200, "Où est ma carte déjà commandée,b"]
    table = read_table(make_file("x.csv", "\n".join(lines).encode("cp1252")))
    assert table.column("text")[-1] == "Où est ma carte déjà commandée"


def test_utf8_with_a_broken_byte_is_not_guessed_at(make_file) -> None:
    data = "text,label\nschön,a\ngrün,b\n".encode() + b"caf\xe9,c\n"
    with pytest.raises(DataError, match=r"x\.csv, line 4: cannot be read as text") as caught:
        read_table(make_file("x.csv", data))
    assert "0xE9" in str(caught.value)
    assert "save it as UTF-8" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"text,label\n\x00\x01,a\n", "give a table"),
        (b"PK\x03\x04\x14\x00\x00", "Excel"),
        (b"\x1f\x8b\x08\x00\x00", ".gz"),
        (b"\x1f\x8b\x08\xff\xff", ".gz"),
        (b"PAR1\x15\x00", ".parquet"),
        (codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"), "give a table"),
    ],
)
def test_binary_content(make_file, data: bytes, hint: str) -> None:
    with pytest.raises(DataError, match="looks like a binary file") as caught:
        read_table(make_file("x.csv", data))
    assert hint in str(caught.value)


def test_cut_utf16(make_file) -> None:
    with pytest.raises(DataError, match="says that it is UTF-16, and is not"):
        read_table(make_file("x.csv", codecs.BOM_UTF16_LE + b"a\0b"))


CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8)


@given(ROWS, st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_csv_writes_is_read(rows, delimiter: str, line_end: str, marked: bool) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label", "id"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(codecs.BOM_UTF8 * marked + stream.getvalue().encode())
        table = read_table(path)
    read = list(zip(*(table.column(name) for name in ("text", "label", "id")), strict=True))
    assert read == [tuple(cell or None for cell in row) for row in rows]
