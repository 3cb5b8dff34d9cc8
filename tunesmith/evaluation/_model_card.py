"""The model card of a report: the facts a reader needs before using the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.checks import counted
from tunesmith.evaluation._card_parts import CardSection, CardTable, ModelCard
from tunesmith.evaluation._headline import figure, metric_name, span, weakest_first
from tunesmith.evaluation._report import Report
from tunesmith.types import Estimate, LabelMetrics

__all__ = ["CardFacts", "Cost", "model_card"]

_MOST_LABELS = 30
_MOST_NAMED = 8
_FEW_TRAIN, _FEW_TEST = 20, 30
_WEAK_F1 = 0.6
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_HUB_DATA = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)")
_HUB_METRICS = {
    "accuracy": "accuracy", "macro_f1": "f1", "micro_f1": "f1", "weighted_f1": "f1",
    "balanced_accuracy": "balanced_accuracy", "mcc": "matthews_correlation",
    "brier": "brier_score",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """What the run took.

    Attributes:
        seconds: wall time.
        watt_hours: of energy.
        how: how that is known, in words.
        carbon_grams: of CO2 equivalent.
        carbon_intensity: grams a kilowatt-hour that it was reckoned with.
    """

    seconds: float
    watt_hours: float
    how: str
    carbon_grams: float
    carbon_intensity: float


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says beside what the report has.

    Attributes:
        cost: of the run.
        languages: ISO 639-1 code → share of the training texts whose language can be told.
        characters: of a training text: median, and what 95 in 100 do not pass.
        label_rows: label → training rows that have it.
        settings: those that are not at their default: name → value.
        base_hub_id: the base's id on the Hugging Face hub; None where it has none.
        base_license: of the base; None where it is not known.
        license, intended_use, limitations: the user's own words; "" for none.
    """

    cost: Cost
    languages: Mapping[str, float] = field(default_factory=dict)
    characters: tuple[int, int] = (0, 0)
    label_rows: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    base_hub_id: str | None = None
    base_license: str | None = None
    license: str = ""
    intended_use: str = ""
    limitations: str = ""


def model_card(name: str, report: Report, facts: CardFacts) -> ModelCard:
    """The card of the model that a report is about.

    Args:
        name: what the model is called.
    """
    sections = [
        _intended_use(report, facts),
        _limits(report, facts),
        _data(report, facts),
        _training(report, facts),
        _evaluation(report),
        _labels(report, facts),
        *_examined(report),
        _cost(facts.cost, report),
        _lineage(report, facts),
        CardSection("How to use it", code="tunesmith predict BUNDLE new.csv -o labelled.csv"),
    ]
    headline = report.headline()
    summary = f"{headline[:1].upper()}{headline[1:]}."
    return ModelCard(name, summary, tuple(sections), _metadata(name, report, facts))


def _metadata(name: str, report: Report, facts: CardFacts) -> dict[str, Any]:
    """What the hub reads; https://huggingface.co/docs/hub/model-cards says what each entry is."""
    found: dict[str, Any] = {}
    if facts.languages:
        found["language"] = list(facts.languages)
    if chosen := facts.license or facts.base_license:
        found["license"] = chosen
    found |= {
        "library_name": "tunesmith",
        "pipeline_tag": "text-classification",
        "tags": [str(report.task["name"]), "tunesmith"],
    }
    if facts.base_hub_id and _HUB_ID.fullmatch(facts.base_hub_id):
        found["base_model"] = facts.base_hub_id
    data = _HUB_DATA.match(str(report.config.get("data", {}).get("source", "")))
    source = str(report.data.get("source", report.title))
    if data is not None:
        found["datasets"] = [data.group(1)]
    values = [
        {"type": _HUB_METRICS[metric], "name": metric_name(metric), "value": round(own.value, 5)}
        for metric, own in report.metrics.values.items()
        if metric in _HUB_METRICS
    ]
    found["metrics"] = list(dict.fromkeys(str(one["type"]) for one in values))
    found["co2_eq_emissions"] = {
        "emissions": round(facts.cost.carbon_grams, 3),
        "source": f"Tunesmith: {facts.cost.how}",
        "training_type": "fine-tuning",
        "hardware_used": report.machine,
    }
    result = {
        "task": {"type": "text-classification", "name": "Text classification"},
        "dataset": {
            "type": data.group(1) if data is not None else source,
            "name": source,
            "split": "test",
        },
        "metrics": values,
    }
    found["model-index"] = [{"name": name, "results": [result]}]
    return found


