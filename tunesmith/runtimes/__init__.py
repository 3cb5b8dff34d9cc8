"""Loaded bundles: one file a backend, one protocol for all."""

from tunesmith.runtimes._load import REFERENCE, is_installed, load, open_runtime
from tunesmith.runtimes._processor import INT8_DOT, instructions
from tunesmith.runtimes._runtime import Runtime

__all__ = [
    "INT8_DOT",
    "REFERENCE",
    "Runtime",
    "instructions",
    "is_installed",
    "load",
    "open_runtime",
]
