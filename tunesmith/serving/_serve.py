"""From a bundle's folder to a served model, in one call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from tunesmith.bundles import Bundle, open_bundle
from tunesmith.runtimes import Runtime, load
from tunesmith.serving.app import create_app
from tunesmith.serving.limits import Limits
from tunesmith.serving.server import allowed_hosts, check_address, run
from tunesmith.tasks import Task

__all__ = ["curl_line", "serve"]

_DEFAULT_LIMITS = Limits()


def serve(
    bundle: Bundle | Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    insecure: bool = False,
    limits: Limits = _DEFAULT_LIMITS,
    runtime_name: str | None = None,
    allow_unverified: bool = False,
    on_ready: Callable[[str, Runtime], None] | None = None,
) -> None:
    """Serves a bundle until SIGINT or SIGTERM.

    Args:
        bundle: the bundle, or its folder.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        insecure: whether to listen beyond loopback, where anyone may use the model.
        limits: the caps on requests.
        runtime_name, allow_unverified: see `runtimes.load`.
        on_ready: called with the base URL and the runtime once connections are accepted.

    Raises:
        OutputError: the address cannot be listened on; found before the model is loaded.
        BundleError: the bundle is missing, incomplete, or was changed.
        ConfigError: it has no runtime of that name, or one that did not pass the parity gate.
        MissingDependencyError: what its runtimes need is not installed.
    """
    check_address(host, port, insecure=insecure)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    runtime = load(opened, runtime_name, allow_unverified=allow_unverified)
    manifest = opened.manifest
    app = create_app(
        runtime,
        name=manifest.name,
        details={
            "base": manifest.base.model_dump(),
            "created": manifest.created,
            "metrics": manifest.metrics,
        },
        limits=limits,
        allowed_hosts=allowed_hosts(host),
    )

    def ready(url: str) -> None:
        if on_ready is not None:
            on_ready(url, runtime)

    run(app, host=host, port=port, on_ready=ready)


def curl_line(url: str, task: Task, example: str) -> str:
    """A command, for a POSIX shell, that asks the server at `url` about `example`."""
    names = [field.name for field in task.fields]
    item: object = example if len(names) == 1 else dict.fromkeys(names, example)
    body = json.dumps({"texts": [item]}, ensure_ascii=False)
    header = shlex.quote("content-type: application/json")
    return f"curl {shlex.quote(url + '/v1/predict')} -H {header} -d {shlex.quote(body)}"