def _intended_use(report: Report, facts: CardFacts) -> CardSection:
    labels = [str(label) for label in report.task["labels"]]
    fields = [str(one["name"]) for one in report.task["fields"]]
    several = report.task["name"] == "multi-label-classification"
    reads = f"a text ({fields[0]})" if len(fields) == 1 else f"two texts ({' and '.join(fields)})"
    gives = f"any number of {len(labels)} labels" if several else f"one of {len(labels)} labels"
    shown = ", ".join(labels[:_MOST_LABELS]) + (" …" if len(labels) > _MOST_LABELS else "")
    source = report.data.get("source", report.title)
    scope = (
        f"It was trained and tested on rows of {source}, and what is said of it here holds for "
        "texts like those. Where a decision weighs on somebody, a person should make it."
    )
    return CardSection(
        "Intended use",
        words=(facts.intended_use,) if facts.intended_use else (),
        paragraphs=(f"Reads {reads} and gives it {gives}: {shown}.", scope),
    )


def _limits(report: Report, facts: CardFacts) -> CardSection:
    return CardSection(
        "Limits",
        words=(facts.limitations,) if facts.limitations else (),
        points=tuple(_limit_points(report, facts)),
    )


def _limit_points(report: Report, facts: CardFacts) -> Iterator[str]:
    if report.task["name"] != "multi-label-classification":
        yield "It answers with one of its labels whatever it reads, texts of no label among them."
    if length := report.base.get("max_length"):
        yield f"It reads the first {length} tokens of a text; the rest is cut off."
    if facts.languages:
        known = ", ".join(f"{code} {share:.0%}" for code, share in facts.languages.items())
        yield f"Languages of the training texts: {known}. It was not tested on others."
    if facts.characters[1]:
        median, most = facts.characters
        yield (
            f"Half of the training texts have at most {median:,} characters, 95 in 100 at most "
            f"{most:,}. Longer texts were hardly tested."
        )
    few = {label: n for label, n in facts.label_rows.items() if n < _FEW_TRAIN}
    if few:
        yield f"Labels with fewer than {_FEW_TRAIN} training rows: {_named(few)}."
    tested = {label: own.support for label, own in report.metrics.labels.items()}
    few = {label: n for label, n in tested.items() if n < _FEW_TEST}
    if few:
        yield (
            f"Labels with fewer than {_FEW_TEST} test rows, of which little is known: "
            f"{_named(few)}."
        )
    weak = sorted(
        (own.f1.value, label)
        for label, own in report.metrics.labels.items()
        if own.support >= _FEW_TEST and own.f1 is not None and own.f1.value < _WEAK_F1
    )
    if weak:
        shown = ", ".join(f"{label} ({figure('f1', f1)} F1)" for f1, label in weak[:_MOST_NAMED])
        yield f"Weak labels: {shown}{' …' if len(weak) > _MOST_NAMED else ''}."
    for finding in report.data.get("findings", ()):
        if finding["severity"] != "note" and finding["check"] != "personal-data":
            yield f"The data: {finding['message']}."


def _named(counts: Mapping[str, int]) -> str:
    """ "refund (3), parcel (7)", the fewest first."""
    order = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    shown = ", ".join(f"{label} ({count:,})" for label, count in order[:_MOST_NAMED])
    rest = len(order) - _MOST_NAMED
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _data(report: Report, facts: CardFacts) -> CardSection:
    data, sizes = report.data, report.split_sizes
    entries = [
        ("source", str(data.get("source", report.title))),
        ("fingerprint of its rows", str(data.get("fingerprint", "unknown"))),
        ("rows", ", ".join(f"{count:,} {name}" for name, count in sizes.items())),
        ("test rows", report.split_source),
    ]
    if "refit_rows" in data:
        again = f"{data['refit_rows']:,}: training rows and, after the choice, validation rows"
        entries.append(("rows learned from", again))
    dropped = {name: count for name, count in dict(data.get("dropped", {})).items() if count}
    if dropped:
        shown = ", ".join(f"{name} {count:,}" for name, count in dropped.items())
        entries.append(("rows left out", shown))
    if steps := data.get("steps"):
        shown = ", ".join(f"{name} ({count:,} changes)" for name, count in dict(steps).items())
        entries.append(("cleaning", shown))
    if "corrections" in data:
        entries.append(("corrections", "decisions of a review were applied"))
    if facts.languages:
        entries.append(("languages", ", ".join(facts.languages)))
    found = data.get("findings")
    if found is not None:
        personal = [one["message"] for one in found if one["check"] == "personal-data"]
        entries.append(("personal data", "; ".join(personal) or "none was found by patterns"))
    return CardSection("Data", facts=tuple(entries))


