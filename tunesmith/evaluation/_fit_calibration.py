"""Fits a calibration to validation rows, and chooses the kind that the rows allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from tunesmith.evaluation._outcomes import is_multi_label
from tunesmith.tasks import Calibration, Task, softmax

__all__ = ["MIN_ROWS", "FittedCalibration", "fit_calibration", "fit_temperature"]

MIN_ROWS = 50
"""Fewer validation rows say too little of how sure a model should be."""

NUM_FOLDS = 5
VECTOR_ROWS_A_LABEL = 10
ISOTONIC_ROWS_A_LABEL = 50
MAX_ROWS = 20_000
"""More change nothing that is seen, and take minutes."""

LABEL_SPREAD = 0.5
"""Standard deviation that one label's scale (its logarithm) and shift are believed to have about
the common ones: a label with few rows stays near them, as an empirical Bayes estimate would."""

_LOG_SCALES = (-4.0, 4.0)
_FLOOR = 1e-6

_Fit: TypeAlias = Callable[[NDArray[np.float64], NDArray[Any]], Calibration]


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """A calibration, and what it was chosen by.

    Attributes:
        calibration: None where the model's own probabilities are no worse.
        chosen: its method; "none" where there is none.
        losses: method → mean log loss on the rows left out in cross-validation; "none" is the model
            without calibration.
        places: int64 [m], the rows that it was fitted on.
        held_out: float64 [m, labels], each row's probabilities by a calibration that was fitted
            without the row: what new rows will get, for thresholds that are chosen on them.
    """

    calibration: Calibration | None
    chosen: str
    losses: dict[str, float]
    places: NDArray[np.int64]
    held_out: NDArray[np.float64]


def fit_calibration(
    task: Task, scores: NDArray[Any], targets: NDArray[Any], *, seed: int = 0
) -> FittedCalibration | None:
    """The calibration with the lowest log loss; the simplest that is not clearly worse.

    Temperature scaling is taken where it has a lower cross-validated log loss than the model's own
    probabilities; another kind, where the rows allow it, if its loss is lower still by more than
    one standard error of the difference (the rule of Breiman et al., Classification and Regression
    Trees, 1984). Vector scaling asks for 10 rows of each label, isotonic regression for 50. For
    several labels a row there is one scale for all, or a scale and a shift for each label, which a
    label with few rows shares with the others.

    Fit on validation rows, never on test rows. Where the same rows chose the epoch, the scores are
    a little better on them than on new rows, and so is the calibration.

    Args:
        scores: the model's raw ones, [n, labels].
        targets: as `task.encode` gives them.
        seed: of the folds.

    Returns:
        None where there are fewer than `MIN_ROWS` rows.
    """
    if len(scores) < MIN_ROWS:
        return None
    generator = np.random.default_rng(seed)
    places = np.arange(len(scores))
    if len(places) > MAX_ROWS:
        places = np.sort(generator.choice(places, MAX_ROWS, replace=False))
    raw, truth = scores[places].astype(np.float64), targets[places]
    folds = generator.permutation(len(places)) % NUM_FOLDS
    several = is_multi_label(task)
    held_out: dict[str, NDArray[np.float64]] = {}
    for name, fit in _candidates(truth, raw.shape[1], several).items():
        held_out[name] = np.empty_like(raw)
        for fold in range(NUM_FOLDS):
            out = folds == fold
            own = fit(raw[~out], truth[~out])
            held_out[name][out] = own.of_many(raw[out]) if several else own.of_one(raw[out])
    losses = {name: _losses(found, truth) for name, found in held_out.items()}
    chosen = _simplest_of_the_best(losses)
    return FittedCalibration(
        calibration=None if chosen == "none" else _fits(several)[chosen](raw, truth),
        chosen=chosen,
        losses={name: float(rows.mean()) for name, rows in losses.items()},
        places=places,
        held_out=held_out[chosen],
    )


def fit_temperature(scores: NDArray[np.float64], targets: NDArray[Any]) -> Calibration:
    """One scale for all labels, by a bounded search for the lowest log loss.

    A weak prior (the scale's logarithm has a standard deviation of 1) keeps it finite where all
    rows are right. It weighs as much as about one row.
    """
    loss = _binary_loss if targets.ndim == 2 else _cross_entropy

    def penalised(log_scale: float) -> float:
        return loss(np.exp(log_scale) * scores, targets) + 0.5 * log_scale**2

    found = optimize.minimize_scalar(
        penalised, bounds=_LOG_SCALES, method="bounded", options={"xatol": 1e-5}
    )
    best = float(found.x) if penalised(float(found.x)) <= penalised(0.0) else 0.0
    return Calibration("temperature", (float(np.exp(best)),))


def _fit_vector(scores: NDArray[np.float64], targets: NDArray[Any]) -> Calibration:
    """A scale and a shift for each label, drawn towards the temperature."""
    common = fit_temperature(scores, targets).scale[0]
    num_rows, num_labels = scores.shape
    truth = np.zeros_like(scores)
    truth[np.arange(num_rows), targets] = 1.0

    def penalised(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logs, shifts = parameters[:num_labels], parameters[num_labels:]
        scales = common * np.exp(logs)
        moved = scores * scales + shifts
        excess = softmax(moved) - truth
        prior = parameters / LABEL_SPREAD**2
        slope = np.concatenate([(excess * scores).sum(axis=0) * scales, excess.sum(axis=0)])
        value = _cross_entropy(moved, targets) + 0.5 * float(prior @ parameters)
        return value, slope + prior

    found = optimize.minimize(penalised, np.zeros(2 * num_labels), jac=True, method="L-BFGS-B").x
    scales = common * np.exp(found[:num_labels])
    return Calibration("vector", tuple(scales.tolist()), tuple(found[num_labels:].tolist()))


def _fit_platt(scores: NDArray[np.float64], targets: NDArray[Any]) -> Calibration:
    """A scale and a shift for each label by itself, drawn towards those of all labels together."""
    truth = np.asarray(targets, dtype=np.float64)
    log_scale, shift = _fit_line(scores.ravel(), truth.ravel(), (0.0, 0.0), spread=1.0)
    lines = [
        _fit_line(scores[:, place], truth[:, place], (log_scale, shift), spread=LABEL_SPREAD)
        for place in range(scores.shape[1])
    ]
    scales = tuple(float(np.exp(log)) for log, _ in lines)
    return Calibration("platt", scales, tuple(own for _, own in lines))


def _fit_line(
    scores: NDArray[np.float64],
    truth: NDArray[np.float64],
    centre: tuple[float, float],
    *,
    spread: float,
) -> tuple[float, float]:
    """The logarithm of the scale, and the shift, of scores [n] for truth 0 or 1, [n]."""

    def penalised(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale = np.exp(line[0])
        moved = scale * scores + line[1]
        excess = 0.5 * (1 + np.tanh(0.5 * moved)) - truth
        prior = (line - centre) / spread**2
        value = _binary_loss(moved, truth) + 0.5 * float(prior @ (line - centre))
        return value, prior + np.array([(excess * scores).sum() * scale, excess.sum()])

    bounds = (_LOG_SCALES, (-20.0, 20.0))
    start = np.array(centre)
    found = optimize.minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), float(found[1])


def _fit_isotonic(scores: NDArray[np.float64], targets: NDArray[Any]) -> Calibration:
    """A rising line for each label's probability after the temperature, one against the rest."""
    from sklearn.isotonic import IsotonicRegression

    scale = fit_temperature(scores, targets).scale
    probabilities = softmax(scores * scale[0])
    knots = []
    for place in range(scores.shape[1]):
        line = IsotonicRegression(out_of_bounds="clip")
        line.fit(probabilities[:, place], (targets == place).astype(np.float64))
        # Nothing is impossible because it did not occur among so many rows.
        least = 1 / (len(scores) + 2)
        after = np.clip(line.y_thresholds_, least, 1 - least)
        knots.append((tuple(line.X_thresholds_.tolist()), tuple(after.tolist())))
    return Calibration("isotonic", scale, knots=tuple(knots))


def _fit_nothing(scores: NDArray[np.float64], targets: NDArray[Any]) -> Calibration:  # noqa: ARG001
    """What leaves the probabilities as they are."""
    return Calibration("temperature", (1.0,))


def _fits(several: bool) -> dict[str, _Fit]:
    """The kinds there are, the simplest first."""
    simple: dict[str, _Fit] = {"none": _fit_nothing, "temperature": fit_temperature}
    if several:
        return {**simple, "platt": _fit_platt}
    return {**simple, "vector": _fit_vector, "isotonic": _fit_isotonic}


def _candidates(targets: NDArray[Any], num_labels: int, several: bool) -> dict[str, _Fit]:
    """Those that the rows allow."""
    if several:
        return _fits(several)
    rarest = int(np.bincount(targets, minlength=num_labels).min())
    asked = {"vector": VECTOR_ROWS_A_LABEL, "isotonic": ISOTONIC_ROWS_A_LABEL}
    return {name: fit for name, fit in _fits(several).items() if rarest >= asked.get(name, 0)}


def _simplest_of_the_best(losses: dict[str, NDArray[np.float64]]) -> str:
    """The kind that is better than the simpler ones by more than one standard error.

    Temperature scaling has one parameter and a prior, so any gain on rows left out is enough.
    """
    names = list(losses)
    chosen = names[0]
    for name in names[1:]:
        gain = losses[chosen] - losses[name]
        margin = 0.0 if name == "temperature" else gain.std(ddof=1) / np.sqrt(len(gain))
        if gain.mean() > margin:
            chosen = name
    return chosen


def _losses(probabilities: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Each row's log loss, float64 [n]; for several labels the mean over the labels."""
    kept = np.clip(probabilities, _FLOOR, 1 - _FLOOR)
    if targets.ndim == 2:
        return np.asarray(-np.where(targets > 0.5, np.log(kept), np.log1p(-kept)).mean(axis=1))
    return np.asarray(-np.log(kept[np.arange(len(targets)), targets]))


def _cross_entropy(scores: NDArray[np.float64], targets: NDArray[Any]) -> float:
    """Summed over the rows, in nats."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(targets)), targets]
    return float((np.log(np.exp(shifted).sum(axis=1)) - own).sum())


def _binary_loss(scores: NDArray[np.float64], targets: NDArray[Any]) -> float:
    """Summed over rows and labels, in nats."""
    return float((np.logaddexp(0, scores) - scores * targets).sum())
