"""Files beside a source: what a copy is called, and that nothing is written over the source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tunesmith.data import Table, is_address, is_pattern, sheet_of, source_stem
from tunesmith.errors import OutputError

__all__ = ["copy_of", "refuse_sources", "sources_of", "stem_of"]

_WRITTEN = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def sources_of(table: Table) -> list[str]:
    """What a table was read from: a file, or several."""
    return [table.source, *(part.source for part in table.parts)]


def refuse_sources(path: Path, sources: Iterable[str]) -> None:
    """Refuses to write over what was read.

    Raises:
        OutputError: `path` is one of the sources, by whatever name.
    """
    files = [Path(sheet_of(name)[0]) for name in sources if not is_address(name)]
    if path.exists() and any(file.exists() and path.samefile(file) for file in files):
        mend = "choose another name"
        raise OutputError("is the file that was checked", where=str(path), mend=mend)


def copy_of(source: str) -> Path:
    """The cleaned copy of a source: "mail.csv" → "mail-clean.csv"."""
    path = Path("data.csv") if source == "standard input" else Path(sheet_of(source)[0])
    if is_pattern(source) or is_address(source):
        path = Path(f"{source_stem(source, 'data')}.csv")
    suffix = path.suffix.lower() if path.suffix.lower() in _WRITTEN else ".csv"
    return path.with_name(f"{stem_of(path)}-clean{suffix}")


def stem_of(path: Path) -> str:
    """The name without what says its kind: "mail.csv.gz" is "mail", "mail.v2.csv" is "mail.v2"."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem
