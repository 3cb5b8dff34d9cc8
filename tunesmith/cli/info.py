"""`tunesmith info`."""

from __future__ import annotations

from tunesmith.cli._options import AsJson, BundleArgument


def info(bundle: BundleArgument, as_json: AsJson = False) -> None:
    """Show what a bundle is: task, base, data, figures. Every file in it is verified.

    Example: tunesmith info runs/tickets/bundle
    """
    from tunesmith.bundles import open_bundle
    from tunesmith.cli._output import percent, print_facts, print_json
    from tunesmith.types import Estimate

    opened = open_bundle(bundle)
    manifest = opened.manifest
    if as_json:
        print_json({"bundle": str(opened.path), **manifest.model_dump(mode="json")})
        return
    leading = next(iter(opened.task.default_metrics))
    share = percent(Estimate(**manifest.metrics[leading]))
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
            ("trained on", f"{manifest.data['source']} ({manifest.data['rows']:,} rows)"),
            (
                leading.replace("_", "-"),
                f"{share} on {manifest.metrics['num_examples']:,} test rows",
            ),
            ("files", f"{len(manifest.files)}, all as they were written"),
        ]
    )
