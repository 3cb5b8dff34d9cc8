"""`tunesmith deploy`, `promote`, `roll-back`, `prune` and `deployments`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from tunesmith.cli._options import AsJson, BundleArgument

if TYPE_CHECKING:
    from tunesmith.bundles import Registry, Traffic

Folder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--registry", envvar="TUNESMITH_REGISTRY", metavar="FOLDER", help="Where the models lie."
    ),
]
Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="What clients call it.")]
Wait: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="Wait so long for a server to follow; exit 1 if it does not."
    ),
]

_DEFAULT = Path("registry")


def deploy(
    name: Name,
    bundle: BundleArgument,
    registry: Folder = _DEFAULT,
    canary: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Let it answer so many of the requests, as 10%."),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Ask it too, compare, and throw its answers away.")
    ] = False,
    other_task: Annotated[
        bool,
        typer.Option("--other-task", help="Allow other columns, or labels that are gone."),
    ] = False,
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """Put a bundle into a registry, and let the servers that watch it switch to it.

    Example: tunesmith deploy tickets runs/tickets/bundle --canary 10%
    """
    from rich.text import Text

    from tunesmith.bundles import Registry, open_bundle
    from tunesmith.cli._output import errors
    from tunesmith.errors import InputError

    if canary is not None and shadow:
        raise InputError("--canary and --shadow are two ways to try it", mend="give one of them")
    share = None if canary is None else _share(canary)
    store = Registry(registry)
    others = [other for other in store.names() if other != name]
    is_second = len(others) == 1 and store.traffic(name) is None
    version = store.add(name, open_bundle(bundle))
    traffic = store.deploy(name, version, share=share, shadow=shadow, allow_other_task=other_task)
    if is_second:
        errors.print(
            Text(
                f"! {registry} has two models now, {others[0]} and {name}: a request that names "
                "none is refused, unless the server was started with --default NAME",
                style="yellow",
            ),
            soft_wrap=True,
        )
    _report(store, name, traffic, wait, as_json)


def promote(
    name: Name, registry: Folder = _DEFAULT, wait: Wait = None, as_json: AsJson = False
) -> None:
    """Let the version that is tried answer all requests.

    Example: tunesmith promote tickets
    """
    from tunesmith.bundles import Registry

    store = Registry(registry)
    _report(store, name, store.promote(name), wait, as_json)


def roll_back(
    name: Name, registry: Folder = _DEFAULT, wait: Wait = None, as_json: AsJson = False
) -> None:
    """End a trial; or, where there is none, go back to the version before.

    Example: tunesmith roll-back tickets
    """
    from tunesmith.bundles import Registry

    store = Registry(registry)
    _report(store, name, store.roll_back(name), wait, as_json)


def prune(
    name: Name,
    registry: Folder = _DEFAULT,
    keep: Annotated[
        int, typer.Option(metavar="N", help="So many of the newest versions stay in any case.")
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """Remove old versions, none of which answers, is tried, or can be gone back to.

    Example: tunesmith prune tickets --keep 2
    """
    from rich.text import Text

    from tunesmith.bundles import Registry
    from tunesmith.cli._output import out, print_json

    store = Registry(registry)
    removed = store.prune(name, keep)
    if as_json:
        print_json({"name": name, "removed": removed, "versions": store.versions(name)})
    else:
        left = len(store.versions(name))
        out.print(Text(f"{name}: {', '.join(removed) or 'nothing'} removed, {left} left"))


def deployments(registry: Folder = _DEFAULT, as_json: AsJson = False) -> None:
    """Show what is wanted of each model, and what the server made of it.

    Example: tunesmith deployments
    """
    from rich.text import Text

    from tunesmith.bundles import Registry
    from tunesmith.cli._output import errors, out, print_json

    store = Registry(registry)
    found = {name: store.described(name) for name in store.names()}
    if as_json:
        print_json({"models": found})
        return
    if not found:
        errors.print(Text(f"no models in {registry}; tunesmith deploy NAME BUNDLE puts one there"))
    for name, one in found.items():
        wanted = Text(f"{name}, wanted: {_words(one['wanted'])}", style="bold")
        out.print(wanted, soft_wrap=True)
        serving = one["serving"]
        said = "nothing yet" if serving is None else _words(serving)
        out.print(Text(f"  serving: {said}"), soft_wrap=True)
        if one["fault"]:
            fault = Text(f"  the last change was not followed: {one['fault']}", style="red")
            out.print(fault, soft_wrap=True)


def _share(text: str) -> float:
    from tunesmith.errors import InputError

    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InputError(
            f"{text!r} is no share of the requests", where="--canary", mend="--canary 10%"
        )
    return share


def _report(
    store: Registry, name: str, traffic: Traffic, wait_s: float | None, as_json: bool
) -> None:
    """Says what is wanted now and, where that is waited for, what the server made of it."""
    from rich.text import Text

    from tunesmith.cli._output import errors, out, print_json

    followed = None if wait_s is None else _followed(store, name, traffic, wait_s)
    described = store.described(name)
    if as_json:
        print_json({"name": name, **described, "followed": followed})
    else:
        out.print(Text(f"{name}, wanted: {_words(described['wanted'])}"), soft_wrap=True)
        if followed is None:
            errors.print(Text("a server of this registry follows within a second", style="dim"))
        elif followed:
            out.print(Text("the server follows"))
        else:
            why = described["fault"] or f"no server followed within {wait_s:g} s"
            errors.print(Text(f"not followed: {why}", style="red"))
    if followed is False:
        raise typer.Exit(1)


def _followed(store: Registry, name: str, traffic: Traffic, wait_s: float) -> bool:
    from time import monotonic, sleep

    ends = monotonic() + wait_s
    while True:
        status = store.status(name)
        if status.tried >= traffic.change:
            return not status.fault
        if monotonic() >= ends:
            return False
        sleep(0.1)


def _words(traffic: object) -> str:
    """A change in a few words."""
    assert isinstance(traffic, dict)
    words = [f"{traffic['production']} answers"]
    if traffic["canary"]:
        canary = traffic["canary"]
        words.append(f"{canary['version']} is tried on {canary['share']:.0%} of the requests")
    if traffic["shadow"]:
        words.append(f"{traffic['shadow']} is its shadow")
    if traffic["previous"] and traffic["previous"] != traffic["shadow"]:
        words.append(f"before it {traffic['previous']}")
    return ", ".join(words)
