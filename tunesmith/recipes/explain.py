"""Why a bundle answers as it does: for some texts, or over labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tunesmith.bases import (
    Classifier,
    available_cores,
    choose_device,
    extract_features,
    load_classifier,
    load_tokenizer,
    set_threads,
    tokenize,
)
from tunesmith.bundles import Bundle, open_bundle
from tunesmith.config import redact
from tunesmith.explanation import (
    ExplainedText,
    Explainer,
    GlobalView,
    Method,
    find_drivers,
    masked,
    nearest_examples,
    render_page,
)
from tunesmith.recipes._explaining import (
    Notes,
    check_asked,
    find_examples,
    given,
    held_out_of,
    joined,
    of_file,
)
from tunesmith.recipes._labelled import dataset_for
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._sampling import stratified_sample
from tunesmith.recipes.check import require_page
from tunesmith.storage import write_bytes
from tunesmith.tasks import Task
from tunesmith.types import Dataset, LabelPrediction, Target
from tunesmith.words import missing_dictionary

__all__ = [
    "Explained",
    "ExplainedData",
    "explain",
    "explain_data",
    "explain_rows",
    "gradient_explainer",
]


@dataclass(frozen=True, slots=True)
class Explained:
    """Texts and why the model answers them as it does.

    Attributes:
        texts: in the order in which they were given.
        notes: what was said on the way.
    """

    bundle: Bundle
    method: Method
    texts: tuple[ExplainedText, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": str(self.bundle.path),
            "version": self.bundle.version,
            "method": self.method,
            "texts": [text.as_dict() for text in self.texts],
            "notes": list(self.notes),
        }

    def to_html(self, num_words: int = 10) -> str:
        """One self-contained page: no script, nothing loaded from anywhere, personal data masked.

        Args:
            num_words: how many words are listed beside each text.
        """
        name = self.bundle.manifest.name
        return render_page(self.texts, title=name, notes=self.notes, num_words=num_words)

    def write_page(self, path: str | Path, *, num_words: int = 10, overwrite: bool = False) -> None:
        """Writes the page, whole or not at all.

        Raises:
            OutputError: as `require_page` says, or the disk is full.
        """
        _write_page(self.to_html(num_words), Path(path), overwrite=overwrite)

    def _repr_html_(self) -> str:
        return self.to_html()


@dataclass(frozen=True, slots=True)
class ExplainedData:
    """What drives a bundle's answers over labelled rows.

    Attributes:
        source: where the rows are from.
        notes: what was said on the way.
    """

    bundle: Bundle
    source: str
    view: GlobalView
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": str(self.bundle.path),
            "version": self.bundle.version,
            "data": self.source,
            **self.view.as_dict(),
            "notes": list(self.notes),
        }

    def to_html(self, num_words: int = 10) -> str:
        """One self-contained page; see `Explained.to_html`."""
        return render_page(
            view=self.view,
            title=self.bundle.manifest.name,
            source=self.source,
            notes=self.notes,
            num_words=num_words,
        )

    def write_page(self, path: str | Path, *, num_words: int = 10, overwrite: bool = False) -> None:
        """Writes the page; see `Explained.write_page`."""
        _write_page(self.to_html(num_words), Path(path), overwrite=overwrite)

    def _repr_html_(self) -> str:
        return self.to_html()


def explain(
    bundle: Bundle | Path | str,
    texts: Sequence[object] = (),
    *,
    file: Path | str | None = None,
    label: str | None = None,
    method: Method = "integrated-gradients",
    neighbours: int = 3,
    examples: Path | str | None = None,
    max_rows: int = 100,
    listener: Listener | None = None,
) -> Explained:
    """Says of texts what each word adds to the model's answer, and which training rows are near.

    Args:
        texts: each as `Runtime.predict` takes it.
        file: rows with the bundle's text columns, explained as well.
        label: the label to explain; None: the one that is given, or all of several.
        neighbours: how many training examples are shown beside each text; 0 for none.
        examples: a file of labelled rows that are looked among; None: the rows that the bundle's
            run kept, where they are still beside it.
        max_rows: at most so many rows of the file are explained.

    Raises:
        BundleError: the bundle is missing or was changed.
        ConfigError: the method or the label is unknown.
        DataError: a text or a file cannot be used.
    """
    told = Notes(listener)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    task = opened.task
    check_asked(task, label, method)
    asked = joined(given(task, texts), of_file(task, file, max_rows, told))
    known = find_examples(opened, examples, told) if neighbours else None
    model = _Model.of(opened)
    _say_how_words_are_told(asked, told)
    told.stage("explaining", len(asked))
    explained = model.explainer(method).explain(asked, label=label, on_rows=told.advance)
    if known is not None:
        near = model.nearest(asked, known, neighbours, told)
        explained = [
            replace(text, neighbours=own) for text, own in zip(explained, near, strict=True)
        ]
    _say_what_is_amiss(explained, told)
    return Explained(opened, method, tuple(explained), tuple(told.notes))


def explain_data(
    bundle: Bundle | Path | str,
    source: Path | str | None = None,
    *,
    target: str | None = None,
    label: str | None = None,
    label_separator: str | None = None,
    drop_missing: bool = False,
    method: Method = "integrated-gradients",
    max_rows: int = 200,
    min_rows: int = 3,
    draws: int = 5,
    seed: int = 42,
    listener: Listener | None = None,
) -> ExplainedData:
    """Says which words drive each label over labelled rows, and whether that is to be believed.

    Args:
        source: a labelled file; None: the test rows that the bundle keeps.
        target: the label's column; the one of the training file where None.
        label: explains this label of every row, rather than the one that is given.
        max_rows: at most so many rows, drawn by label, are explained.
        min_rows, draws: see `explain_rows`.

    Raises:
        BundleError: the bundle is missing or was changed.
        ConfigError: the method or the label is unknown.
        DataError: the file cannot be used, or the bundle keeps no rows.
    """
    told = Notes(listener)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    check_asked(opened.task, label, method)
    if source is None:
        dataset, name = held_out_of(opened), "the bundle's test rows"
    else:
        facts, settings = opened.manifest.data, opened.manifest.config["data"]
        loaded, _ = dataset_for(
            opened.task,
            str(source),
            target=target or facts["target"],
            drop_missing=drop_missing,
            separator=label_separator or settings["label_separator"],
        )
        for note in loaded.notes:
            told.say(note)
        dataset, name = loaded.dataset, redact(str(source))
    model = _Model.of(opened)
    _say_how_words_are_told(dataset, told)
    told.stage("explaining", min(max_rows, len(dataset)))
    view = explain_rows(
        model.classifier, model.tokenizer, opened.task, model.max_length, dataset,
        limit=max_rows, label=label, method=method, min_rows=min_rows, draws=draws, seed=seed,
        on_rows=told.advance,
    )  # fmt: skip
    if view.num_not_converged:
        told.warn(f"of {view.num_not_converged:,} explanations the convergence delta stayed large")
    return ExplainedData(opened, name, view, tuple(told.notes))


def explain_rows(
    classifier: Classifier,
    tokenizer: Any,
    task: Task,
    max_length: int,
    dataset: Dataset,
    *,
    limit: int = 100,
    label: str | None = None,
    method: Method = "integrated-gradients",
    mistake_rows: Sequence[int] | None = None,
    num_mistakes: int = 5,
    min_rows: int = 3,
    draws: int = 3,
    seed: int = 42,
    on_rows: Callable[[int], None] | None = None,
) -> GlobalView:
    """What drives the answers of a model in memory over labelled rows; for a report.

    The time it takes goes with `limit`: with short texts and the built-in base, 100 rows take
    about half a minute on two cores. The model is left as it is.

    Args:
        classifier: trained, with or without an adapter on it.
        dataset: labelled rows that the model has not seen; only `limit` of them are looked at.
        limit: at most so many rows, drawn by label, are explained and measured.
        label: explains this label of every row; None: the one that the model gives.
        mistake_rows: numbers of rows whose explanations are wanted, such as those of the most
            confident mistakes; None: the surest wrong answers among the rows looked at.
        num_mistakes: how many wrong answers are explained, at most.
        min_rows: words that stand in fewer rows of a label are left out of its list.
        draws: random orders of words for each row that faithfulness is compared with.
        on_rows: is told of every so many rows done.
    """
    explainer = Explainer.of_model(classifier, tokenizer, task, max_length, method)
    chosen = dataset.take(stratified_sample(dataset, limit, seed))
    texts = explainer.explain(chosen, label=label, on_rows=on_rows)
    if mistake_rows is None:
        mistakes = _surest_mistakes(texts)[:num_mistakes]
    else:
        places = {int(row): place for place, row in enumerate(dataset.rows)}
        wanted = [places[row] for row in mistake_rows if row in places][:num_mistakes]
        mistakes = explainer.explain(dataset.take(wanted))
    return GlobalView(
        method=method,
        num_rows=len(texts),
        of_rows=len(dataset),
        min_rows=min_rows,
        num_not_converged=_num_not_converged(texts),
        drivers=find_drivers(texts, task.labels, min_rows=min_rows),
        faithfulness=explainer.faithfulness(texts, draws=draws, seed=seed),
        mistakes=tuple(masked(text) for text in mistakes),
    )


def gradient_explainer(bundle: Bundle) -> Explainer:
    """Integrated gradients of a bundle's model, which is loaded for it."""
    return _Model.of(bundle).explainer("integrated-gradients")


