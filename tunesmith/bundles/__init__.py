"""The bundle: weights, tokenizer, task, report and manifest in one immutable folder."""

from tunesmith.bundles._bundle import HELD_OUT, Bundle, is_bundle, open_bundle, write_bundle
from tunesmith.bundles._manifest import Ancestor, BaseFacts, Manifest, file_digest
from tunesmith.bundles._rows import read_rows, write_rows

__all__ = [
    "HELD_OUT",
    "Ancestor",
    "BaseFacts",
    "Bundle",
    "Manifest",
    "file_digest",
    "is_bundle",
    "open_bundle",
    "read_rows",
    "write_bundle",
    "write_rows",
]
