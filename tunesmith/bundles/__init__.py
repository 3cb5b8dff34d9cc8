"""The bundle: weights, tokenizer, task, report and manifest in one immutable folder."""

from tunesmith.bundles._bundle import Bundle, is_bundle, open_bundle, write_bundle
from tunesmith.bundles._manifest import BaseFacts, Manifest, file_digest

__all__ = [
    "BaseFacts",
    "Bundle",
    "Manifest",
    "file_digest",
    "is_bundle",
    "open_bundle",
    "write_bundle",
]
