"""What the tests of `tunesmith.data` make their files with."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

MakeFile = Callable[[str, str | bytes], Path]
Cells = Sequence[Sequence[object]]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """Writes a file into the test's folder and gives its path."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def make_workbook(tmp_path: Path) -> Callable[[str, dict[str, Cells]], Path]:
    """Writes a workbook of sheets (ECMA-376, the least that readers accept)."""

    def make(name: str, sheets: dict[str, Cells]) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for part, content in _parts(sheets).items():
                archive.writestr(part, content)
        return path

    return make


_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def _parts(sheets: dict[str, Cells]) -> dict[str, str]:
    numbered = list(enumerate(sheets.items(), start=1))
    listed = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"/>' for i, (n, _) in numbered)
    links = "".join(
        f'<Relationship Id="r{i}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i, _ in numbered
    )
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for i, _ in numbered
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f"{types}</Types>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>{listed}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}'
        "</Relationships>",
        **{f"xl/worksheets/sheet{i}.xml": _sheet(cells) for i, (_, cells) in numbered},
    }


def _sheet(cells: Cells) -> str:
    rows = "".join(
        f'<row r="{y}">{"".join(_cell(value, x, y) for x, value in enumerate(row))}</row>'
        for y, row in enumerate(cells, start=1)
    )
    return f"<worksheet {_MAIN}><sheetData>{rows}</sheetData></worksheet>"


def _cell(value: object, x: int, y: int) -> str:
    place = f"{chr(ord('A') + x)}{y}"
    if value is None:
        return f'<c r="{place}"/>'
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    text = f'<t xml:space="preserve">{escape(str(value))}</t>'
    return f'<c r="{place}" t="inlineStr"><is>{text}</is></c>'
