"""`tunesmith train`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli._options import (
    AsJson,
    Base,
    Corrections,
    DataArgument,
    DropMissing,
    Group,
    Target,
    Text,
    Time,
    Validation,
)
from tunesmith.errors import ConfigError


def train(
    data: DataArgument = None,
    target: Target = None,
    text: Text = None,
    base: Base = None,
    method: Annotated[
        str | None, typer.Option(help="auto, probe, full, last-k, few-shot, lora, dora …")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time for training: 90s, 10m, 1h30m.")
    ] = None,
    validation: Validation = None,
    test: Annotated[str | None, typer.Option(help="File with test rows.")] = None,
    group: Group = None,
    time: Time = None,
    output: Annotated[str | None, typer.Option(help="Folder for the run; new or empty.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split and training.")] = None,
    replay: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="With a bundle as the base: mix in rows that it was trained on, as a share of the "
            "new ones (0.2), so that less is forgotten.",
        ),
    ] = None,
    replay_from: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where these rows are; else those its run kept."),
    ] = None,
    extend_labels: Annotated[
        bool,
        typer.Option(
            "--extend-labels", help="Add labels that the base bundle does not have to its head."
        ),
    ] = False,
    new_labels: Annotated[
        bool,
        typer.Option("--new-labels", help="Begin with a new head for the labels of the data."),
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(metavar="TRACKER", help="Send losses and metrics to tensorboard, mlflow …"),
    ] = None,
    drop_missing: DropMissing = False,
    corrections: Corrections = None,
    clean: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help="Clean the rows first: safe, or the name of a step."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="YAML file with settings.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting, as section.name=value.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the interrupted run in this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a base model on labelled rows; ends with a report and a bundle.

    Example: tunesmith train tickets.csv --target team
    """
    from tunesmith import config
    from tunesmith.data import require_present

    settings = {
        "data.source": data,
        "data.target": target,
        "data.text": tuple(text) if text else None,
        "data.validation": validation,
        "data.test": test,
        "data.group": group,
        "data.time": time,
        "data.drop_missing": drop_missing or None,
        "data.corrections": corrections,
        "data.clean": tuple(clean) if clean else None,
        "data.replay": replay,
        "data.replay_from": replay_from,
        "base.id": base,
        "base.labels": _labels(extend_labels, new_labels),
        "training.method": method,
        "training.budget_s": budget,
        "training.epochs": epochs,
        "training.track": tuple(track) if track else None,
        "output": output,
        "seed": seed,
    }
    given = [name for name, value in settings.items() if value is not None]
    given += ["--config"] * bool(config_file) + ["--set"] * (not _sets_rate_at_most(overrides))
    if resume is not None and given:
        raise ConfigError(
            f"goes on with the run's own settings; given as well: {', '.join(given)}",
            where="--resume",
            mend=f"tunesmith train --resume {shlex.quote(str(resume))} "
            "(only training.learning_rate may be --set anew)",
        )
    chosen = config.load(config_file, overrides or (), settings)
    if resume is None and not chosen.data.source:
        raise ConfigError("no data file was given", mend="tunesmith train tickets.csv")
    require_present(chosen.data.source, chosen.data.validation, chosen.data.test)

    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors
    from tunesmith.cli._results import print_run

    listener = ConsoleListener(errors)
    try:
        run = (
            recipes.resume(resume, listener, learning_rate=chosen.training.learning_rate)
            if resume
            else recipes.train(chosen, listener)
        )
    finally:
        listener.close()
    if int(os.environ.get("RANK", "0")) == 0:  # one of those that torchrun started
        print_run(run, as_json=as_json)


def _sets_rate_at_most(overrides: list[str] | None) -> bool:
    """Whether nothing is set but the rate, which alone a run may go on with another of."""
    names = {override.partition("=")[0].strip() for override in overrides or ()}
    return names <= {"training.learning_rate"}


def _labels(extend: bool, new: bool) -> str | None:
    """What `base.labels` becomes; None where neither flag is given."""
    if extend and new:
        raise ConfigError(
            "contradict each other", where="--extend-labels, --new-labels", mend="give one of them"
        )
    return "extend" if extend else "new" if new else None
