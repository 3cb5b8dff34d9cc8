"""`tunesmith info`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli._options import AsJson, BundleArgument

if TYPE_CHECKING:
    from tunesmith.bundles import Bundle, Manifest


def info(
    bundle: BundleArgument,
    card: Annotated[
        bool, typer.Option("--card", help="Print the model card, as Markdown for a hub.")
    ] = False,
    trusted_keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Fail unless a key of this file or folder signed it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a bundle is: task, base, data, figures. Every file in it is verified.

    Example: tunesmith info runs/tickets/bundle
    """
    from tunesmith.bundles import TrustedKeys, open_bundle, signers
    from tunesmith.cli._output import percent, print_facts, print_json
    from tunesmith.types import Estimate

    trusted = None if trusted_keys is None else TrustedKeys.read(trusted_keys)
    opened = open_bundle(bundle, trusted=trusted)
    manifest = opened.manifest
    if card:
        _print_card(opened, as_json=as_json)
        return
    if as_json:
        by = list(signers(opened.path))
        print_json(
            {"bundle": str(opened.path), "signed_by": by, **manifest.model_dump(mode="json")}
        )
        return
    leading = next(iter(opened.task.default_metrics))
    share = percent(Estimate.from_dict(manifest.metrics[leading]))
    labels = ", ".join(opened.task.labels[:12]) + (" …" if len(opened.task.labels) > 12 else "")
    print_facts(
        [
            ("bundle", str(opened.path)),
            ("version", opened.version),
            ("created", manifest.created),
            ("task", opened.task.name),
            ("reads", ", ".join(field.name for field in opened.task.fields)),
            ("labels", f"{len(opened.task.labels)}: {labels}"),
            ("base", f"{manifest.base.id} ({manifest.base.family})"),
            ("reads at most", f"{manifest.base.max_length} tokens"),
            ("trained on", f"{manifest.data['source']} ({_rows(manifest.data['rows'])})"),
            *_lineage(manifest),
            *_distilled(manifest),
            *_runtimes(manifest),
            (
                leading.replace("_", "-"),
                f"{share} on {_rows(manifest.metrics['num_examples'], 'test row')}",
            ),
            ("files", f"{len(manifest.files)}, all as they were written"),
            *_signers(signers(opened.path), trusted is not None),
        ]
    )


def _rows(number: int, one: str = "row") -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _signers(keys: Sequence[str], verified: bool) -> list[tuple[str, str]]:
    """Who says to have signed it; that is checked where there are trusted keys."""
    note = "one of them trusted" if verified else "not checked: --trusted-keys FILE"
    return [("signed by", f"{', '.join(keys)} ({note})")] if keys else []


def _print_card(bundle: Bundle, *, as_json: bool) -> None:
    from tunesmith.cli._output import print_json

    text = bundle.card()
    if as_json:
        print_json({"bundle": str(bundle.path), "card": text})
    else:
        print(text, end="")  # noqa: T201 - this is the command's output


def _lineage(manifest: Manifest) -> list[tuple[str, str]]:
    """The bundles that this one came from, and what it kept of what its parent could do."""
    *ancestors, own = manifest.chain()
    if not ancestors:
        return []
    chain = [f"{one.name or 'unknown'} {one.digest[:12]}" for one in (*ancestors, own)]
    facts = [("lineage", " → ".join(chain))]
    if kept := manifest.forgetting:
        before, after = (100 * kept[name]["value"] for name in ("before", "after"))
        change = f"{100 * kept['change']['value']:+.1f}".replace("-", "−")
        text = (
            f"{after:.1f} % {kept['metric'].replace('_', '-')} on {kept['num_examples']:,} test "
            f"rows of its parent, which has {before:.1f} % ({change} points)"
        )
        facts.append(("forgetting", text))
    return facts


def _distilled(manifest: Manifest) -> list[tuple[str, str]]:
    """What a student kept of its teacher."""
    found = manifest.distillation
    if found is None:
        return []
    parity = found["parity"]
    change = f"{100 * parity['change']['value']:+.1f}".replace("-", "−")
    text = (
        f"{len(found['layers'])} of {found['of_layers']} layers of its teacher "
        f"{found['teacher'][:12]}; the same label on {parity['agreement']:.1%} of "
        f"{parity['num_rows']:,} rows, {parity['metric'].replace('_', '-')} {change} points"
    )
    return [("distilled", text)]


def _runtimes(manifest: Manifest) -> list[tuple[str, str]]:
    """What the bundle can run on, the one that is preferred first."""
    found = manifest.runtimes
    if found is None:
        return []
    refused = [name for name, facts in found.kept.items() if not facts.verified]
    text = ", ".join((*found.order, *(f"{name} (did not pass)" for name in refused)))
    return [("runtimes", f"{text}; measured on {found.machine}")]
