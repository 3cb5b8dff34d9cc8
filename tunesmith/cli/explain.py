"""`tunesmith explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli._options import AsJson, BundleArgument, DropMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunesmith.recipes import Explained, ExplainedData, Listener


def explain(
    bundle: BundleArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXTS]", help="What to explain; of a model of two texts, two by two."
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(help="Rows with the text columns, explained one by one; - is stdin."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Labelled rows: which words drive each label, and is it to be believed."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="With --data: the label's column; else as in training.")
    ] = None,
    target_label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Explain this label, given or not.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="integrated-gradients, gradient-x-input (fast) or leave-one-out.")
    ] = "integrated-gradients",
    top: Annotated[int, typer.Option(min=1, help="How many words to list.")] = 8,
    neighbours: Annotated[
        int, typer.Option(min=0, help="How many of the nearest training rows to show.")
    ] = 3,
    examples: Annotated[
        str | None, typer.Option(metavar="FILE", help="Training rows, where the bundle was moved.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="At most so many rows of a file.")] = 200,
    min_rows: Annotated[
        int, typer.Option(min=1, help="With --data: leave out words in fewer rows of a label.")
    ] = 3,
    drop_missing: DropMissing = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a web page, FILE.html.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what each word adds to an answer; without texts, which words drive each label.

    Example: tunesmith explain runs/tickets/bundle "the screen stays black"
    """
    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors, print_json
    from tunesmith.errors import ConfigError

    if data is not None and (texts or file is not None):
        mend = "leave out the texts, or --data"
        raise ConfigError("texts and --data were both given", mend=mend)
    if html is not None:
        recipes.require_page(html, data or file or "", overwrite=overwrite)
    listener = ConsoleListener(errors)
    result: Explained | ExplainedData
    try:
        if texts or file is not None:
            chosen: dict[str, Any] = {"neighbours": neighbours, "examples": examples}
            result = _explain_texts(
                bundle, texts or [], listener,
                file=file, label=target_label, method=method, max_rows=rows, **chosen,
            )  # fmt: skip
        else:
            result = recipes.explain_data(
                bundle, data, target=target, label=target_label, drop_missing=drop_missing,
                method=method, max_rows=rows, min_rows=min_rows, listener=listener,  # type: ignore[arg-type]
            )  # fmt: skip
    finally:
        listener.close()
    if html is not None:
        result.write_page(html, num_words=top, overwrite=overwrite)
    if as_json:
        print_json({**result.as_dict(), **({} if html is None else {"html": str(html)})})
    else:
        _show(result, top, html)


def _explain_texts(
    bundle: Path, texts: Sequence[str], listener: Listener, **chosen: Any
) -> Explained:
    """Texts as the model's fields take them: one by one, or as many as it has columns."""
    from tunesmith import recipes
    from tunesmith.bundles import open_bundle
    from tunesmith.errors import DataError

    opened = open_bundle(bundle)
    names = [field.name for field in opened.task.fields]
    if len(texts) % len(names):
        raise DataError(
            f"the model reads {len(names)} texts at a time, and {len(texts)} were given",
            mend=f"give them in the order {', '.join(names)}",
        )
    items = [texts[start : start + len(names)] for start in range(0, len(texts), len(names))]
    return recipes.explain(opened, items, listener=listener, **chosen)


def _show(result: Explained | ExplainedData, top: int, html: Path | None) -> None:
    from rich.text import Text

    from tunesmith.cli._explanations import print_texts, print_view
    from tunesmith.cli._output import out
    from tunesmith.recipes import Explained

    if isinstance(result, Explained):
        print_texts(result.texts, top)
    else:
        print_view(result.view, result.source, top)
    if html is not None:
        out.print(Text(f"as a page: {html}"), soft_wrap=True)
