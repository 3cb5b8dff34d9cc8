"""From a queue to a page in the browser."""

from __future__ import annotations

import secrets
import threading
import webbrowser
from collections.abc import Callable

from tunesmith.review._decisions import Decisions
from tunesmith.review._queue import Queue
from tunesmith.review.app import create_app
from tunesmith.serving import allowed_hosts, run

__all__ = ["serve"]


def serve(
    queue: Queue,
    decisions: Decisions,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    command: str = "",
    on_ready: Callable[[str, bool], object] = lambda _url, _alone: None,
) -> None:
    """Serves the page until SIGINT or SIGTERM.

    Args:
        host: a name or an address of this machine; see `tunesmith.serving.check_address`.
        port: 0 picks a free one.
        open_browser: whether to open the page.
        command: what to do with the corrections, shown when all rows are decided.
        on_ready: called with the page's address once it answers, and with whether no other server
            has the corrections file open.

    Raises:
        OutputError: the port is taken or not permitted, or no file can be made beside the
            corrections.
    """
    token = secrets.token_urlsafe(32)
    app = create_app(
        queue, decisions, token=token, allowed_hosts=allowed_hosts(host), command=command
    )
    with decisions.in_use() as is_alone:

        def ready(url: str) -> None:
            page = f"{url}/{token}/"
            on_ready(page, is_alone)
            if open_browser:
                # A text browser would not return before it is closed.
                threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

        run(app, host=host, port=port, on_ready=ready)
