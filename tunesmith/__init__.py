"""A file of labelled texts in; a fine-tuned, evaluated and served language model out.

    run = tunesmith.train("tickets.csv", target="team")
    run.report                                   # shows itself in a notebook
    model = tunesmith.load(run.bundle)
    model.predict(["the screen stays black"])
    tunesmith.serve(run.bundle)

Importing this module is quick: torch and its kin are imported by the first call that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.errors import TunesmithError

if TYPE_CHECKING:
    from tunesmith.bundles import Bundle
    from tunesmith.checks import Check
    from tunesmith.explanation import Method
    from tunesmith.recipes import (
        Checked,
        Compared,
        CrossValidated,
        Evaluation,
        Explained,
        ExplainedData,
        FinishedStudy,
        Listener,
        Optimized,
        Run,
    )
    from tunesmith.runtimes import Runtime
    from tunesmith.types import Prediction

__version__ = "0.1.0"

__all__ = [
    "TunesmithError",
    "__version__",
    "check",
    "compare",
    "cross_validate",
    "evaluate",
    "explain",
    "explain_data",
    "load",
    "optimize",
    "predict",
    "resume",
    "serve",
    "train",
    "tune",
]


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

    given = _given({
        "data.source": data, "data.target": target, "data.text": text,
        "data.validation": validation, "data.test": test, "data.group": group, "data.time": time,
        "data.drop_missing": drop_missing,
        "data.corrections": corrections,
        "base.id": base, "training.method": method, "training.epochs": epochs,
        "training.budget_s": budget, "output": output, "seed": seed,
    })  # fmt: skip
    chosen = config_module.load(
        Path(config) if config is not None else None, (), {**(settings or {}), **given}
    )
    return recipes.train(chosen, listener or _console())


def resume(folder: str | Path, *, listener: Listener | None = None) -> Run:
    """Goes on with the interrupted run in `folder`.

    Raises:
        InputError: there is nothing to resume, or the data changed since.
    """
    from tunesmith import recipes

    return recipes.resume(Path(folder), listener or _console())


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

    given = _given({
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
            Path(resume), [*given, *(name for name, value in others.items() if value)]
        )
        return recipes.resume_study(Path(resume), limits, listener=listener or _console())
    chosen, search, read = recipes.read_search(
        Path(config) if config is not None else None,
        (),
        {**(settings or {}), **given},
        search=limits,
        space_file=Path(space) if isinstance(space, str | Path) else None,
    )
    return recipes.tune(
        chosen,
        search,
        space=parse_space(space) if isinstance(space, Mapping) else read,
        listener=listener or _console(),
    )


def evaluate(
    bundle: str | Path | Bundle,
    data: str | Path,
    *,
    target: str | None = None,
    group: str | None = None,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
    expect: str | Path | Mapping[str, object] | None = None,
    report: str | Path | None = None,
    slices: Sequence[str] | None = None,
    fairness: str | None = None,
) -> Evaluation:
    """Judges a bundle on labelled rows that it has not seen.

    Args:
        target: the label's column; as in training where None.
        group: a column; rows with the same value depend on each other. As in training where None.
        ignore_unseen: leave out rows with labels that the bundle does not know.
        expect: what is expected, as a YAML file or what it would hold; `.verdict` says what came
            of it.
        report: a folder for report.json and report.html, new or empty.
        slices: columns by which the rows are taken apart; as in training where None.
        fairness: a column whose groups are compared; as in training where None.

    Raises:
        InputError: the bundle, the data or the expectations cannot be used.
    """
    from tunesmith import recipes

    return recipes.evaluate(
        bundle,
        data,
        target=target,
        group=group,
        drop_missing=drop_missing,
        ignore_unseen=ignore_unseen,
        expect=Path(expect) if isinstance(expect, str) else expect,
        report=None if report is None else Path(report),
        slices=slices,
        fairness=fairness,
    )


def compare(
    first: str | Path | Bundle,
    second: str | Path | Bundle,
    data: str | Path,
    *,
    metric: str | None = None,
    target: str | None = None,
    group: str | None = None,
    drop_missing: bool = False,
    ignore_unseen: bool = False,
) -> Compared:
    """Judges two bundles on the same labelled rows, and says where they differ.

    What is not explained here is as in `evaluate`.

    Args:
        metric: what is compared first; the task's leading metric where None.

    Raises:
        InputError: the bundles are of different tasks, or something given cannot be used.
    """
    from tunesmith import recipes

    return recipes.compare(
        first,
        second,
        data,
        metric=metric,
        target=target,
        group=group,
        drop_missing=drop_missing,
        ignore_unseen=ignore_unseen,
    )


def explain(
    bundle: str | Path | Bundle,
    texts: Sequence[object],
    *,
    label: str | None = None,
    method: Method = "integrated-gradients",
    neighbours: int = 3,
    examples: str | Path | None = None,
) -> Explained:
    """Says what each word of each text adds to a bundle's answer, and which training rows are near.

    Args:
        texts: each as `load(bundle).predict` takes it.
        label: the label to explain; None: the one that is given, or all of several.
        method: integrated-gradients, gradient-x-input (fast), or leave-one-out.
        neighbours: how many of the nearest training rows to find; 0 for none.
        examples: a file of training rows, where the bundle was moved away from its own.

    Raises:
        InputError: the bundle, a text, the label or the file cannot be used.
    """
    from tunesmith import recipes

    return recipes.explain(
        bundle, texts, label=label, method=method, neighbours=neighbours, examples=examples
    )


def explain_data(
    bundle: str | Path | Bundle,
    data: str | Path | None = None,
    *,
    target: str | None = None,
    label: str | None = None,
    method: Method = "integrated-gradients",
    rows: int = 200,
    drop_missing: bool = False,
) -> ExplainedData:
    """Says which words drive each label over labelled rows, and whether that is to be believed.

    Args:
        data: a labelled file; None: the test rows that the bundle keeps.
        rows: at most so many, drawn by label, are explained.

    Raises:
        InputError: the bundle, the data or the label cannot be used.
    """
    from tunesmith import recipes

    return recipes.explain_data(
        bundle, data, target=target, label=label, method=method, max_rows=rows,
        drop_missing=drop_missing,
    )  # fmt: skip


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

    given = _given({
        "data.source": data, "data.target": target, "data.text": text, "data.group": group,
        "data.drop_missing": drop_missing, "base.id": base, "training.method": method,
        "output": output, "seed": seed,
    })  # fmt: skip
    chosen = config_module.load(
        Path(config) if config is not None else None, (), {**(settings or {}), **given}
    )
    return recipes.cross_validate(
        chosen, num_folds=folds, repeats=repeats, jobs=jobs, listener=listener or _console()
    )


def load(
    bundle: str | Path | Bundle, runtime: str | None = None, *, allow_unverified: bool = False
) -> Runtime:
    """Verifies a bundle and loads it; `.predict(["…"])` answers.

    Args:
        runtime: one of the bundle's, such as "onnx-int8" or "torch-fp32"; None: the best that
            passed the parity gate and can run here.
        allow_unverified: whether it may be one that did not pass.

    Raises:
        BundleError: it is no bundle, or was changed after it was written.
        ConfigError: it has no such runtime, or one that did not pass.
        MissingDependencyError: what the runtime needs is not installed.
    """
    from tunesmith import runtimes

    return runtimes.load(bundle, runtime, allow_unverified=allow_unverified)


def optimize(
    bundle: str | Path | Bundle,
    *,
    output: str | Path | None = None,
    device: Literal["cpu", "gpu"] = "cpu",
    data: str | Path | None = None,
    max_drop: float = 0.3,
    min_agreement: float = 0.99,
    latency_ms: float | None = None,
    keep: Sequence[str] = (),
    listener: Listener | None = None,
) -> Optimized:
    """Writes a bundle with the fastest runtime of this machine that keeps the model's answers.

    Args:
        output: a new or empty folder; None: `optimized` beside the bundle.
        data: labelled rows that answers are compared on; None: those that the bundle keeps.
        max_drop: points that the leading metric may drop by.
        min_agreement: share of rows that must get the same label.
        latency_ms: 95 of 100 single texts must take no longer.
        keep: candidates to keep too, even where they did not pass.
        listener: hears of the progress; None: lines on standard error.

    Raises:
        InputError: something given cannot be used; the message says what, where and the mend.
    """
    from tunesmith import recipes
    from tunesmith.optimization import Tolerances

    return recipes.optimize(
        bundle,
        output=None if output is None else Path(output),
        device=device,
        data=data,
        latency_ms=latency_ms,
        tolerances=Tolerances(min_agreement=min_agreement, max_drop=max_drop),
        keep=tuple(keep),
        listener=listener or _console(),
    )


def predict(
    model: str | Path | Bundle | Runtime,
    items: Sequence[object],
    *,
    abstain_below: float | None = None,
    precision: float | None = None,
    coverage: float | None = None,
    scope: bool = False,
) -> list[Prediction]:
    """Answers a list of texts, and says how far the answers can be trusted.

    Args:
        model: a bundle, or one that `load` gave, which saves loading it again.
        items: texts; for models that read two, pairs or mappings by field name.
        abstain_below: answers that are less likely get `abstained`.
        precision: the same, so that so many of the others are right, such as 0.95.
        coverage: each answer gets a `label_set` that holds the true label so often.
        scope: each answer says whether the text is `in_scope`: like the training data.

    Raises:
        ConfigError: the model's validation rows do not vouch for what is asked.
        BundleError: it is no bundle, or was changed.
        DataError: an item is not what the model reads.
    """
    from tunesmith import runtimes
    from tunesmith.tasks import Wanted

    wanted = Wanted(abstain_below, precision, coverage, scope)
    runtime = model if isinstance(model, runtimes.Runtime) else runtimes.load(model)
    return runtimes.answer(runtime, items, wanted)


def serve(
    bundle: str | Path | Bundle,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    insecure: bool = False,
    keys: str | Path | None = None,
    no_auth: bool = False,
) -> None:
    """Serves a bundle over HTTP until interrupted.

    Args:
        bundle: the bundle, or its folder.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        insecure: whether to listen beyond loopback without TLS.
        keys: a file of `tunesmith keys`; where there is none, a key is made for this start.
        no_auth: whether no key is needed; on loopback only.

    Raises:
        ConfigError: the key file cannot be used, or `no_auth` was given beyond loopback.
        OutputError: the address cannot or may not be listened on.
        BundleError: it is no bundle, or was changed.
    """
    from tunesmith import serving

    def ready(served: serving.Serving) -> None:
        print(served.page, flush=True)  # noqa: T201 - where a notebook's user must go
        if served.key is not None:
            print(f"Authorization: Bearer {served.key}", flush=True)  # noqa: T201

    security = serving.Security(
        keys=None if keys is None else Path(keys), no_auth=no_auth, insecure=insecure
    )
    serving.serve(bundle, host=host, port=port, security=security, on_ready=ready)


def _console() -> Listener:
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors

    return ConsoleListener(errors)


def _given(named: Mapping[str, object]) -> dict[str, object]:
    """Arguments as settings, by dotted name: paths as texts, one column as a list of it."""
    text = named["data.text"]
    values = {**named, "data.text": (text,) if isinstance(text, str) else text}
    as_texts = (
        "data.source", "data.validation", "data.test", "data.corrections", "base.id", "output"
    )  # fmt: skip
    return {
        name: str(value) if name in as_texts else value
        for name, value in values.items()
        if value is not None
    }
