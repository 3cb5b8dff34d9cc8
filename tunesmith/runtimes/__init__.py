"""Loaded bundles: one file a backend, one protocol for all."""

from __future__ import annotations

from tunesmith.runtimes._answer import answer
from tunesmith.runtimes._load import REFERENCE, is_installed, load, open_runtime
from tunesmith.runtimes._processor import INT8_DOT, instructions
from tunesmith.runtimes._runtime import Runtime, Tokens

__all__ = [
    "INT8_DOT",
    "REFERENCE",
    "Runtime",
    "Tokens",
    "answer",
    "instructions",
    "is_installed",
    "load",
    "open_runtime",
]
