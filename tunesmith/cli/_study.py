"""What a finished study looks like."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from tunesmith.cli._output import out, print_json

if TYPE_CHECKING:
    from tunesmith.recipes import FinishedStudy
    from tunesmith.search import Scalar

__all__ = ["print_study"]

_TRIALS_SHOWN = 10


def print_study(study: FinishedStudy, *, as_json: bool) -> None:
    """The best trials, why one was chosen, and where the results lie."""
    if as_json:
        print_json(study.as_dict())
        return
    out.print(_trials_table(study))
    lines = [
        study.choice.reason(),
        study.run.report.headline(),
        f"study   {study.folder / 'study.html'}",
        f"report  {study.run.folder / 'report.html'}",
        f"bundle  {study.run.bundle.path}",
        f"serve   {shlex.join(['tunesmith', 'serve', str(study.run.bundle.path)])}",
    ]
    for line in lines:
        out.print(Text(line), soft_wrap=True)  # paths are there to be copied


def _trials_table(study: FinishedStudy) -> Table:
    report, chosen = study.report, study.choice.chosen
    complete = [trial for trial in report.trials if trial.state == "complete"]
    complete.sort(key=lambda trial: -(trial.metric or 0.0))
    shown = complete[:_TRIALS_SHOWN]
    if chosen not in shown:
        shown.append(chosen)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("trial", justify="right")
    table.add_column(f"validation {report.metric}".replace("_", "-"), justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("settings")
    for trial in shown:
        settings = ", ".join(f"{_short(name)} {_plain(v)}" for name, v in trial.settings.items())
        cells = (str(trial.number), f"{100 * (trial.metric or 0.0):.1f} %", f"{trial.seconds:.1f}")
        style = "bold" if trial.number == chosen.number else None
        table.add_row(*cells, settings, style=style)
    if left := len(report.trials) - len(shown):
        table.caption = f"{left} more in study.html"
    return table


def _short(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")


def _plain(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()
