"""`tunesmith tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli._options import (
    AsJson,
    Base,
    DataArgument,
    DropMissing,
    Group,
    Target,
    Text,
    Time,
    Validation,
)

_FLAGS = {
    "trials": "--trials",
    "budget_s": "--budget",
    "jobs": "--jobs",
    "memory_bytes": "--memory",
    "trial_limit_s": "--trial-limit",
}


def tune(
    data: DataArgument = None,
    target: Target = None,
    text: Text = None,
    base: Base = None,
    method: Annotated[
        str | None, typer.Option(help="Whose settings are searched: full, lora, few-shot, …")
    ] = None,
    validation: Validation = None,
    test: Annotated[
        str | None, typer.Option(help="File with test rows; not read before the search is over.")
    ] = None,
    group: Group = None,
    time: Time = None,
    output: Annotated[str | None, typer.Option(help="Folder for the study; new or empty.")] = None,
    trials: Annotated[
        int | None, typer.Option(help="How many settings to try.", show_default="30")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time for all trials, such as 2h.")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Trials at once; they share the cores.", show_default="1")
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="YAML file with what is varied; else what suits the data.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="The most that one trial may take, such as 4GB.")
    ] = None,
    trial_limit: Annotated[
        str | None, typer.Option(help="The most time that one trial may take, such as 20m.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, training and search.")] = None,
    drop_missing: DropMissing = False,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="YAML file with settings; they are not varied.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting, as section.name=value; it is not varied."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the study in this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search for good settings on validation rows, then train with them; ends with a bundle.

    Example: tunesmith tune tickets.csv --target team --trials 30 --budget 2h
    """
    settings = {
        "data.source": data,
        "data.target": target,
        "data.text": tuple(text) if text else None,
        "data.validation": validation,
        "data.test": test,
        "data.group": group,
        "data.time": time,
        "data.drop_missing": drop_missing or None,
        "base.id": base,
        "training.method": method,
        "output": output,
        "seed": seed,
    }
    limits = {
        "trials": trials,
        "budget_s": budget,
        "jobs": jobs,
        "memory_bytes": memory,
        "trial_limit_s": trial_limit,
    }
    given = [name for name, value in settings.items() if value is not None]
    given += [
        flag
        for flag, value in (("--config", config_file), ("--set", overrides), ("--space", space))
        if value
    ]
    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors
    from tunesmith.cli._study import print_study

    listener = ConsoleListener(errors)
    try:
        if resume is not None:
            recipes.check_resumed_alone(resume, given)
            study = recipes.resume_study(resume, limits, names=_FLAGS, listener=listener)
        else:
            config, search, varied = recipes.read_search(
                config_file, overrides or (), settings,
                search=limits, names=_FLAGS, space_file=space,
            )  # fmt: skip
            study = recipes.tune(config, search, space=varied, listener=listener)
    finally:
        listener.close()
    print_study(study, as_json=as_json)
