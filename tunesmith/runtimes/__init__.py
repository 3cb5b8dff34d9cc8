"""Loaded bundles: one file a backend, one protocol for all."""

from __future__ import annotations

from pathlib import Path

from tunesmith.bundles import Bundle, open_bundle
from tunesmith.runtimes._answer import answer
from tunesmith.runtimes._runtime import Runtime

__all__ = ["Runtime", "answer", "load"]


def load(bundle: Bundle | Path | str) -> Runtime:
    """Verifies a bundle and loads it on the backend that fits this machine.

    Raises:
        BundleError: it is no bundle, or was changed after it was written.
    """
    from tunesmith.runtimes.torch_runtime import TorchRuntime

    return TorchRuntime(bundle if isinstance(bundle, Bundle) else open_bundle(bundle))
