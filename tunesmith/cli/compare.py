"""`tunesmith compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli._options import AsJson, DropMissing, IgnoreUnseen, RowGroup

if TYPE_CHECKING:
    from tunesmith.evaluation import Comparison

_MOST_SHOWN = 10
_MOST_CHARACTERS = 100


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A bundle or run folder, such as the one in use.")
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="The one that may be better.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled rows that neither has seen.")
    ],
    metric: Annotated[
        str | None, typer.Option(help="What is compared first; else the task's leading metric.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column that holds the label; else as in training.")
    ] = None,
    group: RowGroup = None,
    drop_missing: DropMissing = False,
    ignore_unseen: IgnoreUnseen = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the comparison as a web page, FILE.html.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether bundle B is better than A on labelled rows, and where they differ.

    Example: tunesmith compare runs/march/bundle runs/april/bundle test.csv
    """
    from tunesmith import recipes, storage
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, print_json

    if html is not None:
        recipes.require_page(html, data, overwrite=overwrite)
    listener = ConsoleListener(errors)
    try:
        result = recipes.compare(
            first, second, data, metric=metric, target=target, group=group,
            drop_missing=drop_missing, ignore_unseen=ignore_unseen, listener=listener,
        )  # fmt: skip
    finally:
        listener.close()
    if html is not None:
        storage.write_bytes(html, result.comparison.to_html().encode())
    if as_json:
        print_json(result.as_dict())
    else:
        _show(result.comparison, html)


def _show(comparison: Comparison, html: Path | None) -> None:
    from rich.text import Text

    from tunesmith.cli._output import comparison_table, out

    def line(text: str, style: str = "") -> None:
        out.print(Text(text, style=style), soft_wrap=True)

    line(comparison.headline(), "bold")
    out.print(comparison_table(comparison))
    if comparison.mcnemar is not None:
        test = comparison.mcnemar
        line(
            f"McNemar's test: {comparison.names[0]} alone gets {test.only_a:,} right, "
            f"{comparison.names[1]} alone {test.only_b:,}; p = {test.p_value:.3g} "
            f"(mid-p; exact {test.exact_p_value:.3g})"
        )
    for note in comparison.notes:
        line("! " + note, "yellow")
    words = {"broken": "broken", "fixed": "fixed", "other": "both wrong"}
    for change, count in comparison.counts.items():
        rows = [row for row in comparison.changed if row.change == change]
        for row in rows[:_MOST_SHOWN]:
            text = " | ".join(row.inputs)
            cut = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
            line(
                f"{words[change]}: row {row.row}, label {_shown(row.target)}: "
                f"{_shown(row.before)} → {_shown(row.after)}: {cut}"
            )
        if count > _MOST_SHOWN:
            line(f"{words[change]}: {count - _MOST_SHOWN:,} more (--json or --html has them)")
    if html is not None:
        line(f"as a page: {html}")


def _shown(target: str | tuple[str, ...]) -> str:
    return target if isinstance(target, str) else ", ".join(target) or "no label"
