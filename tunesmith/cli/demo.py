"""`tunesmith demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.cli._options import AsJson, Host, Port


def demo(
    sample: Annotated[
        str, typer.Option(help="support_tickets, medical_triage or finance_sentiment.")
    ] = "support_tickets",
    output: Annotated[str | None, typer.Option(help="Folder for the run; new or empty.")] = None,
    serve: Annotated[bool, typer.Option(help="Serve the bundle afterwards.")] = True,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    as_json: AsJson = False,
) -> None:
    """Fine-tune the embedded base model on embedded data, report, and serve.

    Example: tunesmith demo --no-serve
    """
    from tunesmith import recipes
    from tunesmith.cli._console import ConsoleListener
    from tunesmith.cli._output import errors
    from tunesmith.cli._results import print_run
    from tunesmith.cli.serve import serve_source
    from tunesmith.samples import sample as find_sample

    if serve:
        from tunesmith.serving import check_address

        check_address(host, port)
    chosen = find_sample(sample)
    listener = ConsoleListener(errors)
    try:
        run = recipes.demo(sample, output=output, listener=listener)
    finally:
        listener.close()
    print_run(run, as_json=as_json)
    if serve:
        serve_source(run.bundle.path, host, port, example=chosen.example, as_json=as_json)
