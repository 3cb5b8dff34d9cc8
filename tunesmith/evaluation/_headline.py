"""Figures in words: names of metrics, percentages, and the report's one sentence."""

from __future__ import annotations

from tunesmith.types import Estimate

__all__ = ["LOSSES", "figure", "headline", "metric_name", "span"]

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


def _comparison(metric: str, advantage: Estimate, other: str) -> str:
    gain = advantage
    if metric in LOSSES:
        gain = Estimate(-advantage.value, -advantage.high, -advantage.low)
    if gain.low <= 0 <= gain.high:
        size = f"{figure(metric, gain.value, unit=False)} points, {span(metric, gain)}"
        sign = "+" if gain.value > 0 else ""
        return f"not clearly different from {other} ({sign}{size.replace('-', '−')})"
    word = "better" if gain.value > 0 else "worse"
    positive = Estimate(
        abs(gain.value), min(abs(gain.low), abs(gain.high)), max(abs(gain.low), abs(gain.high))
    )
    amount = figure(metric, positive.value, unit=False)
    return f"{amount} points ({span(metric, positive)}) {word} than {other}"
