"""A folder of text files in folders named as their labels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunesmith.data import read_table
from tunesmith.errors import DataError


def test_label_is_the_folder(make_file, tmp_path: Path) -> None:
    make_file("train/pos/2.txt", "\ufeffgood film,\nvery good")
    make_file("train/neg/1.txt", "bad film\n")
    make_file("train/pos/1.TXT", "fine\tfilm")
    make_file("train/pos/.hidden.txt", "no")
    make_file("train/.git/x.txt", "no")
    make_file("train/urls_pos.txt", "http://example.org")
    make_file("train/labeledBow.feat", "1 0:1")
    table = read_table(tmp_path / "train")
    assert table.column("path") == ["neg/1.txt", "pos/1.TXT", "pos/2.txt"]
    assert table.column("label") == ["neg", "pos", "pos"]
    assert table.column("text") == ["bad film\n", "fine\tfilm", "good film,\nvery good"]
    assert table.notes == (
        "3 text files, one row each, in 2 folders named as their labels: pos 2, neg 1",
        "text files beside the label folders are left out: 'urls_pos.txt'",
    )
    assert table.where([3]) == f"{tmp_path}/train, row 3 (pos/2.txt)"


def test_a_table_in_the_folder_comes_first(make_file, tmp_path: Path) -> None:
    make_file("x/notes/a.txt", "a text")
    make_file("x/data.csv", "text,label\na,b\n")
    assert read_table(tmp_path / "x").column("text") == ["a"]


def test_one_folder_up_is_too_high(make_file, tmp_path: Path) -> None:
    for part in ("train", "test"):
        make_file(f"aclImdb/{part}/pos/1.txt", "good")
    make_file("aclImdb/README.txt", "read me")
    with pytest.raises(DataError, match="more than one folder deep") as caught:
        read_table(tmp_path / "aclImdb")
    assert f"{tmp_path}/aclImdb/test, {tmp_path}/aclImdb/train" in caught.value.faults[0].mend


def test_texts_without_label_folders(make_file, tmp_path: Path) -> None:
    make_file("x/1.txt", "good")
    with pytest.raises(
        DataError, match=r"holds no data file\n  → .* folders named as their labels"
    ):
        read_table(tmp_path / "x")


def test_empty_and_binary_files_are_named(make_file, tmp_path: Path) -> None:
    make_file("x/a/1.txt", "good")
    make_file("x/a/2.txt", " \n")
    make_file("x/b/3.txt", b"PK\x03\x04\x00\x01")
    make_file("x/b/4.txt", "schön und grün ".encode() + b"caf\xe9")
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "x")
    assert [(fault.where, fault.what[:28]) for fault in caught.value.faults] == [
        (f"{tmp_path}/x/a/2.txt", "the file is empty"),
        (f"{tmp_path}/x/b/3.txt", "looks like a binary file, no"),
        (f"{tmp_path}/x/b/4.txt, line 1", "cannot be read as text: a by"),
    ]


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_files_that_cannot_be_read(make_file, tmp_path: Path) -> None:
    path = make_file("x/a/1.txt", "good")
    os.mkfifo(tmp_path / "x" / "a" / "2.txt")  # reading it would wait for ever
    assert read_table(tmp_path / "x").num_rows == 1
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no data file"):
        read_table(tmp_path / "x")


def test_one_encoding_is_guessed_for_all(make_file, tmp_path: Path) -> None:
    texts = [
        "Où est ma carte déjà commandée\n",
        "Ça marche très bien",
        "Une journée d'été\nà Nîmes",
    ]
    for number, text in enumerate(texts):
        make_file(f"x/a/{number}.txt", text.encode("cp1252"))
    make_file("x/b/utf8.txt", "déjà")
    make_file("x/b/utf16.txt", "déjà".encode("utf-16"))
    table = read_table(tmp_path / "x")
    assert table.column("text") == [*texts, "déjà", "déjà"]
    assert sum("not UTF-8" in note for note in table.notes) == 2


def test_encodings_without_marks_only(make_file, tmp_path: Path) -> None:
    texts = ["Où est ma carte déjà commandée\n", "Ça marche très bien"]
    for number, text in enumerate(texts):
        make_file(f"x/a/{number}.txt", text.encode("cp1252"))
    table = read_table(tmp_path / "x")
    assert table.column("text") == texts
    assert table.notes[1:] == ("read as cp1252 (not UTF-8): 2 files",)
