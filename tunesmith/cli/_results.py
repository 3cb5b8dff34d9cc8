"""What a finished run looks like."""

from __future__ import annotations

from rich.text import Text

from tunesmith.cli._output import candidates_table, out, print_json
from tunesmith.recipes import Run

__all__ = ["print_run"]


def print_run(run: Run, *, as_json: bool) -> None:
    """The comparison and where the results lie."""
    if as_json:
        print_json(run.as_dict())
        return
    report = run.report
    rows = [(one.name, one.metrics.values, one.seconds) for one in report.candidates]
    shared = [name for name in ("accuracy", "macro_f1") if name in report.metrics.values]
    out.print(candidates_table(rows, shared))
    out.print(Text(report.headline()))
    out.print(Text(f"report  {run.folder / 'report.html'}"))
    out.print(Text(f"bundle  {run.bundle.path}"))
    out.print(Text(f"serve it: tunesmith serve {run.bundle.path}"))
