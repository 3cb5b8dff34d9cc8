"""`tunesmith check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tunesmith.cli._options import AsJson, Base, Corrections, Target, Text, Validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunesmith.checks import Step
    from tunesmith.recipes import Checked, Fixed

_AT_LEAST = {"error": ("error",), "warning": ("error", "warning")}
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def check(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help='Labelled rows: csv, tsv, jsonl, parquet, xlsx; "data/*.csv"; a folder; '
            "sqlite:///…, postgresql://…, hf://datasets/…; - for stdin.",
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
    against: Annotated[
        str | None, typer.Option(help="An earlier version of the data: say what changed since.")
    ] = None,
    label_separator: Annotated[
        str | None, typer.Option(metavar="TEXT", help='What joins several labels: "|", ";".')
    ] = None,
    base: Base = None,
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Look for wrong labels with the base.")
    ] = True,
    names: Annotated[
        bool, typer.Option("--names", help="Look for names of persons too; slow (see the guide).")
    ] = False,
    names_model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="With --names: a spaCy model, package or folder."),
    ] = None,
    corrections: Corrections = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write a cleaned copy and a log of what was changed.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take steps that lose something without asking.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The copy; else NAME-clean.csv.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write what was found as a web page, FILE.html.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files.")] = False,
    fail_on: Annotated[
        Literal["error", "warning"] | None,
        typer.Option(
            "--fail-on", help="Exit with 1 where something as grave was found (for CI); else 0."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with labelled rows, row by row; with --fix write a cleaned copy.

    Example: tunesmith check tickets.csv --target team
    """
    from tunesmith.checks import Names, find_steps
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, print_pieces
    from tunesmith.data import require_present
    from tunesmith.errors import ConfigError

    if steps and not fix:
        several = 'for several files, put the pattern in quotes: "data/*.csv"'
        mend = several if Path(steps[0]).exists() else "add --fix"
        raise ConfigError(f"{steps[0]!r} is given, and nothing to do with it", mend=mend)
    if names_model is not None and not names:
        raise ConfigError(
            "--names-model is given, and names are not looked for", mend="add --names"
        )
    chosen = find_steps(steps or ["safe"]) if fix else []
    require_present(data, validation, test, against)
    from tunesmith import recipes

    if fix:
        recipes.require_copy(data, output, overwrite=overwrite)
    if report is not None:
        recipes.require_page(report, data, overwrite=overwrite)
    listener = ConsoleListener(errors)
    try:
        checked = recipes.check(
            data, target=target, text=text or (), validation=validation, test=test,
            against=against, label_separator=label_separator,
            base=(base or "minilm") if model else None, corrections=corrections,
            names=Names(names_model) if names else None, listener=listener,
        )  # fmt: skip
    finally:
        listener.close()
    written: dict[str, Any] = {}
    if report is not None:
        checked.write_page(report, overwrite=overwrite)
        written["report"] = str(report)
    if not as_json:
        _show(checked, report)
    if fix:
        wanted = chosen if yes else _agreed(checked, chosen, steps or ())
        fixed = recipes.fix(checked, wanted, output=output, overwrite=overwrite, listener=listener)
        listener.close()
        written["fixed"] = fixed.as_dict()
        if not as_json:
            _show_fixed(checked, fixed)
    if as_json:
        print_pieces(checked.json_pieces(written))
    _exit(checked, fail_on)


def _exit(checked: Checked, fail_on: str | None) -> None:
    """Ends with 1 where something as grave was found as the user would not have."""
    if fail_on is not None and any(one.severity in _AT_LEAST[fail_on] for one in checked.findings):
        raise typer.Exit(1)


def _show(checked: Checked, report: Path | None) -> None:
    from rich.text import Text as Line

    from tunesmith.checks import counted
    from tunesmith.cli._output import out
    from tunesmith.data import rows_text

    for finding in checked.findings:
        style = _STYLES[finding.severity]
        out.print(Line.assemble((f"{finding.severity:<8}", style), (finding.check, "bold")))
        lines = [finding.message]
        if len(finding.rows):
            own = f"{finding.part} " if finding.part else ""
            lines.append(own + rows_text(finding.rows, 10))
            rows_of = checked.subject.beside.get(finding.part, checked.subject)
            if files := rows_of.table.files_of(finding.rows[:10].tolist(), 10):
                lines.append(files)
        step = f" (step {finding.step})" if finding.step else ""
        for line in (*lines, f"→ {finding.fix}{step}"):
            out.print(Line(f"        {line}"), soft_wrap=True)
    counts = {
        word: sum(finding.severity == word for finding in checked.findings) for word in _STYLES
    }
    told = ", ".join(counted(n, word, f"{word}s") for word, n in counts.items() if n)
    rows = counted(checked.subject.num_rows, "row", "rows")
    out.print(Line(f"{rows}: {told or 'nothing found'}", style="bold"))
    if report is not None:
        out.print(Line(f"as a page: {report}"), soft_wrap=True)


def _show_fixed(checked: Checked, fixed: Fixed) -> None:
    from tunesmith.checks import counted
    from tunesmith.cli._output import out

    left_out = checked.subject.num_rows - fixed.cleaned.table.num_rows
    out.print(
        f"{counted(len(fixed.cleaned.changes), 'change', 'changes')}, "
        f"{counted(left_out, 'row', 'rows')} left out: {fixed.path}",
        soft_wrap=True,
    )
    out.print(f"each with its row, before and after: {fixed.log}", soft_wrap=True)


def _agreed(checked: Checked, steps: Sequence[Step], named: Sequence[str]) -> list[Step]:
    """Safe steps, those that are called by their names, and those that somebody says yes to."""
    from tunesmith.errors import ConfigError

    found = {finding.step: finding for finding in checked.findings}
    meant = {name.partition("=")[0] for name in named}
    agreed = [step for step in steps if step.is_safe or step.name in meant]
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
