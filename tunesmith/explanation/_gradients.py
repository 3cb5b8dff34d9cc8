"""Attribution by the gradient of a label's log-odds: captum on the word embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.bases import Classifier, TokenBatch, tokenize
from tunesmith.explanation._attribution import Attribution, Method
from tunesmith.explanation._reading import Reading
from tunesmith.tasks import Calibration

__all__ = ["GradientXInput", "IntegratedGradients", "OnEmbeddings", "log_odds_of"]

_FIRST_STEPS, _MOST_STEPS = 20, 320
_RELATIVE, _ABSOLUTE = 0.05, 0.02
_TOKENS_AT_ONCE = 2048


def log_odds_of(
    scores: Tensor, label: int, *, several: bool, calibration: Calibration | None = None
) -> Tensor:
    """A label's log-odds, ln(p / (1 - p)), [n], of scores [n, labels].

    Unlike the probability they do not level off where the model is sure, and unlike the bare score
    they say how much likelier the label is than the others.

    Args:
        calibration: scores are scaled and shifted first, as for the probability that is shown. The
            steps of isotonic regression are left out: they are flat, and have no gradient.
    """
    if calibration is not None:
        scores = scores * scores.new_tensor(calibration.scale)
        if calibration.shift:
            scores = scores + scores.new_tensor(calibration.shift)
    own = scores[:, label]
    if several:
        return own
    others = torch.cat([scores[:, :label], scores[:, label + 1 :]], dim=1)
    return own - torch.logsumexp(others, dim=1)


class OnEmbeddings:
    """A classifier as a function of its word embeddings; positions and the rest stay as they are.

    The base runs as always and only its table of words is replaced by what it should have given,
    so every family with such a table is served alike.
    """

    def __init__(
        self,
        model: Classifier,
        tokenizer: Any,
        max_length: int,
        *,
        several: bool,
        calibration: Calibration | None = None,
    ) -> None:
        """Computes nothing yet.

        Args:
            model, tokenizer, max_length: as they were trained.
            several: whether an example may have several labels.
            calibration: what the shown probabilities have gone through.
        """
        encoder: Any = model.encoder
        self._model = model
        self._table: nn.Module = encoder.get_input_embeddings()
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._several = several
        self._calibration = calibration
        self.is_before_isotonic = calibration is not None and bool(calibration.knots)
        self._filler = int(tokenizer.pad_token_id)

    def batch(self, reading: Reading) -> TokenBatch:
        """One example's tokens, on the model's device."""
        tokens = tokenize(self._tokenizer, [reading.inputs], self._max_length)
        device = next(self._model.parameters()).device
        batch = tokens.batch(np.zeros(1, dtype=np.int64))
        return {name: value.to(device) for name, value in batch.items()}

    def embeddings(self, batch: TokenBatch, reading: Reading) -> tuple[Tensor, Tensor]:
        """The words' vectors and those of the baseline, each [1, length, size]."""
        ids = batch["input_ids"]
        is_word = torch.from_numpy(reading.owners >= 0).to(ids.device)
        blank = torch.where(is_word[None, :], self._filler, ids)
        with torch.no_grad():
            return self._table(ids).detach(), self._table(blank).detach()

    def forward(self, embeddings: Tensor, batch: TokenBatch, label: int) -> Tensor:
        """The label's log-odds, [n], of n variants of one example, [n, length, size]."""
        wide = {name: value.expand(len(embeddings), -1) for name, value in batch.items()}
        hook = self._table.register_forward_hook(lambda *_: embeddings)
        try:
            return log_odds_of(
                self._model(wide), label, several=self._several, calibration=self._calibration
            )
        finally:
            hook.remove()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without dropout; afterwards as before."""
        was_training = self._model.training
        self._model.eval()
        try:
            yield
        finally:
            self._model.train(was_training)


class _Gradients:
    """What methods by gradients share: all but the attribution of one text."""

    def __init__(self, on: OnEmbeddings) -> None:
        self._on = on

    def attribute(self, readings: Sequence[Reading], labels: Sequence[int]) -> list[Attribution]:
        with self._on.evaluating():
            return [self._one(*pair) for pair in zip(readings, labels, strict=True)]

    def _one(self, reading: Reading, label: int) -> Attribution:
        raise NotImplementedError


class IntegratedGradients(_Gradients):
    """Integrated gradients (Sundararajan, Taly and Yan, ICML 2017), by captum.

    The gradient is summed on the straight way from the baseline to the text (Gauss-Legendre). The
    number of steps is doubled until the convergence delta is at most 5 % of the scores' difference
    (or 0.02 in log-odds), 320 at the most.
    """

    name: Method = "integrated-gradients"
    baseline = (
        "the same text with the padding token in the place of every piece of a word, since every "
        "base has one and it says least"
    )

    def __init__(self, on: OnEmbeddings, *, steps: int | None = None) -> None:
        """Computes nothing yet.

        Args:
            steps: so many and no more; None: as many as it takes.
        """
        super().__init__(on)
        self._steps = (steps or _FIRST_STEPS, steps or _MOST_STEPS)

    def _one(self, reading: Reading, label: int) -> Attribution:
        from captum.attr import IntegratedGradients as Captum

        batch = self._on.batch(reading)
        words, blank = self._on.embeddings(batch, reading)
        length = words.shape[1]
        with torch.no_grad():
            ends = self._on.forward(torch.cat([words, blank]), batch, label)
        score, baseline_score = (float(value) for value in ends)
        difference = score - baseline_score
        integral = Captum(lambda embeddings: self._on.forward(embeddings, batch, label))
        steps, most = self._steps
        while True:
            found = integral.attribute(
                words,
                baselines=blank,
                n_steps=steps,
                internal_batch_size=max(1, _TOKENS_AT_ONCE // length),
            )
            values = _of_tokens(found)
            delta = float(values.sum()) - difference
            is_converged = abs(delta) <= max(_RELATIVE * abs(difference), _ABSOLUTE)
            if is_converged or 2 * steps > most:
                break
            steps *= 2
        of_words, other = reading.sums(values)
        return Attribution(
            of_words, score, other, baseline_score, steps, delta, is_converged,
            is_before_isotonic=self._on.is_before_isotonic,
        )  # fmt: skip


class GradientXInput(_Gradients):
    """The gradient at the text times the word's vector (Shrikumar et al. 2016), by captum.

    One pass instead of dozens, and less faithful: it sees the text only, and not the way to it.
    """

    name: Method = "gradient-x-input"
    baseline = "a vector of zeros in the place of each word, in a straight line from the text"

    def _one(self, reading: Reading, label: int) -> Attribution:
        from captum.attr import InputXGradient

        batch = self._on.batch(reading)
        words, _ = self._on.embeddings(batch, reading)
        scores: list[float] = []

        def forward(embeddings: Tensor) -> Tensor:
            found = self._on.forward(embeddings, batch, label)
            scores.append(float(found.detach()[0]))
            return found

        found = InputXGradient(forward).attribute(words.requires_grad_())
        of_words, other = reading.sums(_of_tokens(found))
        return Attribution(
            of_words, scores[0], other, is_before_isotonic=self._on.is_before_isotonic
        )


def _of_tokens(found: Tensor) -> Any:
    """Attributions of one example's embeddings, [1, length, size], as float64 [length]."""
    return found.detach()[0].double().sum(dim=-1).cpu().numpy()
