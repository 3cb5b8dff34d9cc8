"""What a finished run looks like."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.text import Text

from tunesmith.cli._output import candidates_table, contenders_table, out, print_json

if TYPE_CHECKING:
    from tunesmith.recipes import Run

__all__ = ["print_run"]


def print_run(run: Run, *, as_json: bool) -> None:
    """The comparison and where the results lie."""
    if as_json:
        print_json(run.as_dict())
        return
    report = run.report
    # First of all: whether it was worth it.
    style = "bold yellow" if report.better is False else "bold"
    out.print(Text(report.headline(), style=style), soft_wrap=True)
    if report.contenders:
        out.print(contenders_table(report.contenders))
    rows = [(one.name, one.metrics.values, one.seconds) for one in report.candidates]
    shared = [name for name in ("accuracy", "macro_f1") if name in report.metrics.values]
    out.print(candidates_table(rows, shared))
    lines = [
        *([] if report.forgetting is None else [report.forgetting.sentence()]),
        f"report  {run.folder / 'report.html'}",
        f"bundle  {run.bundle.path}",
        f"serve   {shlex.join(['tunesmith', 'serve', str(run.bundle.path)])}",
    ]
    for line in lines:
        out.print(Text(line), soft_wrap=True)  # paths are there to be copied
