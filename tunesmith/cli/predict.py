"""`tunesmith predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli._options import AllowUnverified, AsJson, BundleArgument, RuntimeName


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
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="P", help="Mark answers less likely than P in a column 'abstained'."),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="The same, so that a share P of the others is right, such as 0.95."
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Add 'label_set': labels that hold the true one with probability P."
        ),
    ] = None,
    scope: Annotated[
        bool, typer.Option("--scope", help="Add 'in_scope': whether a text is like the training's.")
    ] = False,
    runtime: RuntimeName = None,
    allow_unverified: AllowUnverified = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run was stopped or killed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a label and its probability to every row of a file, however many they are.

    Example: tunesmith predict runs/tickets/bundle new.csv -o labelled.csv
    """
    from rich.text import Text

    from tunesmith.data import require_present

    require_present(data)
    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, out, print_json
    from tunesmith.tasks import Wanted

    listener = ConsoleListener(errors)
    try:
        wanted = Wanted(abstain_below, precision, coverage, scope)
        result = recipes.predict(
            bundle,
            data,
            output,
            overwrite=overwrite,
            resume=resume,
            wanted=wanted,
            runtime_name=runtime,
            allow_unverified=allow_unverified,
            listener=listener,
        )
    finally:
        listener.close()
    if as_json:
        print_json({"output": str(output), "num_rows": result.num_rows})
    else:
        noun = "row" if result.num_rows == 1 else "rows"
        out.print(Text(f"{result.num_rows:,} {noun} written to {output}"), soft_wrap=True)
