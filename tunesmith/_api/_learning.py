"""From data to a model: check, train, resume, tune, cross-validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith._api._shared import console, given

if TYPE_CHECKING:
    from tunesmith.bundles import Bundle
    from tunesmith.checks import Check
    from tunesmith.recipes import (
        Checked,
        CrossValidated,
        FinishedStudy,
        Listener,
        Run,
    )

__all__ = ["check", "cross_validate", "resume", "train", "tune"]


def check(
    data: str | Path,
    *,
    target: str | None = None,
    text: str | Sequence[str] | None = None,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    against: str | Path | None = None,
    label_separator: str | None = None,
    base: str | Path | None = "minilm",
    corrections: str | Path | None = None,
    checks: Sequence[Check] = (),
    names: bool | str = False,
) -> Checked:
    """Looks for what is wrong with labelled rows; changes nothing.

    Args:
        validation, test: files that share no rows with `data`, as they should.
        against: an earlier version of the data; what changed since is a finding too.
        label_separator: what joins the labels of a row, such as "|", where rows have several.
        base: the encoder that shows wrong labels and outliers; None for none, which is quicker.
        corrections: a file that `tunesmith review` wrote, applied first.
        checks: checks of your own, beside those that there are: functions that take a
            `tunesmith.checks.Subject` and give `tunesmith.checks.Finding`s.
        names: whether names of persons are personal data as well, or the spaCy model that finds
            them, a package or a folder; needs the extra `presidio`.

    Raises:
        InputError: the data cannot be read.
    """
    from tunesmith import recipes
    from tunesmith.checks import Names

    return recipes.check(
        str(data),
        target=target,
        text=(text,) if isinstance(text, str) else text or (),
        validation=None if validation is None else str(validation),
        test=None if test is None else str(test),
        against=None if against is None else str(against),
        label_separator=label_separator,
        base=None if base is None else str(base),
        corrections=corrections,
        more_checks=checks,
        names=Names(names if isinstance(names, str) else None) if names else None,
    )


def train(
    data: str | Path,
    *,
    target: str | None = None,
    text: str | Sequence[str] | None = None,
    base: str | Path | Bundle | None = None,
    method: str | None = None,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    group: str | None = None,
    time: str | None = None,
    output: str | Path | None = None,
    epochs: int | None = None,
    budget: str | float | None = None,
    seed: int | None = None,
    drop_missing: bool | None = None,
    corrections: str | Path | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    listener: Listener | None = None,
) -> Run:
    """Fine-tunes a base model on labelled rows, judges it, and writes a bundle.

    Args:
        data: csv, tsv, jsonl, parquet, xlsx or `datasets` folder.
        target: the label's column; guessed where there is only one sensible choice.
        text: one or two columns to read; guessed likewise.
        base: "minilm" (the default, built in), a folder, a bundle, or a hub id.
        method: auto, probe, full, few-shot, last-k, bitfit, lora … (docs/configuration.md).
        validation, test: files; rows of `data` are held out where they are None.
        group: a column; rows with the same value stay on one side of the split.
        time: a column that says when; the latest rows are the test.
        output: a new or empty folder; None: a new one under `runs/`.
        budget: time for training, in seconds or as "10m"; None: as long as it takes.
        drop_missing: leave out rows without text or label, rather than refuse them.
        corrections: a file that `tunesmith review` wrote; applied before the rows are split.
        config: a YAML file with settings.
        settings: any setting by dotted name, such as {"training.batch_size": 16}; an argument of
            its own wins over it.
        listener: hears of the progress; None: lines on standard error.

    Raises:
        InputError: something given cannot be used; the message says what, where and the mend.
        Interrupted: the user stopped it; `resume` goes on.
    """
    from tunesmith import config as config_module
    from tunesmith import recipes

    named = given({
        "data.source": data, "data.target": target, "data.text": text,
        "data.validation": validation, "data.test": test, "data.group": group, "data.time": time,
        "data.drop_missing": drop_missing,
        "data.corrections": corrections,
        "base.id": base, "training.method": method, "training.epochs": epochs,
        "training.budget_s": budget, "output": output, "seed": seed,
    })  # fmt: skip
    chosen = config_module.load(
        Path(config) if config is not None else None, (), {**(settings or {}), **named}
    )
    return recipes.train(chosen, listener or console())


def resume(
    folder: str | Path, *, learning_rate: float | None = None, listener: Listener | None = None
) -> Run:
    """Goes on with the interrupted run in `folder`.

    Args:
        learning_rate: a lower one, for a run that ended since its rate was too high; it goes on
            from the last checkpoint before the loss rose, or from the start.

    Raises:
        InputError: there is nothing to resume, or the data changed since.
    """
    from tunesmith import recipes

    return recipes.resume(Path(folder), listener or console(), learning_rate=learning_rate)


def tune(
    data: str | Path | None = None,
    *,
    target: str | None = None,
    text: str | Sequence[str] | None = None,
    base: str | Path | Bundle | None = None,
    method: str | None = None,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    group: str | None = None,
    time: str | None = None,
    output: str | Path | None = None,
    trials: int | None = None,
    budget: str | float | None = None,
    jobs: int | None = None,
    space: Mapping[str, object] | str | Path | None = None,
    memory: str | int | None = None,
    trial_limit: str | float | None = None,
    seed: int | None = None,
    drop_missing: bool | None = None,
    resume: str | Path | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    listener: Listener | None = None,
) -> FinishedStudy:
    """Searches for good settings on validation rows, and trains with the best.

    What is not explained here is as in `train`.

    Args:
        trials: how many settings to try; 30 where None.
        budget: time for all trials, in seconds or as "2h".
        jobs: trials at once.
        space: what is varied, as a mapping or a YAML file: {"training.epochs": {"low": 2, "high":
            8}, "training.batch_size": [16, 32]}. None: what suits method, base and data.
        memory: the most that one trial may take, in bytes or as "4GB".
        trial_limit: the most time that one trial may take.
        resume: the folder of a study to go on with; of the rest, only limits may be given then.

    Raises:
        InputError: something given cannot be used; the message says what, where and the mend.
        Interrupted: the user stopped it; `resume` goes on.
        TrainingError: no trial came to anything.
    """
    from tunesmith import recipes
    from tunesmith.search import parse_space

    named = given({
        "data.source": data, "data.target": target, "data.text": text,
        "data.validation": validation, "data.test": test, "data.group": group, "data.time": time,
        "data.drop_missing": drop_missing,
        "base.id": base, "training.method": method, "output": output, "seed": seed,
    })  # fmt: skip
    limits = {
        "trials": trials,
        "budget_s": budget,
        "jobs": jobs,
        "memory_bytes": memory,
        "trial_limit_s": trial_limit,
    }
    if resume is not None:
        others = {"config": config, "settings": settings, "space": space}
        recipes.check_resumed_alone(
            Path(resume), [*named, *(name for name, value in others.items() if value)]
        )
        return recipes.resume_study(Path(resume), limits, listener=listener or console())
    chosen, search, read = recipes.read_search(
        Path(config) if config is not None else None,
        (),
        {**(settings or {}), **named},
        search=limits,
        space_file=Path(space) if isinstance(space, str | Path) else None,
    )
    return recipes.tune(
        chosen,
        search,
        space=parse_space(space) if isinstance(space, Mapping) else read,
        listener=listener or console(),
    )


def cross_validate(
    data: str | Path,
    *,
    target: str | None = None,
    text: str | Sequence[str] | None = None,
    base: str | Path | Bundle | None = None,
    method: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    jobs: int | None = None,
    group: str | None = None,
    output: str | Path | None = None,
    seed: int | None = None,
    drop_missing: bool | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    listener: Listener | None = None,
) -> CrossValidated:
    """Judges a method on all rows: trained without one fold, judged on it, fold by fold.

    What is not explained here is as in `train`.

    Args:
        folds: how many; 5 and 10 are usual.
        repeats: how often all rows are folded anew.
        jobs: folds at once; None: what suits the method and the cores.
        output: a new or empty folder, or that of the same call unfinished: it goes on there.

    Raises:
        InputError: something given cannot be used; the message says what, where and the mend.
        Interrupted: the user stopped it; the same call goes on.
    """
    from tunesmith import config as config_module
    from tunesmith import recipes

    named = given({
        "data.source": data, "data.target": target, "data.text": text, "data.group": group,
        "data.drop_missing": drop_missing, "base.id": base, "training.method": method,
        "output": output, "seed": seed,
    })  # fmt: skip
    chosen = config_module.load(
        Path(config) if config is not None else None, (), {**(settings or {}), **named}
    )
    return recipes.cross_validate(
        chosen, num_folds=folds, repeats=repeats, jobs=jobs, listener=listener or console()
    )
