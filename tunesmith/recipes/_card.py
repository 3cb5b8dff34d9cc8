"""The model card of a finished run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import yaml

from tunesmith.bases import EMBEDDED, Base
from tunesmith.checks import languages_of
from tunesmith.config import RunConfig
from tunesmith.data import labels_of, source_stem
from tunesmith.evaluation import CardFacts, Cost, ModelCard, Report, model_card
from tunesmith.recipes._energy import EnergyMeter
from tunesmith.recipes._prepare import PreparedData
from tunesmith.recipes._run import settings_by_name

__all__ = ["make_card"]

_SAMPLE_ROWS = 2_000
_EMBEDDED_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
_FEWEST_SHARE = 0.01
_SAID_ELSEWHERE = ("base.id", "seed", "training.method", "data.source")


def make_card(
    config: RunConfig, base: Base, data: PreparedData, report: Report, meter: EnergyMeter
) -> ModelCard:
    """What the report says, and what a reader must know besides."""
    train = data.split.train
    step = max(1, len(train) // _SAMPLE_ROWS)
    texts = [" ".join(map(str, train[n].inputs)) for n in range(0, len(train), step)]
    lengths = np.array([len(text) for text in texts])
    rows = Counter(label for target in train.targets or () for label in labels_of(target))
    hub_id, license_name = _origin(base)
    own = config.card
    watt_hours, how = meter.watt_hours(report.seconds, own.watts)
    grams = watt_hours / 1000 * own.carbon_intensity
    facts = CardFacts(
        cost=Cost(report.seconds, watt_hours, how, grams, own.carbon_intensity),
        languages=_shares(languages_of(texts)),
        characters=(int(np.median(lengths)), int(np.quantile(lengths, 0.95, method="higher"))),
        label_rows={label: rows[label] for label in data.task.labels},
        settings=_changed(report.config),
        base_hub_id=hub_id,
        base_license=license_name,
        license=own.license or "",
        intended_use=own.intended_use or "",
        limitations=own.limitations or "",
    )
    return model_card(source_stem(config.data.source, "model"), report, facts)


def _shares(counts: Counter[str]) -> dict[str, float]:
    """The languages of one text in a hundred or more, the most common first."""
    total = max(counts.total(), 1)
    return {
        name: count / total
        for name, count in counts.most_common()
        if count / total >= _FEWEST_SHARE
    }


def _changed(config: Any) -> dict[str, str]:
    """Settings that are not at their default, as the report has them, without folders."""
    given = settings_by_name(RunConfig.model_validate(config))
    usual = settings_by_name(RunConfig())
    return {
        name: _shown(value)
        for name, value in given.items()
        if value != usual[name] and name not in _SAID_ELSEWHERE and not name.startswith("card.")
    }


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _origin(base: Base) -> tuple[str | None, str | None]:
    """The base's id on the hub, and its licence, as far as its own card says them."""
    metadata: dict[str, Any] = {}
    for folder in (base.path, base.path.parent):  # a bundle's card is beside its `model/`
        file = folder / "README.md"
        if file.is_file():
            metadata = _front_matter(file.read_text(encoding="utf-8", errors="replace"))
            break
    named = metadata.get("license")
    license_name = named if isinstance(named, str) else None
    if base.id == EMBEDDED:
        return _EMBEDDED_HUB_ID, license_name
    is_hub = base.parent is None and base.adapter is None and "/snapshots/" in base.path.as_posix()
    above = metadata.get("base_model") if base.parent is not None else None
    return (base.id if is_hub else above if isinstance(above, str) else None), license_name


def _front_matter(text: str) -> dict[str, Any]:
    """The YAML at the head of a card; nothing where it is none."""
    if not text.startswith("---"):
        return {}
    try:
        values = yaml.safe_load(text.split("\n---", 1)[0].removeprefix("---"))
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}
