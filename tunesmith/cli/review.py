"""`tunesmith review`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli._options import AsJson, Base, Host, Port, Target, Text

if TYPE_CHECKING:
    from tunesmith.recipes import OpenReview


def review(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled rows: csv, tsv, jsonl, parquet, xlsx.")
    ],
    target: Target = None,
    text: Text = None,
    base: Base = None,
    model: Annotated[
        bool, typer.Option("--model/--no-model", help="Look for wrong labels with the base.")
    ] = True,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where decisions are kept; else NAME.corrections.csv beside DATA."
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 0,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow addresses that other machines reach.")
    ] = False,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Walk through flagged rows in the browser: keep, relabel, drop; then train --corrections.

    Example: tunesmith review tickets.csv --target team
    """
    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors

    listener = ConsoleListener(errors)

    def ready(opened: OpenReview) -> None:
        listener.close()
        _show(opened, insecure=insecure, as_json=as_json)

    try:
        recipes.review(
            data, target=target, text=text or (), base=(base or "minilm") if model else None,
            corrections=corrections, host=host, port=port, insecure=insecure,
            open_browser=open_page, listener=listener, on_ready=ready,
        )  # fmt: skip
    finally:
        listener.close()


def _show(opened: OpenReview, *, insecure: bool, as_json: bool) -> None:
    import sys

    from rich.text import Text as Line

    from tunesmith.checks import counted
    from tunesmith.cli._output import errors, out, print_json

    if insecure:
        warning = "there is no TLS: who can read the network can read the rows, and decide"
        errors.print(Line(f"! {warning}", style="yellow"), soft_wrap=True)
    if not opened.is_alone:
        warning = (
            f"another review has {opened.corrections} open: both write to it, and each keeps what "
            "the other decides"
        )
        errors.print(Line(f"! {warning}", style="yellow"), soft_wrap=True)
    if as_json:
        print_json(opened.as_dict())
    else:
        rows = counted(opened.num_rows, "row is", "rows are")
        out.print(f"{rows} flagged, {opened.num_decided:,} of them decided", soft_wrap=True)
        out.print(Line(f"page   {opened.url}"), soft_wrap=True)
        out.print(Line(f"saves  {opened.corrections}"), soft_wrap=True)
        out.print(Line(f"then   {opened.command}"), soft_wrap=True)
        errors.print(Line("Ctrl-C stops the server; each decision is saved at once", style="dim"))
    sys.stdout.flush()
