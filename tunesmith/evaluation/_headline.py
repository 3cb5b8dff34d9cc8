"""Figures in words: names of metrics, percentages, and the report's one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.checks import counted
from tunesmith.types import Estimate, LabelMetrics

__all__ = [
    "LOSSES",
    "broken_promise",
    "comparison",
    "figure",
    "forgetting_sentence",
    "headline",
    "is_better",
    "known_rows",
    "metric_name",
    "span",
    "weakest_first",
]

LOSSES = frozenset({"brier", "coverage_error", "ece", "hamming_loss", "log_loss", "ranking_loss"})
"""Metrics of which less is better."""

NO_SHARES = frozenset({"brier", "coverage_error", "log_loss", "mcc"})
"""Metrics that are no shares of anything, and are not given in percent."""

_NAMES = {
    "brier": "Brier score",
    "hamming_loss": "Hamming loss",
    "macro_f1": "macro-F1",
    "macro_pr_auc": "macro PR-AUC",
    "macro_roc_auc": "macro ROC-AUC",
    "mcc": "Matthews' correlation",
    "micro_f1": "micro-F1",
    "top_3_accuracy": "top-3 accuracy",
    "top_5_accuracy": "top-5 accuracy",
    "weighted_f1": "weighted F1",
}


def metric_name(metric: str) -> str:
    """A metric as a reader knows it."""
    return _NAMES.get(metric, metric.replace("_", " "))


def figure(metric: str, value: float, *, unit: bool = True) -> str:
    """A metric's value: a percentage, or three decimals for what is no share."""
    if metric in NO_SHARES:
        return f"{value:.3f}"
    return f"{100 * value:.1f} %" if unit else f"{100 * value:.1f}"


def span(metric: str, estimate: Estimate) -> str:
    """An interval, "93.2–94.9"; with "to" where an end is negative; "–" where there is none."""
    if not estimate.has_interval:
        return "–"
    low, high = (figure(metric, end, unit=False) for end in (estimate.low, estimate.high))
    return f"{low} to {high}".replace("-", "−") if estimate.low < 0 else f"{low}–{high}"


def weakest_first(labels: Mapping[str, LabelMetrics]) -> list[tuple[str, LabelMetrics]]:
    """Labels by their F1; those without a row, of which nothing is known, at the end."""

    def key(item: tuple[str, LabelMetrics]) -> tuple[bool, float]:
        own = item[1]
        return not own.support, 0.0 if own.f1 is None else own.f1.value

    return sorted(labels.items(), key=key)


def headline(
    *,
    name: str,
    metric: str,
    estimate: Estimate,
    num_rows: int,
    advantage: Estimate | None,
    advantage_over: str,
    num_known: int = 0,
    num_near: int = 0,
) -> str:
    """What `Report.headline` says; that a model is no better than a cheap one comes first."""
    rows = counted(num_rows, "unseen row", "unseen rows")
    if num_known or num_near:
        rows = f"{counted(num_rows, 'row', 'rows')}, TOO GOOD: {known_rows(num_known, num_near)}"
    known = (
        f"{figure(metric, estimate.value)} {metric_name(metric)} "
        f"({span(metric, estimate)}) on {rows}"
    )
    if advantage is None or advantage_over == name:
        return f"{name}: {known}"
    compared = comparison(metric, advantage, advantage_over)
    if is_better(metric, advantage):
        return f"{name}: {known}; {compared}"
    return f"{name}: {compared}; {known}"


def known_rows(num_known: int, num_near: int) -> str:
    """ "3 of them were trained on, and 1 more differs hardly from rows that were trained on"."""
    told = []
    if num_known:
        told.append(f"{num_known:,} of them {'was' if num_known == 1 else 'were'} trained on")
    if num_near:
        which = f"{num_near:,} {'more' if num_known else 'of them'}"
        verb = "differs" if num_near == 1 else "differ"
        told.append(f"{which} {verb} hardly from rows that were trained on")
    return ", and ".join(told)


def broken_promise(option: str, what: str, asked: float, reached: Estimate) -> str:
    """What was promised, what came of it on the test rows, and whether chance may explain it."""
    ends = f"({span('', reached)})" if reached.has_interval else "(no interval can be had)"
    why = "clearly less than promised" if reached.high < asked else "which may be chance"
    return (
        f"{option} was NOT kept on the test rows: {figure('', reached.value)} {ends} {what}, {why}"
    )


def is_better(metric: str, difference: Estimate) -> bool:
    """Whether a difference is a gain even at the end of its interval that promises least."""
    return difference.high < 0 if metric in LOSSES else difference.low > 0


def forgetting_sentence(
    *,
    metric: str,
    before: float,
    after: float,
    change: Estimate,
    num_rows: int,
    num_left_out: int,
) -> str:
    """What `Forgetting.sentence` says."""
    rows = f"the {counted(num_rows, 'test row', 'test rows')} of its parent"
    if num_left_out:
        rows = f"{num_rows:,} of the {num_rows + num_left_out:,} test rows of its parent"
    known = (
        f"on {rows}: "
        f"{figure(metric, after)} {metric_name(metric)} now, "
        f"{figure(metric, before)} with the parent"
    )
    if change.low <= 0 <= change.high:
        return f"{known}; not clearly different ({_unclear(metric, change)})"
    return f"{known}; {_clear(metric, change)} {'higher' if change.value > 0 else 'lower'}"


def comparison(metric: str, advantage: Estimate, other: str) -> str:
    """ "4.6 points (3.7–5.5) better than other", or that it may be no better."""
    gain = advantage
    if metric in LOSSES:
        gain = Estimate(-advantage.value, -advantage.high, -advantage.low)
    if gain.low <= 0 <= gain.high:
        return f"NOT significantly better than {other} ({_unclear(metric, gain)})"
    return f"{_clear(metric, gain)} {'better' if gain.value > 0 else 'worse'} than {other}"


def _unclear(metric: str, gain: Estimate) -> str:
    """A difference that may be none: "+0.4 points, −0.6 to 1.4"."""
    unit = "" if metric in NO_SHARES else " points"
    ends = span(metric, gain) if gain.has_interval else "no interval can be had"
    size = f"{figure(metric, gain.value, unit=False)}{unit}, {ends}"
    return f"{'+' if gain.value > 0 else ''}{size}".replace("-", "−")


def _clear(metric: str, gain: Estimate) -> str:
    """The size of a difference whose sign is known: "4.6 points (3.7–5.5)"."""
    size = Estimate(
        abs(gain.value), min(abs(gain.low), abs(gain.high)), max(abs(gain.low), abs(gain.high))
    )
    unit = "" if metric in NO_SHARES else " points"
    return f"{figure(metric, size.value, unit=False)}{unit} ({span(metric, size)})"
