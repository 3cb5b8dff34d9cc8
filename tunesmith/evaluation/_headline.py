"""Figures in words: names of metrics, percentages, and the report's one sentence."""

from __future__ import annotations

from tunesmith.types import Estimate

__all__ = ["LOSSES", "figure", "forgetting_sentence", "headline", "metric_name", "span"]

LOSSES = frozenset({"hamming_loss", "log_loss"})
"""Metrics of which less is better."""

_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "hamming_loss": "Hamming loss",
    "log_loss": "log loss",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "weighted_f1": "weighted F1",
}


def metric_name(metric: str) -> str:
    """A metric as a reader knows it."""
    return _NAMES.get(metric, metric.replace("_", " "))


def figure(metric: str, value: float, *, unit: bool = True) -> str:
    """A metric's value: a percentage, or nats with three decimals for log loss."""
    if metric == "log_loss":
        return f"{value:.3f}"
    return f"{100 * value:.1f} %" if unit else f"{100 * value:.1f}"


def span(metric: str, estimate: Estimate) -> str:
    """An interval, "93.2–94.9"; with "to" where an end is negative."""
    low, high = (figure(metric, end, unit=False) for end in (estimate.low, estimate.high))
    return f"{low} to {high}".replace("-", "−") if estimate.low < 0 else f"{low}–{high}"


def headline(
    *,
    name: str,
    metric: str,
    estimate: Estimate,
    num_rows: int,
    advantage: Estimate | None,
    advantage_over: str,
) -> str:
    """What `Report.headline` says."""
    known = (
        f"{name}: {figure(metric, estimate.value)} {metric_name(metric)} "
        f"({span(metric, estimate)}) on {num_rows:,} unseen rows"
    )
    if advantage is None or advantage_over == name:
        return known
    return f"{known}; {_comparison(metric, advantage, advantage_over)}"


def forgetting_sentence(
    *, metric: str, before: float, after: float, change: Estimate, num_rows: int
) -> str:
    """What `Forgetting.sentence` says."""
    known = (
        f"on the {num_rows:,} test rows of its parent: {figure(metric, after)} "
        f"{metric_name(metric)} now, {figure(metric, before)} with the parent"
    )
    if change.low <= 0 <= change.high:
        return f"{known}; not clearly different ({_unclear(metric, change)})"
    return f"{known}; {_clear(metric, change)} {'higher' if change.value > 0 else 'lower'}"


def _comparison(metric: str, advantage: Estimate, other: str) -> str:
    gain = advantage
    if metric in LOSSES:
        gain = Estimate(-advantage.value, -advantage.high, -advantage.low)
    if gain.low <= 0 <= gain.high:
        return f"not clearly different from {other} ({_unclear(metric, gain)})"
    return f"{_clear(metric, gain)} {'better' if gain.value > 0 else 'worse'} than {other}"


def _unclear(metric: str, gain: Estimate) -> str:
    """A difference that may be none: "+0.4 points, −0.6 to 1.4"."""
    size = f"{figure(metric, gain.value, unit=False)} points, {span(metric, gain)}"
    return f"{'+' if gain.value > 0 else ''}{size}".replace("-", "−")


def _clear(metric: str, gain: Estimate) -> str:
    """The size of a difference whose sign is known: "4.6 points (3.7–5.5)"."""
    size = Estimate(
        abs(gain.value), min(abs(gain.low), abs(gain.high)), max(abs(gain.low), abs(gain.high))
    )
    return f"{figure(metric, size.value, unit=False)} points ({span(metric, size)})"