@dataclass(frozen=True, slots=True)
class _Model:
    """A bundle's model in memory."""

    classifier: Classifier
    tokenizer: Any
    task: Task
    max_length: int

    @classmethod
    def of(cls, bundle: Bundle) -> _Model:
        if torch.get_num_threads() > available_cores():
            set_threads(None)
        facts, task = bundle.manifest.base, bundle.task
        classifier = load_classifier(
            bundle.model_path, facts.pooling, task.head.size, adapter=bundle.adapter_path
        )
        classifier.to(choose_device())
        return cls(classifier, load_tokenizer(bundle.model_path), task, facts.max_length)

    def explainer(self, method: Method) -> Explainer:
        return Explainer.of_model(
            self.classifier, self.tokenizer, self.task, self.max_length, method
        )

    def nearest(self, asked: Dataset, known: Dataset, count: int, listener: Notes) -> Any:
        listener.stage("reading training examples", len(known))
        ours, theirs = (
            extract_features(
                self.classifier,
                tokenize(self.tokenizer, rows.inputs, self.max_length),
                on_rows=listener.advance if rows is known else None,
            )
            for rows in (asked, known)
        )
        return nearest_examples(ours, known, theirs, count)


def _surest_mistakes(texts: Sequence[ExplainedText]) -> list[ExplainedText]:
    wrong = [text for text in texts if _answer(text) != _as_set(text.target)]
    return sorted(wrong, key=_sureness, reverse=True)


