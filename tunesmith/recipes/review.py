"""The rows that the checks flagged, on a page where somebody decides on each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.bases import find_base
from tunesmith.checks import CHECKS, Subject
from tunesmith.data import choose_columns, read_table, sheet_of
from tunesmith.errors import ConfigError, MissingDependencyError
from tunesmith.recipes._findings import find_faults
from tunesmith.recipes._listener import Listener, Silent
from tunesmith.recipes.doctor import missing_packages

if TYPE_CHECKING:
    from tunesmith.review import Decisions, Queue

__all__ = ["OpenReview", "review"]


@dataclass(frozen=True, slots=True)
class OpenReview:
    """A review whose page answers now.

    Attributes:
        url: the page, with the token that it needs.
        corrections: the file that decisions are written to.
        num_rows, num_decided: rows that are flagged, and those of them that are decided already.
        is_alone: whether no other server has this file open.
        command: what trains on the corrected rows.
    """

    url: str
    corrections: Path
    num_rows: int
    num_decided: int
    is_alone: bool
    command: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "corrections": str(self.corrections),
            "num_rows": self.num_rows,
            "num_decided": self.num_decided,
            "is_alone": self.is_alone,
            "command": self.command,
        }


def review(
    source: str,
    *,
    target: str | None = None,
    text: Sequence[str] = (),
    base: str | None = "minilm",
    corrections: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    insecure: bool = False,
    open_browser: bool = False,
    listener: Listener | None = None,
    on_ready: Callable[[OpenReview], object] = lambda _: None,
) -> None:
    """Runs the checks, and serves a page to decide on the rows that they flag until interrupted.

    Args:
        base: the encoder that shows wrong labels and outliers; None for none.
        corrections: where decisions are kept; `<name>.corrections.csv` beside the data where None.
            What is decided there already stays.
        port: 0 picks a free one.
        insecure: whether to listen beyond loopback, without TLS.
        on_ready: called once the page answers.

    Raises:
        MissingDependencyError: what the page needs is not installed.
        OutputError: the address cannot be listened on.
        DataError: the data, or the corrections that are there, cannot be used.
        BaseModelError: the base cannot be opened.
    """
    _require_server()
    from tunesmith.review import Decisions, make_queue, serve
    from tunesmith.serving import check_address

    listener = listener or Silent()
    check_address(host, port, insecure=insecure)
    path = _corrections_of(source) if corrections is None else Path(corrections)
    encoder = None if base is None else find_base(base)
    table = read_table(source)
    columns = choose_columns(table, text=text, target=target)
    for note in (*table.notes, *columns.notes):
        listener.say(note)
    subject = Subject(table, columns.text, columns.target)
    decisions = Decisions(path, subject)
    decisions.all()  # what does not fit the data is told before the encoder takes its time
    kept = path.with_name(f".{path.name}.found")
    queue = make_queue(subject, find_faults(subject, CHECKS, encoder, listener, kept=kept))
    command = _command(source, subject, path)

    def ready(url: str, is_alone: bool) -> None:
        on_ready(_opened(url, queue, decisions, is_alone, command))

    serve(
        queue, decisions, host=host, port=port, open_browser=open_browser, command=command,
        on_ready=ready,
    )  # fmt: skip


def _opened(
    url: str, queue: Queue, decisions: Decisions, is_alone: bool, command: str
) -> OpenReview:
    decided = decisions.all()
    done = sum(item.row in decided for item in queue.items)
    return OpenReview(url, decisions.path, len(queue.items), done, is_alone, command)


def _require_server() -> None:
    if missing := missing_packages("serve"):
        what = f"the page needs what is not installed: {', '.join(missing)}"
        raise MissingDependencyError(what, mend="pip install 'tunesmith[serve]'")


def _corrections_of(source: str) -> Path:
    """Beside the data: "tickets.csv" → "tickets.corrections.csv"."""
    if source == "-" or "://" in source:
        mend = "--corrections FILE"
        raise ConfigError("say where to keep what is decided", where=source, mend=mend)
    path = Path(sheet_of(source)[0]).expanduser()
    if not path.exists():  # it is no file of this machine, or the reader will say what is wrong
        return Path(re.sub(r"[^\w.-]+", "-", source) + ".corrections.csv")
    if path.is_dir():
        path = path.resolve()
        return path.with_name(f"{path.name}.corrections.csv")
    stem = Path(path.name.removesuffix(".gz")).stem
    return path.with_name(f"{stem}.corrections.csv")


def _command(source: str, subject: Subject, path: Path) -> str:
    columns = [word for name in subject.text for word in ("--text", name)]
    target = ["--target", subject.target] if subject.target else []
    words = ["tunesmith", "train", source, *target, *columns, "--corrections", str(path)]
    return shlex.join(words)
