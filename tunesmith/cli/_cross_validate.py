"""`tunesmith evaluate --cross-validate`: its options, and what its result looks like."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from tunesmith.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.recipes import CrossValidated

_PANEL = "Cross-validation"

Folds: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--cross-validate",
        metavar="FOLDS",
        help="Train and judge so many times, each time without one fold of the data.",
        rich_help_panel=_PANEL,
    ),
]
Repeats: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Fold all rows anew so often.", show_default="1", rich_help_panel=_PANEL),
]
Method: TypeAlias = Annotated[
    str | None,
    typer.Option(help="What is judged: auto, probe, full, lora …", rich_help_panel=_PANEL),
]
Base: TypeAlias = Annotated[
    str | None,
    typer.Option(help="minilm (built in), a folder, a hub id.", rich_help_panel=_PANEL),
]
Text: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Column to read; give it twice for pairs.", rich_help_panel=_PANEL),
]
Jobs: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Folds at once; they share the cores.",
        show_default="cores for a probe, else 1",
        rich_help_panel=_PANEL,
    ),
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(help="Seed of folds and training.", rich_help_panel=_PANEL)
]
Output: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Folder for the result; new, empty, or that of the same one unfinished.",
        rich_help_panel=_PANEL,
    ),
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file with settings.", rich_help_panel=_PANEL),
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting, as section.name=value.", rich_help_panel=_PANEL),
]
Resume: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Go on with the interrupted one in this folder.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True, slots=True)
class Given:
    """The options that say what is trained; None where they were left out."""

    target: str | None
    drop_missing: bool
    repeats: int | None
    method: str | None
    base: str | None
    text: list[str] | None
    group: str | None
    seed: int | None
    output: str | None
    config_file: Path | None
    overrides: list[str] | None

    def settings(self, data: str | None) -> dict[str, object]:
        """By dotted name, as `config.load` takes them."""
        return {
            "data.source": data,
            "data.target": self.target,
            "data.text": tuple(self.text) if self.text else None,
            "data.group": self.group,
            "data.drop_missing": self.drop_missing or None,
            "base.id": self.base,
            "training.method": self.method,
            "output": self.output,
            "seed": self.seed,
        }

    def flags(self) -> list[str]:
        """The flags of cross-validation alone that were given."""
        names = {"config_file": "--config", "overrides": "--set"}
        own = ("repeats", "method", "base", "text", "seed", "output", *names)
        return [
            names.get(name, f"--{name}") for name in own if getattr(self, name) not in (None, [])
        ]


def check_none_given(given: Given, jobs: int | None) -> None:
    """Refuses options of cross-validation without it.

    Raises:
        ConfigError: names them.
    """
    flags = [*given.flags(), *(["--jobs"] if jobs is not None else [])]
    if flags:
        raise ConfigError(
            f"{', '.join(flags)}: only with --cross-validate",
            mend="a bundle is judged as it is; leave this out, or add --cross-validate 5",
        )


def run(
    num_folds: int | None,
    positional: Sequence[str],
    given: Given,
    jobs: int | None,
    resume: Path | None,
    *,
    as_json: bool,
) -> None:
    """Begins a cross-validation, or goes on with one, and prints what it comes to.

    Raises:
        ConfigError: arguments that do not go together.
    """
    from tunesmith import config

    if resume is not None:
        _check_alone(resume, num_folds, positional, given)
    elif len(positional) > 1:
        what = f"cross-validation trains its own models; given besides: {positional[0]}"
        mend = shlex.join(["tunesmith", "evaluate", "--cross-validate", "5", positional[1]])
        raise ConfigError(what, mend=mend)
    source = positional[0] if positional else None
    chosen = config.load(given.config_file, given.overrides or (), given.settings(source))
    if resume is None and not chosen.data.source:
        mend = "tunesmith evaluate --cross-validate 5 tickets.csv"
        raise ConfigError("no data file was given", mend=mend)

    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, print_json

    listener = ConsoleListener(errors)
    try:
        if resume is not None:
            done = recipes.resume_cross_validation(resume, jobs=jobs, listener=listener)
        else:
            done = recipes.cross_validate(
                chosen,
                num_folds=num_folds or 0,
                repeats=1 if given.repeats is None else given.repeats,
                jobs=jobs,
                listener=listener,
            )
    finally:
        listener.close()
    if as_json:
        print_json(done.as_dict())
    else:
        _print(done)


def _check_alone(
    resume: Path, num_folds: int | None, positional: Sequence[str], given: Given
) -> None:
    flags = [*positional, *(["--cross-validate"] if num_folds is not None else [])]
    flags += [*given.flags(), *(["--target"] if given.target else [])]
    flags += [
        *(["--group"] if given.group else []),
        *(["--drop-missing"] if given.drop_missing else []),
    ]
    if flags:
        raise ConfigError(
            f"goes on with its own settings; given as well: {', '.join(flags)}",
            where="--resume",
            mend=shlex.join(["tunesmith", "evaluate", "--resume", str(resume)]),
        )


def _print(done: CrossValidated) -> None:
    from rich.text import Text as Line

    from tunesmith.cli._output import out

    out.print(_table(done))
    lines = [
        done.result.headline(),
        f"report       {done.folder / 'cross_validation.html'}",
        f"predictions  {done.predictions}",
    ]
    for line in lines:
        out.print(Line(line), soft_wrap=True)  # paths are there to be copied


def _table(done: CrossValidated) -> Table:
    """A row a model: mean, its interval, and the spread from fold to fold."""
    from rich import box
    from rich.table import Table

    from tunesmith.cli._output import percent

    result, lead = done.result, done.result.lead_metric
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)  # 80 columns
    table.add_column("model", no_wrap=True)
    for title in (lead.replace("_", "-"), "± folds", "behind by"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in result.candidates:
        own, behind = result.spread(name, lead), "–"
        if name != result.chosen:
            gap = result.difference(name)
            behind = f"{100 * gap.mean:.1f} ({100 * gap.low:.1f} to {100 * gap.high:.1f})"
        row = [name, percent(own.estimate), f"{100 * own.deviation:.1f}", behind.replace("-", "−")]
        table.add_row(*row, style="bold" if name == result.chosen else None)
    return table