def _training(report: Report, facts: CardFacts) -> CardSection:
    hub = f" ({facts.base_hub_id})" if facts.base_hub_id else ""
    entries = [
        ("base", f"{report.base.get('id')}{hub}, {report.base.get('family', '')}"),
        ("licence of the base", facts.base_license or "not known: look it up before use"),
        ("method", report.method or "not known"),
        ("seed", str(report.config.get("seed", ""))),
        *facts.settings.items(),
    ]
    if report.history:
        entries.insert(3, ("epochs", str(int(report.history[-1].get("epoch", 0)))))
    if "refit_epochs" in report.data:
        last = f"{report.data['refit_epochs']}, on validation rows too; that is shipped"
        entries.insert(4, ("epochs of the last training", last))
    if "trainings_averaged" in report.data:
        mean = f"the mean of those of {report.data['trainings_averaged']} trainings"
        entries.append(("weights", mean))
    entries.append(
        ("versions", ", ".join(f"{name} {own}" for name, own in report.versions.items()))
    )
    note = "Settings that are not named are at their default."
    return CardSection("Training", paragraphs=(note,), facts=tuple(entries))


def _evaluation(report: Report) -> CardSection:
    names = [
        name
        for name in report.metrics.values
        if all(name in row.metrics.values for row in report.candidates)
    ]
    rows = [
        (metric_name(name), *(_cell(name, row.metrics[name]) for row in report.candidates))
        for name in names
    ]
    about = (
        f"On {counted(report.metrics.num_examples, 'test row', 'test rows')} that nothing was "
        "fitted to or chosen by "
        f"({report.split_source}); in brackets {100 * report.metrics.confidence:g} % intervals. "
        f"The model of this card is “{report.chosen}”."
    )
    head = ("figure", *(row.name for row in report.candidates))
    table = CardTable(head, tuple(rows)) if report.candidates else None
    return CardSection("Evaluation", paragraphs=(about,), table=table)


def _labels(report: Report, facts: CardFacts) -> CardSection:
    weakest = weakest_first(report.metrics.labels)
    rows = tuple(_label_row(label, own, facts) for label, own in weakest[:_MOST_LABELS])
    more = len(weakest) > _MOST_LABELS
    about = (
        f"The {_MOST_LABELS} weakest of {len(weakest)} labels." if more else "The weakest first."
    )
    head = ("label", "training rows", "test rows", "precision", "recall", "F1")
    return CardSection("Label by label", paragraphs=(about,), table=CardTable(head, rows))


def _label_row(label: str, own: LabelMetrics, facts: CardFacts) -> tuple[str, ...]:
    known = facts.label_rows.get(label)
    figures = (_cell("f1", one) for one in (own.precision, own.recall, own.f1))
    return (label, "–" if known is None else f"{known:,}", f"{own.support:,}", *figures)


def _cell(metric: str, estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{figure(metric, estimate.value)} ({span(metric, estimate)})"


def _examined(report: Report) -> Iterator[CardSection]:
    """What other parts of the report say in a sentence each."""
    told = [sentence for section in report.sections for sentence in section.sentences()]
    told += report.broken_promises
    if report.forgetting is not None:
        told.append(report.forgetting.sentence())
    if told:
        points = tuple(f"{one[:1].upper()}{one[1:]}".rstrip(".") + "." for one in told)
        yield CardSection("Looked into besides", points=points)


def _cost(cost: Cost, report: Report) -> CardSection:
    at = f"{cost.carbon_intensity:g}"
    return CardSection(
        "Cost",
        facts=(
            ("time", f"{cost.seconds:,.0f} s on {report.machine}"),
            ("energy", f"{cost.watt_hours:,.1f} Wh; {cost.how}"),
            (
                "carbon",
                f"about {cost.carbon_grams:,.1f} g of CO₂ equivalent, at {at} g a kilowatt-hour",
            ),
        ),
    )


def _lineage(report: Report, facts: CardFacts) -> CardSection:
    chain = report.base.get("lineage")
    base = facts.base_hub_id or str(report.base.get("id"))
    came = " → ".join([*map(str, chain), "this model"]) if chain else f"{base} → this model"
    entries = (
        ("came from", came),
        ("digest of the base", str(report.base.get("digest"))),
        ("created", report.created),
        ("verified by", "manifest.json, which lists the sha256 of every file"),
    )
    return CardSection("Lineage", facts=entries)
