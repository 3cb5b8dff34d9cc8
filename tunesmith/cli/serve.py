"""`tunesmith serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli._options import AllowUnverified, AsJson, BundleArgument, Host, Port, RuntimeName


def serve(
    bundle: BundleArgument,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow addresses that other machines reach.")
    ] = False,
    runtime: RuntimeName = None,
    allow_unverified: AllowUnverified = False,
    as_json: AsJson = False,
) -> None:
    """Serve a bundle over HTTP, with a page to try it.

    Example: tunesmith serve runs/tickets/bundle --port 8080
    """
    serve_bundle(
        bundle,
        host,
        port,
        insecure=insecure,
        runtime_name=runtime,
        allow_unverified=allow_unverified,
        as_json=as_json,
    )


def serve_bundle(
    bundle: Path,
    host: str,
    port: int,
    *,
    example: str = "Write the text to classify here",
    insecure: bool = False,
    runtime_name: str | None = None,
    allow_unverified: bool = False,
    as_json: bool = False,
) -> None:
    """Serves, and says where once connections are accepted."""
    from rich.text import Text

    from tunesmith.cli._output import errors, out, print_json
    from tunesmith.runtimes import Runtime
    from tunesmith.serving import curl_line
    from tunesmith.serving import serve as serve_until_stopped

    def ready(url: str, runtime: Runtime) -> None:
        line = curl_line(url, runtime.task, example)
        if as_json:
            print_json({"url": url, "version": runtime.version, "curl": line})
            return
        out.print(Text(f"page  {url}/"))
        out.print(Text(f"docs  {url}/docs"))
        out.print(Text(f"try   {line}"), soft_wrap=True)
        errors.print(Text("Ctrl-C stops the server", style="dim"))

    errors.print(Text(f"· loading {bundle}"))
    serve_until_stopped(
        bundle,
        host=host,
        port=port,
        insecure=insecure,
        runtime_name=runtime_name,
        allow_unverified=allow_unverified,
        on_ready=ready,
    )
