"""Everything a user may give wrong: one message, exit code 2, and nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import labelled_rows

from .conftest import Invoke, write_rows

ROWS = labelled_rows(60)


def _written(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        file = folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return make


def _rows(rows: list[tuple[str, str]], name: str = "x.csv") -> Callable[[Path], Path]:
    return lambda folder: write_rows(folder / name, rows)


FILES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "no such file": (
        lambda folder: _rows(ROWS, "tickets.csv")(folder).with_name("tikets.csv"),
        ("tikets.csv: no such file", "did you mean 'tickets.csv'?"),
    ),
    "no such folder": (
        lambda folder: folder / "nowhere" / "x.csv",
        ("nowhere' does not exist", "check the path"),
    ),
    "empty": (_written("x.csv", ""), ("x.csv: the file is empty", "column names")),
    "empty parquet": (_written("x.parquet", ""), ("x.parquet: the file is empty",)),
    "header only": (
        _written("x.csv", "text,topic\n"),
        ("no rows below the column names", "add rows", "'text', 'topic'"),
    ),
    "one label": (
        _rows([(text, "a") for text, _ in ROWS]),
        ("all rows have the same label: 'a'", "--target"),
    ),
    "a label with one row": (
        _rows([*ROWS, ("odd one out", "rare")]),
        ("labels has a single row: 'rare'", "data.drop_rare_labels=true"),
    ),
    "rows without text or label": (
        _rows([*ROWS, ("", "delivery"), ("where is it", "")]),
        ("row 61: column 'text' is empty", "row 62: column 'topic' is empty", "--drop-missing"),
    ),
    "numbers": (
        _rows([(str(number), topic) for number, (_, topic) in enumerate(ROWS)]),
        ("all values of the text column are numbers", "--text"),
    ),
    "ragged": (
        _rows([*ROWS, ("one, two, three", "delivery")]),
        ("row 61 (line 62): 4 fields found, 2 ('text', 'topic') expected", "double quotes"),
    ),
    "an open quote": (
        _rows([*ROWS, ('"never closed', "delivery")]),
        ("row 61 (line 62): a quoted value begins here and is never closed",),
    ),
    "binary": (
        _written("x.csv", bytes(range(256)) * 8),
        ("looks like a binary file, not text", "give a table"),
    ),
    "zip": (_written("x.csv", b"PK\x03\x04\x00\x00"), ("looks like a binary file", ".xlsx")),
    "not parquet": (_written("x.parquet", "text,topic\n"), ("is not a Parquet file", "→")),
    "not a workbook": (_written("x.xlsx", "text,topic\n"), ("is not a workbook", "→")),
    "not gzip": (_written("x.csv.gz", "text,topic\n"), ("is not a gzip file", "take .gz off")),
    "not JSON": (
        _written("x.jsonl", '{"text": "a", "topic": "b"}\n{"text":\n'),
        ("x.jsonl, line 2: not JSON", '{"text": "…", "label": "…"}'),
    ),
    "unknown suffix": (_written("x.foo", "a"), ("cannot tell what '.foo' is", "csv, tsv")),
    "too few": (_rows([("a b c", "x"), ("b c d", "y")] * 2), ("too few to split", "add rows")),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file(invoke: Invoke, small: Path, tmp_path: Path, case: str) -> None:
    make, messages = FILES[case]
    _refused(invoke, messages, make(tmp_path), "--base", small / "base")


FLAGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "wrong target": (("--target", "topik"), ("'topik' does not exist", "did you mean 'topic'?")),
    "two wrong columns": (
        ("--target", "topik", "--text", "txet"),
        ("'txet' does not exist", "did you mean 'text'?", "'topik' does not exist"),
    ),
    "text is target": (("--target", "topic", "--text", "topic"), ("both as the text and as",)),
    "unknown setting": (
        ("--set", "training.epoch=3"),
        ("training.epoch: there is no such setting", "did you mean 'training.epochs'?"),
    ),
    "several settings": (
        ("--set", "training.batch_size=big", "--set", "nonsense"),
        ("training.batch_size", "--set nonsense: is not of the form"),
    ),
    "unknown method": (("--method", "fulll"), ("there is no 'fulll'", "did you mean 'full'?")),
    "no epochs": (("--epochs", "0"), ("training.epochs",)),
    "no such config": (("--config", "nosuch.yaml"), ("nosuch.yaml: cannot be read",)),
    "shares": (
        ("--set", "data.test_fraction=0.6", "--set", "data.validation_fraction=0.6"),
        ("leave nothing to train on",),
    ),
    "no test rows": (("--set", "data.test_fraction=0"), ("there are no test rows", "--test")),
    "no such base": (("--base", "./bsae"), ("./bsae: no such folder",)),
}


@pytest.mark.parametrize("case", FLAGS)
def test_a_flag(invoke: Invoke, small: Path, case: str) -> None:
    flags, messages = FLAGS[case]
    base = () if "--base" in flags else ("--base", small / "base")
    _refused(invoke, messages, small / "topics.csv", *base, *flags)


def test_no_data(invoke: Invoke) -> None:
    result = invoke("train")
    assert (result.code, "no data file was given" in result.err) == (2, True)


def test_programs_are_told_too(invoke: Invoke) -> None:
    result = invoke("train", "nosuch.csv", "--json")
    error = json.loads(result.out)["error"]
    assert (result.code, error["exit_code"]) == (2, 2)
    (fault,) = error["faults"]
    assert (fault["what"], fault["where"]) == ("no such file", "nosuch.csv")


def test_a_test_file_with_labels_of_its_own(invoke: Invoke, small: Path, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "t.csv", [*ROWS[:9], ("greetings from afar", "martian")])
    messages = ("t.csv: labels that the model does not know: 'martian'", "the model knows login")
    _refused(invoke, messages, small / "topics.csv", "--base", small / "base", "--test", other)


def _not_a_model(base: Path) -> None:
    (base / "config.json").unlink()


def _pickled(base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


def _auto_map(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "code.Model"}
    (base / "config.json").write_text(json.dumps(config))


def _cut(base: Path) -> None:
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def _without_tokenizer(base: Path) -> None:
    for file in base.glob("token*"):
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_not_a_model, "is not a model: there is no config.json"),
        (_pickled, "has pickled weights only (pytorch_model.bin)"),
        (_auto_map, "config.json asks to run code (auto_map)"),
        (_cut, "cannot be opened"),
        (_without_tokenizer, "tokenizer"),
    ],
)
def test_a_base(
    invoke: Invoke, small: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    base = shutil.copytree(small / "base", tmp_path / "spoilt")
    spoil(base)
    _refused(invoke, (message,), small / "topics.csv", "--base", base)


def test_output_is_taken(invoke: Invoke, small: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious").write_text("mine")
    for output in ("taken", "taken/precious"):
        result = invoke("train", small / "topics.csv", "--output", output)
        assert result.code == 2
        assert "the output folder is" in result.err
        assert "--output" in result.err
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["precious"]


def test_the_disk_is_full(invoke: Invoke, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    messages = ("the disk is too full: about", "1 MB are free", "--output")
    quick = ("--set", "training.precision=fp32")
    _refused(invoke, messages, small / "topics.csv", "--base", small / "base", *quick)


@pytest.fixture
def changed(small: Path, tmp_path: Path) -> Path:
    """A bundle of whose weights one bit was flipped."""
    bundle = shutil.copytree(small / "run" / "bundle", tmp_path / "changed")
    weights = bundle / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    return bundle


def test_a_changed_bundle(invoke: Invoke, small: Path, changed: Path, tmp_path: Path) -> None:
    data = small / "topics.csv"
    for arguments in (
        ("info", changed),
        ("evaluate", changed, data),
        ("predict", changed, data, "-o", "out.csv"),
        ("serve", changed, "--port", "0"),
        ("train", data, "--base", changed, "--output", "out"),
    ):
        result = invoke(*arguments)
        assert result.code == 2, arguments
        assert "model/model.safetensors: was changed or damaged" in result.err
        assert "Traceback" not in result.err
    assert {path.name for path in tmp_path.iterdir()} == {"changed"}


@pytest.mark.parametrize("name", ["nosuch", "base", "topics.csv"])
def test_no_bundle(invoke: Invoke, small: Path, name: str) -> None:
    result = invoke("info", small / name)
    assert result.code == 2
    assert f"{name}: " in result.err
    assert "→" in result.err


def _refused(invoke: Invoke, messages: tuple[str, ...], *arguments: object) -> None:
    output = Path("out", "run")
    result = invoke("train", *arguments, "--output", output)
    assert result.code == 2, result
    for message in messages:
        assert message in result.err
    assert "error: " in result.err
    assert "Traceback" not in result.err
    assert not result.out
    assert not output.parent.exists()
