"""`tunesmith optimize`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli._options import AsJson, BundleArgument

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.optimization import Speed
    from tunesmith.recipes import Optimized


class _Device(StrEnum):
    CPU = "cpu"
    GPU = "gpu"


def optimize(
    bundle: BundleArgument,
    device: Annotated[_Device, typer.Option("--for", help="What it will run on.")] = _Device.CPU,
    max_drop: Annotated[
        float, typer.Option(help="Points that the leading metric may drop by.", min=0, max=100)
    ] = 0.3,
    min_agreement: Annotated[
        float, typer.Option(help="Share of rows that must get the same label.", min=0, max=1)
    ] = 0.99,
    latency_ms: Annotated[
        float | None, typer.Option(help="95 of 100 single texts must take no longer.", min=0)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Labelled rows to compare on; else those it keeps."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Keep this candidate too, even where it did not pass."),
    ] = None,
    distil: Annotated[
        bool,
        typer.Option("--distil", help="Teach a model of half the layers too, and keep it if good."),
    ] = False,
    distil_layers: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="So many layers; give it twice for two students.", min=1),
    ] = None,
    distil_data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="More texts for it to learn from; labels not needed."),
    ] = None,
    distil_budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="About how long it may learn, such as 20m.")
    ] = None,
    distil_agreement: Annotated[
        float | None,
        typer.Option(help="Share of rows with its teacher's label, at least; 0.9.", min=0, max=1),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a distillation that was stopped.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the new bundle.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the fastest way to run a bundle here that keeps its answers; write it as a new bundle.

    With --distil a smaller model is taught too, made of the bundle's own layers,
    on the rows of its run. It is written where its metric drops by no more than
    --max-drop and it is faster; else the bundle's own model is.

    Example: tunesmith optimize runs/tickets/bundle

    Example: tunesmith optimize runs/tickets/bundle --distil --max-drop 1
    """
    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, print_json
    from tunesmith.cli._students import distillation
    from tunesmith.optimization import Tolerances

    listener = ConsoleListener(errors)
    try:
        result = recipes.optimize(
            bundle,
            output=output,
            device=device.value,
            data=data,
            latency_ms=latency_ms,
            tolerances=Tolerances(min_agreement=min_agreement, max_drop=max_drop),
            keep=tuple(keep or ()),
            distil=distillation(
                distil, distil_layers, distil_data, distil_budget, distil_agreement, resume
            ),
            resume=resume,
            listener=listener,
        )
    finally:
        listener.close()
    if as_json:
        print_json(result.as_dict())
        return
    _print(result)


def _print(result: Optimized) -> None:
    """The tables, what was refused and why, and what is kept."""
    from rich.text import Text

    from tunesmith.cli._output import out
    from tunesmith.cli._students import models_table, models_text

    if result.models:
        out.print("", models_table(result), "", sep="\n")
        for line in models_text(result):
            out.print(Text(line), soft_wrap=True)
    out.print("", _table(result), "", sep="\n")
    reference = result.speed[result.reference]
    if any(_gain(own, reference) == _SAME for own in result.speed.values()):
        line = f"{_SAME}: about the same as {result.reference}; which is faster varies by round"
        out.print(Text(line), soft_wrap=True)
    for name, parity in result.parity.items():
        if not parity.verified:
            out.print(Text(f"{name} is refused: {'; '.join(parity.refused_for)}"), soft_wrap=True)
        elif parity.embeddings is not None and parity.embeddings.refused_for:
            why = "; ".join(parity.embeddings.refused_for)
            out.print(Text(f"{name} answers, but gives no embeddings: {why}"), soft_wrap=True)
    for name, reason in result.reasons.items():
        out.print(Text(f"{name} was not tried: {reason}"), soft_wrap=True)
    out.print(Text(_sentence(result)), soft_wrap=True)
    out.print(Text(f"bundle  {result.bundle.path}"), soft_wrap=True)
    out.print(Text(f"serve   tunesmith serve {result.bundle.path}"), soft_wrap=True)


def _table(result: Optimized) -> Table:
    """A row a runtime, the quickest first; those that were refused last."""
    from rich import box
    from rich.table import Table

    from tunesmith.cli._output import share

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    table.add_column("runtime", no_wrap=True)
    for title in ("MB", "ms", "texts/s", "×", "same", "gap", "points"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("parity")
    reference = result.speed[result.reference]
    refused = {name for name, own in result.parity.items() if not own.verified}
    order = sorted(result.speed, key=lambda n: (n in refused, -result.speed[n].gain(reference)))
    for name in order:
        speed, parity = result.speed[name], result.parity.get(name)
        cells = ["–", "–", "–", "reference"]
        if parity is not None:
            change = "–" if parity.change is None else f"{100 * parity.change.value:+.2f}"
            cells = [
                f"{share(parity.agreement)}%",
                f"{parity.largest_difference:.3f}",
                change.replace("-", "−"),
                "passed" if parity.verified else "refused",
            ]
        table.add_row(
            name,
            f"{result.sizes[name] / 1e6:,.0f}" if name in result.sizes else "–",
            f"{speed.latency_ms:.1f}",
            f"{speed.texts_per_s:,.0f}",
            _gain(speed, reference),
            *cells,
            style="bold" if name == result.chosen else None,
        )
    return table


_SAME = "≈ 1"


def _gain(speed: Speed, reference: Speed) -> str:
    """How many times as fast, where the rounds agree that there is a difference."""
    if speed is reference:
        return "1.0"
    return f"{speed.gain(reference):.1f}" if speed.differs(reference) else _SAME


def _sentence(result: Optimized) -> str:
    """Which one is kept, and why."""
    speed, reference = result.speed[result.chosen], result.speed[result.reference]
    if result.chosen == result.reference:
        return f"{result.chosen} is kept: nothing that keeps its answers is faster here"
    parity = result.parity[result.chosen]
    how_fast = "about as fast as"
    if speed.differs(reference):
        how_fast = f"{speed.gain(reference):.1f} × as fast as"
    text = (
        f"{result.chosen} is kept: {how_fast} {result.reference}, the same label on "
        f"{parity.agreement:.2%} of {parity.num_rows:,} rows"
    )
    if parity.change is None or parity.metric is None:
        return text
    if not parity.change.has_interval:
        return text
    low, value, high = (
        f"{100 * part:+.2f}".replace("-", "−")
        for part in (parity.change.low, parity.change.value, parity.change.high)
    )
    return f"{text}, {parity.metric.replace('_', '-')} {value} points ({low} to {high})"
