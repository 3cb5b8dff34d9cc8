"""What a source of data is called: in a bundle, and in the names of files and folders."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from tunesmith.config import redact

__all__ = ["is_address", "is_pattern", "sheet_of", "source_name", "source_stem"]

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_HUB = "hf://datasets/"
_SHEET = re.compile(r"(.+\.(?:xlsx|xlsm|xls|ods))\?sheet=(.+)", re.IGNORECASE | re.DOTALL)
_NO_NAME = re.compile(r"[^\w.-]+")


def is_address(source: str) -> bool:
    """Whether `source` is an address ("sqlite:///shop.db") rather than a path."""
    return bool(_ADDRESS.match(source))


def is_pattern(source: str) -> bool:
    """Whether `source` is a pattern ("data/*.csv"); an existing file of that very name is none."""
    if is_address(source) or sheet_of(source)[1] is not None:
        return False
    return glob.has_magic(source) and not Path(source).exists()


def sheet_of(source: str) -> tuple[str, str | None]:
    """The workbook and the sheet that "book.xlsx?sheet=Rows" names; no sheet of other sources."""
    match = _SHEET.fullmatch(source)
    return (match[1], match[2]) if match else (source, None)


def source_name(source: str | Path) -> str:
    """What may travel with a bundle: the name without folders, hosts, users and SQL.

    "data/tickets.csv" is "tickets.csv", "postgresql://ann@host/shop?table=tickets" is
    "shop, table tickets". A data set of the hub keeps its whole name.
    """
    source = str(source)
    if not is_address(source):
        return Path(source).name
    if source.startswith(_HUB):
        return source.removeprefix(_HUB)
    address, _, settings = redact(source).partition("?")
    name = address.rpartition("/")[2].rpartition("@")[2] or "database"
    table = re.match(r"(?:[^=&]*=[^&]*&)*?table=([^&]*)", settings)
    if table:
        return f"{name}, table {table[1]}"
    return f"{name}, a query" if "query=" in settings else name


def source_stem(source: str | Path, default: str) -> str:
    """The beginning of names for what is made from `source`: "tickets", or `default`."""
    source = str(source)
    if is_address(source):
        named = source_name(source)
        stem = named.rpartition(" ")[2] if ", table " in named else named.partition(",")[0]
        stem = stem.split("@")[0] if source.startswith(_HUB) else stem
        stem = "-".join(stem.split("/")[:2]) if source.startswith(_HUB) else stem
    elif is_pattern(source):
        plain = [part for part in Path(source).parts if not glob.has_magic(part)]
        stem = plain[-1] if plain else ""
    else:
        stem = Path(source).name
    return _NO_NAME.sub("-", stem.split(".")[0]).strip("-.") or default
