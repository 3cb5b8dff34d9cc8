"""`tunesmith check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli._options import AsJson, Base, Target, Text, Validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunesmith.checks import Step
    from tunesmith.recipes import Checked

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def check(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Labelled rows: csv, tsv, jsonl, parquet, xlsx, - for stdin."
        ),
    ],
    steps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STEPS]", help="With --fix: safe (the default), all, or names of steps."
        ),
    ] = None,
    target: Target = None,
    text: Text = None,
    validation: Validation = None,
    test: Annotated[str | None, typer.Option(help="File with test rows.")] = None,
    base: Base = None,
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Look for wrong labels with the base.")
    ] = True,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write a cleaned copy and a log of what was changed.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take steps that lose something without asking.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The copy; else NAME-clean.csv.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with labelled rows, row by row; with --fix write a cleaned copy.

    Example: tunesmith check tickets.csv --target team
    """
    from tunesmith import recipes
    from tunesmith.checks import counted, find_steps
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, out, print_json, print_pieces
    from tunesmith.errors import ConfigError

    if steps and not fix:
        raise ConfigError(f"{steps[0]!r} is given, and nothing to do with it", mend="add --fix")
    chosen = find_steps(steps or ["safe"]) if fix else []
    listener = ConsoleListener(errors)
    try:
        checked = recipes.check(
            data, target=target, text=text or (), validation=validation, test=test,
            base=(base or "minilm") if model else None, listener=listener,
        )  # fmt: skip
    finally:
        listener.close()
    if not as_json:
        _show(checked)
    if not fix:
        if as_json:
            print_pieces(checked.json_pieces())
        return
    wanted = chosen if yes else _agreed(checked, chosen, steps or ())
    fixed = recipes.fix(checked, wanted, output=output, overwrite=overwrite, listener=listener)
    listener.close()
    if as_json:
        print_json({**checked.as_dict(), "fixed": fixed.as_dict()})
        return
    left_out = checked.subject.num_rows - fixed.cleaned.table.num_rows
    out.print(
        f"{counted(len(fixed.cleaned.changes), 'change', 'changes')}, "
        f"{counted(left_out, 'row', 'rows')} left out: {fixed.path}",
        soft_wrap=True,
    )
    out.print(f"each with its row, before and after: {fixed.log}", soft_wrap=True)


def _show(checked: Checked) -> None:
    from rich.text import Text as Line

    from tunesmith.checks import counted
    from tunesmith.cli._output import out
    from tunesmith.data import rows_text

    for finding in checked.findings:
        style = _STYLES[finding.severity]
        out.print(Line.assemble((f"{finding.severity:<8}", style), (finding.check, "bold")))
        lines = [finding.message]
        if len(finding.rows):
            lines.append(rows_text(finding.rows, 10))
        step = f" (step {finding.step})" if finding.step else ""
        for line in (*lines, f"→ {finding.fix}{step}"):
            out.print(Line(f"        {line}"), soft_wrap=True)
    counts = {
        word: sum(finding.severity == word for finding in checked.findings) for word in _STYLES
    }
    told = ", ".join(counted(n, word, f"{word}s") for word, n in counts.items() if n)
    out.print(Line(f"{checked.subject.num_rows:,} rows: {told or 'nothing found'}", style="bold"))


def _agreed(checked: Checked, steps: Sequence[Step], named: Sequence[str]) -> list[Step]:
    """Safe steps, those that are called by their names, and those that somebody says yes to."""
    from tunesmith.errors import ConfigError

    found = {finding.step: finding for finding in checked.findings}
    agreed = [step for step in steps if step.is_safe or step.name in named]
    asked = [step for step in steps if step not in agreed and step.name in found]
    if asked and not sys.stdin.isatty():
        names = ", ".join(step.name for step in asked)
        mend = "--yes takes them; or name the ones to take"
        raise ConfigError(f"nobody is there to be asked about {names}", mend=mend)
    agreed += [
        step
        for step in asked
        if typer.confirm(f"{found[step.name].message}\n{step.name}?", default=False, err=True)
    ]
    return [step for step in steps if step in agreed]