def _sureness(text: ExplainedText) -> float:
    if isinstance(text.prediction, LabelPrediction):
        return text.prediction.probability
    return max(text.prediction.probabilities.values())


def _answer(text: ExplainedText) -> set[str]:
    answer = text.prediction
    return {answer.label} if isinstance(answer, LabelPrediction) else set(answer.labels)


def _as_set(target: Target | None) -> set[str]:
    return {target} if isinstance(target, str) else set(target or ())


def _num_not_converged(texts: Sequence[ExplainedText]) -> int:
    return sum(one.attribution.is_converged is False for t in texts for one in t.explanations)


def _say_how_words_are_told(dataset: Dataset, told: Notes) -> None:
    if hint := missing_dictionary(str(text) for column in dataset.columns for text in column):
        told.say(hint)


def _say_what_is_amiss(texts: Sequence[ExplainedText], told: Notes) -> None:
    if num_cut := sum(text.is_cut for text in texts):
        told.warn(
            f"{num_cut:,} of {len(texts):,} texts are longer than the model reads: the rest is "
            "cut and not explained"
        )
    if num := _num_not_converged(texts):
        told.warn(f"of {num:,} explanations the convergence delta stayed large: take them as rough")


def _write_page(page: str, path: Path, *, overwrite: bool) -> None:
    require_page(path, "", overwrite=overwrite)
    write_bytes(path, page.encode())
