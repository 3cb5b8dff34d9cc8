"""`tunesmith evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli import _cross_validate as folds
from tunesmith.cli._options import AsJson, DropMissing, IgnoreUnseen, RowGroup
from tunesmith.errors import ConfigError

if TYPE_CHECKING:
    from tunesmith.evaluation import Verdict
    from tunesmith.recipes import Evaluation

_USAGE = "tunesmith evaluate runs/tickets/bundle march.csv"


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from tunesmith.evaluation import report_schema

        print(json.dumps(report_schema(), indent=2))  # noqa: T201 - this is the command's output
        raise typer.Exit


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
    group: RowGroup = None,
    drop_missing: DropMissing = False,
    ignore_unseen: IgnoreUnseen = False,
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", metavar="COLUMN", help="Figures for each of its values; repeat."),
    ] = None,
    fairness: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Compare the groups of this column.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write report.json and report.html; new or empty."),
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What is expected, as YAML; exit code 1 where it fails."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --expect: the outcome as JUnit XML.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Compare with the simple models of the training.")
    ] = True,
    as_json: AsJson = False,
    cross_validate: folds.Folds = None,
    repeats: folds.Repeats = None,
    method: folds.Method = None,
    base: folds.Base = None,
    text: folds.Text = None,
    jobs: folds.Jobs = None,
    seed: folds.Seed = None,
    output: folds.Output = None,
    config_file: folds.ConfigFile = None,
    overrides: folds.Overrides = None,
    resume: folds.Resume = None,
    _schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            callback=_print_schema,
            is_eager=True,
            help="Print the JSON Schema of report.json and exit.",
        ),
    ] = False,
) -> None:
    """Judge a bundle on labelled rows, or with --cross-validate a method, with 95 % intervals.

    Example: tunesmith evaluate runs/tickets/bundle march.csv --expect expectations.yaml

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
    if junit is not None and expect is None:
        mend = "name the file with the expectations with --expect"
        raise ConfigError("there is nothing to write", where="--junit", mend=mend)
    from tunesmith.data import require_present

    require_present(data)
    from tunesmith import recipes, storage
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, print_json

    listener = ConsoleListener(errors)
    try:
        result = recipes.evaluate(
            Path(bundle), data, target=target, group=group, drop_missing=drop_missing,
            ignore_unseen=ignore_unseen, expect=expect, report=report,
            slices=slices, fairness=fairness, baselines=baselines, listener=listener,
        )  # fmt: skip
    finally:
        listener.close()
    if junit is not None and result.verdict is not None:
        storage.write_bytes(junit, result.verdict.to_junit(f"{bundle} on {data}").encode())
    if as_json:
        print_json(result.as_dict())
    else:
        _show(result)
    if result.verdict is not None and not result.verdict.kept:
        raise typer.Exit(1)


def _show(result: Evaluation) -> None:
    """The sentence, the key figures, labels, what sections say, and what was expected."""
    from rich.text import Text

    from tunesmith.checks import counted
    from tunesmith.cli._output import candidates_table, labels_table, metric_facts, out, print_facts

    report, metrics = result.report, result.metrics
    style = "bold yellow" if report.better is False else "bold"
    out.print(Text(report.headline(), style=style), soft_wrap=True)
    if result.trained:
        line = f"when it was trained: {result.trained}"
        out.print(Text(line, style="yellow"), soft_wrap=True)
    if report.candidates:
        rows = [(one.name, one.metrics.values, one.seconds) for one in report.candidates]
        shared = [name for name in ("accuracy", "macro_f1") if name in metrics.values]
        out.print(candidates_table(rows, shared))
    print_facts(metric_facts(metrics.values, result.bundle.task.default_metrics))
    out.print(labels_table(metrics.labels))
    for note in (*metrics.notes, *report.broken_promises):
        out.print(Text("! " + note, style="yellow"), soft_wrap=True)
    for section in report.sections:
        for sentence in section.sentences():
            out.print(Text(sentence), soft_wrap=True)
    num_rows = counted(metrics.num_examples, "row", "rows")
    out.print(Text(f"{num_rows}; intervals at {metrics.confidence:.0%}"))
    if result.folder is not None:
        out.print(Text(f"report  {result.folder / 'report.html'}"), soft_wrap=True)
    if result.verdict is not None:
        _show_verdict(result.verdict)


def _show_verdict(verdict: Verdict) -> None:
    from rich.text import Text

    from tunesmith.cli._output import out

    for outcome in verdict.outcomes:
        word, style = ("kept ", "green") if outcome.kept else ("short", "bold red")
        out.print(Text.assemble((f"{word}  ", style), str(outcome)), soft_wrap=True)
    failed = sum(not outcome.kept for outcome in verdict.outcomes)
    if len(verdict.outcomes) == 1:
        out.print(Text(f"the 1 expectation {'fell short' if failed else 'is kept'}"))
        return
    total = f"{len(verdict.outcomes)} expectations"
    out.print(Text(f"{failed} of {total} fell short" if failed else f"all {total} are kept"))
