"""`tunesmith predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli._options import AsJson, BundleArgument


def predict(
    bundle: BundleArgument,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Rows with the text columns; - is standard input.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="csv, tsv, jsonl or parquet, by its suffix.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file if it exists.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run was stopped or killed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a label and its probability to every row of a file, however many they are.

    Example: tunesmith predict runs/tickets/bundle new.csv -o labelled.csv
    """
    from rich.text import Text

    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, out, print_json

    listener = ConsoleListener(errors)
    try:
        result = recipes.predict(
            bundle, data, output, overwrite=overwrite, resume=resume, listener=listener
        )
    finally:
        listener.close()
    if as_json:
        print_json({"output": str(output), "num_rows": result.num_rows})
    else:
        noun = "row" if result.num_rows == 1 else "rows"
        out.print(Text(f"{result.num_rows:,} {noun} written to {output}"), soft_wrap=True)
