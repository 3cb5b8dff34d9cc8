"""Folders: what `datasets` saves to disk, or a folder with one data file in it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from tunesmith.data._binary import name_labels, read_arrow
from tunesmith.data._suggest import listed
from tunesmith.data._table import Table, check_names
from tunesmith.errors import DataError

__all__ = ["data_file", "is_data_file", "is_saved_dataset", "read_saved_dataset"]

_DESCRIPTIONS = {"dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"}


def is_saved_dataset(folder: Path) -> bool:
    """Whether `datasets.Dataset.save_to_disk` wrote this folder."""
    return (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()


def read_saved_dataset(folder: Path, source: str) -> Table:
    """A folder that `datasets.Dataset.save_to_disk` wrote.

    Raises:
        DataError: a file of it is missing or damaged.
    """
    state = _description(folder / "state.json", source)
    info = _description(folder / "dataset_info.json", source)
    if state.get("_indices_data_files"):
        raise DataError(
            "was saved by an old version of datasets, as a selection of rows",
            where=source,
            mend="load it with datasets and save it again",
        )
    try:
        # The name alone: a description from elsewhere must not point outside its folder.
        names = [Path(str(entry["filename"])).name for entry in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise _damaged(f"{source}/state.json", "names no data files") from error
    lost = [name for name in names if not (folder / name).is_file()]
    if lost or not names:
        raise _damaged(source, f"data files are missing: {listed(lost)}")
    shards = [read_arrow(folder / name, f"{source}/{name}") for name in names]
    try:
        arrow = pa.concat_tables(shards).replace_schema_metadata(None)
    except pa.ArrowException as error:
        raise _damaged(source, "its data files do not have the same columns") from error
    check_names([str(name) for name in arrow.column_names], source)
    if not arrow.num_rows:
        raise DataError("there are no rows", where=source)
    return name_labels(Table(arrow, source, ("read as a saved dataset",)), info.get("features"))


def data_file(folder: Path, source: str, suffixes: Collection[str]) -> Path | None:
    """The only file in a folder (or in the folders below it) that can be read as a table.

    None where there is none.

    Raises:
        DataError: there are several; the mend names them, and the pattern for all.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in folder.iterdir() if is_saved_dataset(child))
        raise DataError(
            "holds a dataset of several splits",
            where=source,
            mend=f"name one of them: {', '.join(str(Path(source) / name) for name in splits)}",
        )
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and is_data_file(path.relative_to(folder), suffixes)
    ]
    if len(found) < 2:
        return found[0] if found else None
    shown = ", ".join(str(Path(source) / path.relative_to(folder)) for path in found[:8])
    more = f" and {len(found) - 8:,} more" if len(found) > 8 else ""
    patterns = _patterns([path.relative_to(folder) for path in found], source)
    raise DataError(
        f"is a folder of {len(found)} data files",
        where=source,
        mend=f"for all as one table: {patterns}; or name one: {shown}{more}",
    )


def _patterns(found: Sequence[Path], source: str) -> str:
    """What names all files of a kind: "data/*.csv", quoted as for a shell."""
    deep = "**/" if any(len(path.parts) > 1 for path in found) else ""
    endings = sorted({"".join(path.suffixes[-(1 + (path.suffix == ".gz")) :]) for path in found})
    return " or ".join(f'"{Path(source) / deep}/*{ending}"' for ending in endings)


def is_data_file(path: PurePath, suffixes: Collection[str]) -> bool:
    """Whether a file in a folder is taken for a table; hidden files and descriptions are not."""
    if any(part.startswith((".", "__")) for part in path.parts) or path.name in _DESCRIPTIONS:
        return False
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix in suffixes and not name.endswith(".txt")


def _description(path: Path, source: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(f"{source}/{path.name}", "is not JSON") from error
    if not isinstance(value, dict):
        raise _damaged(f"{source}/{path.name}", "is not an object")
    return value


def _damaged(where: str, what: str) -> DataError:
    return DataError(f"the saved dataset is damaged: {what}", where=where)
