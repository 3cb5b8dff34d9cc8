"""`tunesmith evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli._options import AsJson, BundleArgument, DropMissing


def evaluate(
    bundle: BundleArgument,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled rows that the model has not seen.")
    ],
    target: Annotated[
        str | None, typer.Option(help="Column that holds the label; else as in training.")
    ] = None,
    drop_missing: DropMissing = False,
    as_json: AsJson = False,
) -> None:
    """Judge a bundle on labelled rows, with 95 % intervals.

    Example: tunesmith evaluate runs/tickets/bundle march.csv
    """
    from rich.text import Text

    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, labels_table, out, percent, print_facts, print_json

    listener = ConsoleListener(errors)
    try:
        result = recipes.evaluate(
            bundle, data, target=target, drop_missing=drop_missing, listener=listener
        )
    finally:
        listener.close()
    if as_json:
        print_json(result.as_dict())
        return
    metrics = result.metrics
    losses = {"log_loss"}
    facts = [
        (name.replace("_", "-"), f"{own.value:.3f} ({own.low:.3f}–{own.high:.3f})")
        if name in losses
        else (name.replace("_", "-"), percent(own))
        for name, own in metrics.values.items()
    ]
    print_facts(facts)
    out.print(labels_table(metrics.labels))
    out.print(Text(f"{metrics.num_examples:,} rows; intervals at {metrics.confidence:.0%}"))
