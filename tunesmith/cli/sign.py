"""`tunesmith sign` and `tunesmith signing-key`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli._options import AsJson, BundleArgument


def sign(
    bundle: BundleArgument,
    key: Annotated[
        Path, typer.Option(metavar="FILE", help="Private key; tunesmith signing-key makes one.")
    ],
    as_json: AsJson = False,
) -> None:
    """Vouch for a bundle, so that servers with --trusted-keys take it.

    Every file in it is verified first.

    Example: tunesmith sign runs/tickets-fast --key release.pem
    """
    from rich.text import Text

    from tunesmith.bundles import open_bundle
    from tunesmith.bundles import sign as sign_bundle
    from tunesmith.cli._output import errors, out, print_json

    opened = open_bundle(bundle)
    if _is_open_to_others(key):
        errors.print(Text(f"! {key}: others may read this key; chmod 600 {key}", style="yellow"))
    by = sign_bundle(opened.path, opened.manifest, key)
    if as_json:
        print_json({"bundle": str(opened.path), "version": opened.version, "key": by})
    else:
        out.print(Text(f"signed {opened.version} with the key {by}"), soft_wrap=True)


def signing_key(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="For the private key, such as release.pem.")
    ],
    as_json: AsJson = False,
) -> None:
    """Make a pair of keys that bundles are signed with.

    Example: tunesmith signing-key release.pem
    """
    from rich.text import Text

    from tunesmith.bundles import make_signing_key
    from tunesmith.cli._output import errors, out, print_json

    public, identity = make_signing_key(file)
    if as_json:
        print_json({"key": identity, "private": str(file), "public": str(public)})
        return
    out.print(Text(f"key      {identity}"))
    out.print(Text(f"private  {file}"), soft_wrap=True)
    out.print(Text(f"public   {public}"), soft_wrap=True)
    errors.print(Text("· keep the private one to yourself; servers are given the public one"))


def _is_open_to_others(file: Path) -> bool:
    import os

    return os.name == "posix" and file.is_file() and bool(file.stat().st_mode & 0o077)
