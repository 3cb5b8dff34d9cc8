"""`tunesmith evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli import _cross_validate as folds
from tunesmith.cli._options import AsJson, DropMissing
from tunesmith.errors import ConfigError

_USAGE = "tunesmith evaluate runs/tickets/bundle march.csv"


def evaluate(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="BUNDLE",
            help="A bundle, or the run folder that holds one; with --cross-validate, the data.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="Labelled rows that the model has not seen."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column that holds the label; else as in training.")
    ] = None,
    drop_missing: DropMissing = False,
    as_json: AsJson = False,
    cross_validate: folds.Folds = None,
    repeats: folds.Repeats = None,
    method: folds.Method = None,
    base: folds.Base = None,
    text: folds.Text = None,
    group: folds.Group = None,
    jobs: folds.Jobs = None,
    seed: folds.Seed = None,
    output: folds.Output = None,
    config_file: folds.ConfigFile = None,
    overrides: folds.Overrides = None,
    resume: folds.Resume = None,
) -> None:
    """Judge a bundle on labelled rows, or with --cross-validate a method, with 95 % intervals.

    Example: tunesmith evaluate runs/tickets/bundle march.csv

    Example: tunesmith evaluate --cross-validate 5 tickets.csv --target team
    """
    given = folds.Given(
        target=target, drop_missing=drop_missing, repeats=repeats, method=method, base=base,
        text=text, group=group, seed=seed, output=output, config_file=config_file,
        overrides=overrides,
    )  # fmt: skip
    if cross_validate is not None or resume is not None:
        positional = [value for value in (bundle, data) if value is not None]
        folds.run(cross_validate, positional, given, jobs, resume, as_json=as_json)
        return
    folds.check_none_given(given, jobs)
    if bundle is None or data is None:
        raise ConfigError("a bundle and a data file are needed", mend=_USAGE)
    from rich.text import Text

    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, labels_table, out, percent, print_facts, print_json

    listener = ConsoleListener(errors)
    try:
        result = recipes.evaluate(
            Path(bundle), data, target=target, drop_missing=drop_missing, listener=listener
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
