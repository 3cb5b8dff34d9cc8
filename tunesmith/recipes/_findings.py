"""What the checks find, and what an encoder shows besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith.bases import (
    Base,
    TokenizedDataset,
    choose_device,
    extract_features,
    load_tokenizer,
    new_classifier,
    set_threads,
    tokenize,
)
from tunesmith.checks import (
    Check,
    Finding,
    Subject,
    by_weight,
    check_outliers,
    check_suspected_labels,
    counted,
    run_checks,
)
from tunesmith.recipes._kept import keep, read_kept
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._model import UNKNOWN_SHARE_WORTH_A_WARNING
from tunesmith.recipes._sampling import stratified_sample

__all__ = ["find_faults"]

_MOST_ROWS = 20_000


def find_faults(
    subject: Subject,
    checks: Sequence[Check],
    encoder: Base | None,
    listener: Listener,
    notes: list[str] | None = None,
    *,
    kept: Path | None = None,
) -> list[Finding]:
    """What the checks find, and what the encoder shows where there is one; the gravest first.

    Args:
        notes: gets what is said on the way.
        kept: a file that keeps what the encoder shows; it need not read the same rows again.
    """
    listener.stage(f"checking {subject.num_rows:,} rows", len(checks))
    findings = run_checks(subject, checks, on_check=lambda: listener.advance(1))
    if encoder is not None:
        if (num_complete := len(subject.dataset)) > _MOST_ROWS:
            said = f"the encoder looks at {_MOST_ROWS:,} of {num_complete:,} rows"
            listener.say(said)
            if notes is not None:
                notes.append(said)
        shown = None if kept is None else read_kept(kept, subject, encoder)
        if shown is None:
            shown = _by_model(subject, encoder, listener)
            if kept is not None:
                keep(kept, shown, subject, encoder)
        findings += shown
    return by_weight(findings)


def _by_model(subject: Subject, base: Base, listener: Listener) -> list[Finding]:
    """What a frozen encoder shows: what it cannot read, wrong labels, texts unlike all others."""
    dataset = subject.dataset
    if len(dataset) > _MOST_ROWS:
        dataset = dataset.take(stratified_sample(dataset, _MOST_ROWS, seed=0))
    if not len(dataset):
        return []
    set_threads(None)
    tokens = tokenize(load_tokenizer(base.path), dataset.inputs, base.max_length)
    listener.stage("reading with the encoder", len(dataset))
    classifier = new_classifier(base.path, base.pooling, 1, adapter=base.adapter)
    features = extract_features(classifier.to(choose_device()), tokens, on_rows=listener.advance)
    places = dataset.rows - 1
    return [
        *_unreadable(tokens, dataset.rows, base),
        *check_suspected_labels(subject, places, features),
        *check_outliers(subject, places, features),
    ]


def _unreadable(tokens: TokenizedDataset, rows: NDArray[np.int64], base: Base) -> Iterator[Finding]:
    """What of the texts the base cuts off, or does not know."""
    cut = tokens.full_lengths > base.max_length
    if cut.any():
        lost = 1 - base.max_length / tokens.full_lengths[cut].mean()
        yield Finding(
            check="too-long-for-base",
            severity="note",
            message=f"{counted(int(cut.sum()), 'text is', 'texts are')}"
            f" longer than the {base.max_length} tokens that "
            f"{base.id} reads; of these about {lost:.0%} is cut off at the end",
            fix="put what matters first, cut texts into pieces, or choose a base that reads more",
            rows=rows[cut],
        )
    if tokens.unknown_share >= UNKNOWN_SHARE_WORTH_A_WARNING:
        yield Finding(
            check="unknown-tokens",
            severity="warning",
            message=f"{base.id} does not know {tokens.unknown_share:.0%} of the tokens",
            fix="choose a base for this language or alphabet with --base",
        )
