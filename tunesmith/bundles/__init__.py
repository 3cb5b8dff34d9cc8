"""The bundle: weights, tokenizer, task, report and manifest in one immutable folder."""

from tunesmith.bundles._bundle import HELD_OUT, Bundle, is_bundle, open_bundle, write_bundle
from tunesmith.bundles._golden import GOLDEN, Golden, golden_inputs
from tunesmith.bundles._manifest import FORMAT_VERSION, Ancestor, BaseFacts, Manifest, file_digest
from tunesmith.bundles._mirror import MirroredRegistry
from tunesmith.bundles._registry import Registry, is_url
from tunesmith.bundles._rows import read_rows, write_rows
from tunesmith.bundles._runtimes import RuntimeFacts, Runtimes, TokenizerFacts
from tunesmith.bundles._signature import (
    SIGNATURE,
    SIGNING_PASSWORD,
    TrustedKeys,
    make_signing_key,
    sign,
    signers,
)
from tunesmith.bundles._traffic import Canary, Status, Traffic

__all__ = [
    "FORMAT_VERSION",
    "GOLDEN",
    "HELD_OUT",
    "SIGNATURE",
    "SIGNING_PASSWORD",
    "Ancestor",
    "BaseFacts",
    "Bundle",
    "Canary",
    "Golden",
    "Manifest",
    "MirroredRegistry",
    "Registry",
    "RuntimeFacts",
    "Runtimes",
    "Status",
    "TokenizerFacts",
    "Traffic",
    "TrustedKeys",
    "file_digest",
    "golden_inputs",
    "is_bundle",
    "is_url",
    "make_signing_key",
    "open_bundle",
    "read_rows",
    "sign",
    "signers",
    "write_bundle",
    "write_rows",
]
