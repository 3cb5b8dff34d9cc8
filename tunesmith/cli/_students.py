"""What `tunesmith optimize` is told of students, and how it shows them beside their teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from tunesmith.cli._output import percent, share
from tunesmith.config import parse_duration
from tunesmith.errors import ConfigError, Fault

if TYPE_CHECKING:
    from tunesmith.recipes import Distillation, ModelFigures, Optimized
    from tunesmith.types import Estimate

__all__ = ["distillation", "models_table", "models_text"]


def distillation(
    distil: bool,
    layers: Sequence[int] | None,
    data: str | None,
    budget: str | None,
    agreement: float | None,
    resume: bool,
) -> Distillation | None:
    """What students are asked for; None: none are.

    Raises:
        ConfigError: something is said of students, and none are asked for; or the time is none.
    """
    from tunesmith.recipes import Distillation

    if not distil and not layers:
        given = {
            "--distil-data": data, "--distil-budget": budget, "--distil-agreement": agreement,
            "--resume": resume or None,
        }  # fmt: skip
        faults = [
            Fault("goes with a distillation", name, "--distil, or --distil-layers N")
            for name, value in given.items()
            if value is not None
        ]
        if faults:
            raise ConfigError.of(faults)
        return None
    try:
        budget_s = None if budget is None else float(str(parse_duration(budget)))
    except ValueError as error:
        raise ConfigError(str(error), where="--distil-budget") from error
    wanted = Distillation(tuple(layers or ()), data, budget_s)
    return wanted if agreement is None else replace(wanted, min_agreement=agreement)


def models_table(result: Optimized) -> Table:
    """A row a model, each with its best runtime; the one that is kept in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    table.add_column("model", no_wrap=True)
    metric = result.models[0].metric.replace("_", "-")
    for title in ("layers", metric, "same", "MB", "ms", "texts/s"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("runtime", overflow="fold")
    for own in result.models:
        speed, parity = own.speed, own.parity
        table.add_row(
            own.name,
            str(own.num_layers),
            percent(own.value),
            "–" if parity is None else f"{share(parity.agreement)}%",
            "–" if own.size_bytes is None else f"{own.size_bytes / 1e6:,.0f}",
            "–" if speed is None else f"{speed.latency_ms:.1f}",
            "–" if speed is None else f"{speed.texts_per_s:,.0f}",
            _runtime(own),
            style="bold" if own.name == result.model else None,
        )
    return table


def _runtime(own: ModelFigures) -> str:
    if own.parity is not None and not own.parity.verified:
        return "refused"
    return own.runtime or "not fast enough"


def models_text(result: Optimized) -> Iterator[str]:
    """Why students were refused, which model is kept, and why."""
    teacher, *students = result.models
    for own in students:
        assert own.parity is not None
        if own.parity.refused_for:
            reasons = "; ".join(own.parity.refused_for)
            yield f"{own.name} is refused: {reasons} (change {_points(own.parity.change)})"
    kept = next(own for own in result.models if own.name == result.model)
    if kept.parity is None:
        slow = [own.name for own in students if own.parity is not None and own.parity.verified]
        why = "no student passed the gate"
        if slow:
            why = f"{' and '.join(slow)} passed the gate, and no such student is faster here"
        yield f"the {teacher.name} is kept: {why}"
        return
    times = ""
    if kept.speed is not None and teacher.speed is not None:
        times = f"{kept.speed.gain(teacher.speed):.1f} × as fast as its teacher's best runtime, "
    yield (
        f"{kept.name} is kept: {times}{kept.metric.replace('_', '-')} "
        f"{_points(kept.parity.change)} on {kept.parity.num_rows:,} rows, the same label on "
        f"{kept.parity.agreement:.1%}"
    )


def _points(change: Estimate) -> str:
    """ "−0.40 points (−0.90 to +0.10)"."""
    value, low, high = (
        f"{100 * part:+.2f}".replace("-", "−") for part in (change.value, change.low, change.high)
    )
    return f"{value} points ({low} to {high})"
