"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "AllowUnverified",
    "AsJson",
    "Base",
    "BundleArgument",
    "Corrections",
    "DataArgument",
    "DropMissing",
    "Group",
    "Host",
    "IgnoreUnseen",
    "Port",
    "RowGroup",
    "RuntimeName",
    "Target",
    "Text",
    "Time",
    "Validation",
]

AllowUnverified: TypeAlias = Annotated[
    bool,
    typer.Option("--allow-unverified", help="Allow a runtime that did not pass the parity gate."),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object; progress goes to standard error.")
]
BundleArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, or the run folder that holds one.")
]
Corrections: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Apply what was decided in tunesmith review first."),
]
DataArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help='Labelled rows: csv, tsv, jsonl, parquet, xlsx; "data/*.csv"; a folder; '
        "sqlite:///…, postgresql://…, hf://datasets/….",
    ),
]
DropMissing: TypeAlias = Annotated[
    bool, typer.Option("--drop-missing", help="Leave out rows without text or label.")
]
Group: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Rows with the same value here stay on one side."),
]
IgnoreUnseen: TypeAlias = Annotated[
    bool,
    typer.Option("--ignore-unseen", help="Leave out rows with labels that are not known."),
]
RowGroup: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Rows with the same value here depend on each other; else as in training.",
    ),
]
Host: TypeAlias = Annotated[str, typer.Option(help="Address to listen on.")]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]
RuntimeName: TypeAlias = Annotated[
    str | None,
    typer.Option("--runtime", metavar="NAME", help="One of the bundle's; else its best."),
]
Target: TypeAlias = Annotated[str | None, typer.Option(help="Column that holds the label.")]
Text: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="Column to read; give it twice for pairs of texts.")
]
Time: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="When a row was: the latest rows are the test."),
]
Base: TypeAlias = Annotated[
    str | None, typer.Option(help="minilm (built in), a folder, a bundle, or a hub id.")
]
Validation: TypeAlias = Annotated[str | None, typer.Option(help="File with validation rows.")]
