"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["AsJson", "BundleArgument", "DropMissing", "Host", "Port"]

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object; progress goes to standard error.")
]
BundleArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, or the run folder that holds one.")
]
DropMissing: TypeAlias = Annotated[
    bool, typer.Option("--drop-missing", help="Leave out rows without text or label.")
]
Host: TypeAlias = Annotated[str, typer.Option(help="Address to listen on.")]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]
