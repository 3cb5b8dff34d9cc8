"""`tunesmith keys`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from tunesmith.cli._options import AsJson

if TYPE_CHECKING:
    from tunesmith.serving.security import Key, KeyFile

keys = typer.Typer(
    name="keys",
    help="Make and revoke the keys of tunesmith serve; a running server follows within a second.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)

File: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FILE",
        help="Else $TUNESMITH_KEYS, or tunesmith/keys.json among your settings.",
    ),
]
Which: TypeAlias = Annotated[str, typer.Argument(metavar="KEY", help="A key's id or name.")]


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="Who or what uses it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="predict, explain, metrics, admin; default: predict and explain."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="90d, 12h, 2027-03-31; default: never.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests a second.")] = None,
    burst: Annotated[int | None, typer.Option(help="Requests at once.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Tokens read in a minute.")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(help="Tokens read in a day.")] = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Make a key; it is shown once, and kept nowhere.

    Example: tunesmith keys create --name billing --expires 90d --rate 10
    """
    from datetime import UTC, datetime

    from tunesmith.serving.security import Quota, read_expiry, read_scopes

    ends = None if expires is None else read_expiry(expires, datetime.now(UTC))
    made, text = _file(file).create(
        name,
        scopes=read_scopes(scope or ["predict", "explain"]),
        expires=ends,
        quota=Quota(rate, burst, tokens_per_minute, tokens_per_day),
    )
    _show(made, text, as_json=as_json)


@keys.command("list")
def list_keys(file: File = None, as_json: AsJson = False) -> None:
    """Show all keys, without what opens them."""
    from tunesmith.cli._output import errors, out, print_json

    kept = _file(file)
    found = kept.read()
    if kept.is_open_to_others:
        errors.print(f"! {kept.path}: others may open this file; chmod 600 {kept.path}")
    if as_json:
        print_json({"file": str(kept.path), "keys": [_facts(key) for key in found]})
    elif not found:
        gone = "" if kept.path.exists() else ": there is no such file"
        out.print(f"no keys in {kept.path}{gone}", soft_wrap=True, markup=False)
    else:
        out.print(_table(found))


@keys.command()
def revoke(key: Which, file: File = None, as_json: AsJson = False) -> None:
    """Make a key useless, at once.

    Example: tunesmith keys revoke billing
    """
    from tunesmith.cli._output import out, print_json

    gone = _file(file).revoke(key)
    if as_json:
        print_json(_facts(gone))
    else:
        out.print(f"revoked {gone.id} ({gone.name})", soft_wrap=True, markup=False)


@keys.command()
def rotate(
    key: Which,
    grace: Annotated[
        str, typer.Option(metavar="PERIOD", help="How long the old key still works; 0: not at all.")
    ] = "24h",
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Make a key that may do the same, and let the old one end.

    Example: tunesmith keys rotate billing --grace 7d
    """
    from datetime import UTC, datetime, timedelta

    from tunesmith.serving.security import read_expiry

    now = datetime.now(UTC)
    period = timedelta() if grace.strip() == "0" else read_expiry(grace, now, "--grace") - now
    made, text = _file(file).rotate(key, grace=period)
    _show(made, text, as_json=as_json)


def _file(given: Path | None) -> KeyFile:
    from tunesmith.serving.security import KeyFile, default_key_file

    return KeyFile(default_key_file() if given is None else given)


def _show(made: Key, text: str, *, as_json: bool) -> None:
    from rich.text import Text

    from tunesmith.cli._output import errors, out, print_json

    if as_json:
        print_json({**_facts(made), "key": text})
        return
    out.print(Text(text), soft_wrap=True)
    errors.print(Text(f"· the key {made.name!r}; this is the only time that it is shown"))


def _facts(key: Key) -> dict[str, Any]:
    from dataclasses import asdict
    from datetime import UTC, datetime

    ends = None if key.expires is None else key.expires.isoformat()
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(datetime.now(UTC)),
        "scopes": list(key.scopes),
        "created": key.created.isoformat(),
        "expires": ends,
        **asdict(key.quota),
    }


def _table(found: tuple[Key, ...]) -> Any:
    from datetime import UTC, datetime

    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("id", "name", "state", "scopes", "expires", "quota"):
        table.add_column(title, no_wrap=title == "id")
    now = datetime.now(UTC)
    for key in found:
        ends = "never" if key.expires is None else f"{key.expires:%Y-%m-%d %H:%M}"
        cells = (key.id, key.name, key.state(now), " ".join(key.scopes), ends, _quota(key))
        table.add_row(*map(Text, cells))
    return table


def _quota(key: Key) -> str:
    quota = key.quota
    parts = [
        f"{quota.rate:g}/s" if quota.rate is not None else "",
        f"{quota.burst:,} at once" if quota.burst is not None else "",
        f"{quota.tokens_per_minute:,} tokens/min" if quota.tokens_per_minute is not None else "",
        f"{quota.tokens_per_day:,} tokens/day" if quota.tokens_per_day is not None else "",
    ]
    return ", ".join(part for part in parts if part) or "–"
