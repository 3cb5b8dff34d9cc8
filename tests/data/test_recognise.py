"""Broken files whose fault is recognised: two tables, two delimiters, NUL bytes, no line ends."""

from __future__ import annotations

import pytest

from tunesmith.data import read_table
from tunesmith.errors import DataError

TABLE = "text,label\n" + "".join(f"the text {n},a\n" for n in range(40))


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        (
            TABLE + "id,name,price\n" + "1,x,2\n" * 5,
            "row 41 (line 42)",
            "a second table begins here, with the columns 'id', 'name', 'price'",
        ),
        (
            TABLE + "\nID,Label\n" + "1,x\n" * 5,
            "row 41 (line 43)",
            "a second table begins here, with the columns 'ID', 'Label'",
        ),
        (TABLE * 2, "row 41", "the column names stand here again: 'text', 'label'"),
        (
            TABLE + "the text;b\n" * 30,
            "row 41 (line 42)",
            "30 rows from here on are separated by semicolons, those above by commas",
        ),
        (
            TABLE + "one, two, three;b\nfour, five, six;b\n",
            "row 41 (line 42)",
            "2 rows from here on are separated by semicolons, those above by commas",
        ),
        (
            TABLE + '"the text";"b"\n',
            "row 41 (line 42)",
            "this row is separated by semicolons, those above by commas",
        ),
        (
            TABLE.replace(",", "\t") + "the text|b\n",
            "row 41 (line 42)",
            "this row is separated by pipes, those above by tabs",
        ),
    ],
)
def test_two_in_one(make_file, content: str, place: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(make_file("x.csv", content))
    [fault] = caught.value.faults
    assert (fault.where.rpartition("x.csv, ")[2], fault.what) == (place, what)
    assert fault.mend


@pytest.mark.parametrize(
    "content",
    [
        TABLE + "\n" + "label of mine,b\n",  # a text after a blank line
        TABLE + "text,b\n",
        "text\na\n\ntext\n",
    ],
)
def test_what_only_looks_like_it(make_file, content: str) -> None:
    assert read_table(make_file("x.csv", content)).num_rows


def test_other_ragged_rows_are_as_before(make_file) -> None:
    with pytest.raises(DataError, match="3 fields found, 2"):
        read_table(make_file("x.csv", TABLE + "good, and bad,a\n" + "fine,b\n"))


CHINESE = "文本,标签\n" + "今天的天气非常好,好\n昨天下了一整天的雨,坏\n" * 20
RUSSIAN = "текст,метка\n" + "сегодня очень хорошая погода,да\n" * 20
HINDI = "पाठ,लेबल\n" + "आज मौसम बहुत अच्छा है,हाँ\n" * 20


@pytest.mark.parametrize(
    ("data", "place", "what"),
    [
        (b"text,label\ngood,a\nb\0ad,b\n" * 9, "line 3", "holds 9 NUL bytes, which no text does"),
        (TABLE.encode() + b"\0", "line 42", "holds a NUL byte, which no text does"),
        (TABLE.encode("utf-16-le"), "", "looks like UTF-16 without a byte order mark"),
        (TABLE.encode("utf-16-be"), "", "looks like UTF-16 (big-endian) without a byte order mark"),
        (CHINESE.encode("utf-16-le"), "", "looks like UTF-16 without a byte order mark"),
        (
            RUSSIAN.encode("utf-16-be"),
            "",
            "looks like UTF-16 (big-endian) without a byte order mark",
        ),
        (HINDI.encode("utf-16-le"), "", "looks like UTF-16 without a byte order mark"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt"])
def test_nul_bytes(make_file, data: bytes, place: str, what: str, suffix: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(make_file(f"x.{suffix}", data))
    [fault] = caught.value.faults
    assert (fault.where.rpartition(f"x.{suffix}")[2].strip(", "), fault.what) == (place, what)


def test_a_line_that_does_not_end(make_file) -> None:
    path = make_file("x.csv", b"text,label " * 500_000)
    with pytest.raises(DataError, match="line 1: the first line has more than 4,194,304"):
        read_table(path)


@pytest.mark.slow
def test_a_line_of_300_megabytes(make_file) -> None:
    path = make_file("x.csv", b"text,label," * 28_000_000)
    with pytest.raises(DataError, match="line 1: the first line has more than 4,194,304"):
        read_table(path)
    path.write_bytes(b"text,label\na,b\n" + b"x" * 300_000_000)
    with pytest.raises(DataError, match=r"row 2 \(line 3\): a value begins here that is longer"):
        read_table(path)


def test_a_second_table_of_the_same_width_is_told_by_its_names(make_file) -> None:
    with pytest.raises(DataError, match="a second table begins here, with the columns 'message'"):
        read_table(make_file("x.csv", TABLE + "\nmessage,category\nwhere is it,delivery\n"))
    assert read_table(make_file("y.csv", TABLE + "\nmessage,b\n")).num_rows


def test_one_field_is_no_fields(make_file) -> None:
    with pytest.raises(DataError, match="1 field found, 3"):
        read_table(make_file("x.csv", "text,label,day\na,b,c\nd\ne,f,g\n"))
