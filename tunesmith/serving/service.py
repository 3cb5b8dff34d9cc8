"""From a bundle's folder to a running server, in one call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tunesmith.bundles import Bundle, open_bundle
from tunesmith.runtimes import Runtime, load
from tunesmith.serving.app import create_app
from tunesmith.serving.limits import Limits
from tunesmith.serving.server import allowed_hosts, check_address, run
from tunesmith.tasks import Task

__all__ = ["curl_line", "serve"]


def serve(
    bundle: Bundle | Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    insecure: bool = False,
    limits: Limits | None = None,
    on_ready: Callable[[str, Runtime], None] | None = None,
) -> None:
    """Verifies and loads a bundle, and serves it until SIGINT or SIGTERM.

    Args:
        host: loopback, unless `insecure` accepts that all who reach the machine may use the model.
        port: 0 takes a free one.
        on_ready: called with the base URL and the runtime once connections are accepted.

    Raises:
        OutputError: the address cannot or may not be listened on; nothing was loaded.
        BundleError: the bundle is missing or was changed.
    """
    check_address(host, port, insecure=insecure)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    runtime = load(opened)
    app = create_app(
        runtime,
        name=opened.manifest.name,
        details=details_of(opened),
        limits=limits or Limits(),
        allowed_hosts=allowed_hosts(host),
    )

    def ready(url: str) -> None:
        if on_ready is not None:
            on_ready(url, runtime)

    run(app, host=host, port=port, on_ready=ready)


def details_of(bundle: Bundle) -> Mapping[str, object]:
    """What `GET /v1/info` and the page tell of a bundle; no paths, no rows."""
    manifest = bundle.manifest
    return {
        "created": manifest.created,
        "base": {"id": Path(manifest.base.id).name, "family": manifest.base.family},
        "metrics": manifest.metrics,
        "digest": manifest.digest,
        "versions": manifest.versions,
    }


def curl_line(url: str, task: Task, example: str) -> str:
    """A command that asks the server at `url`, to be pasted into a shell."""
    text: str | list[str] = example if len(task.fields) == 1 else [example] * len(task.fields)
    body = json.dumps({"texts": [text]}, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -s {url}/v1/predict -H 'content-type: application/json' -d '{body}'"
