"""A cross-validation as a web page: what its templates are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesmith.evaluation import _figures
from tunesmith.evaluation._headline import weakest_first
from tunesmith.evaluation._page import page_templates
from tunesmith.types import Estimate

if TYPE_CHECKING:
    from tunesmith.evaluation._cross_validation import CrossValidation

__all__ = ["render"]

_BESIDE = ("macro_f1", "micro_f1", "accuracy", "log_loss")
_KEY_METRICS = 3


def render(result: CrossValidation, template: str) -> str:
    """A page (`cross_validation_page.html`), or a fragment for a notebook."""
    return page_templates().render(template, _view(result))


def _view(result: CrossValidation) -> dict[str, Any]:
    lead = result.lead_metric
    beside = [name for name in _BESIDE if name != lead and name in result.metrics]
    spreads = {
        name: {metric: result.spread(name, metric) for metric in (lead, *beside)}
        for name in result.candidates
    }
    bars, axis = _figures.interval_bars([own[lead].estimate for own in spreads.values()])
    own = spreads[result.chosen]
    claim = result.headline().partition(": ")[2]
    labels = weakest_first(result.pooled.labels)
    label_bars, _ = _figures.interval_bars(
        [own.f1 or Estimate.alone(0.0) for _, own in labels], axis=(0.0, 1.0)
    )
    return {
        "result": result,
        "lead": lead,
        "beside": beside,
        "name": result.chosen[:1].upper() + result.chosen[1:],
        "claim": claim.replace("–", "\u2060–\u2060").replace(" %", "\u202f%"),
        "key": [(metric, own[metric]) for metric in (lead, *beside)][:_KEY_METRICS],
        "models": [
            (name, spreads[name], bar, _gain(result, name))
            for name, bar in zip(result.candidates, bars, strict=True)
        ],
        "axis": axis,
        "labels": [
            {"label": label, "figures": one, "bar": bar}
            for (label, one), bar in zip(labels, label_bars, strict=True)
        ],
        "confidence": f"{100 * result.confidence:g}",
        "bar_width": _figures.BAR_WIDTH,
        "facts": [
            ("data file", result.data.get("source")),
            ("fingerprint of the rows", result.data.get("fingerprint")),
            ("rows", f"{result.pooled.num_examples:,}"),
            ("base", f"{result.base['id']} ({result.base['family']})"),
            ("digest of the base", result.base["digest"]),
            ("created", result.created),
            ("machine", result.machine),
            *result.versions.items(),
        ],
    }


def _gain(result: CrossValidation, name: str) -> Estimate | None:
    """How much better the chosen model is than another, paired; None for itself."""
    return None if name == result.chosen else result.difference(name).estimate
