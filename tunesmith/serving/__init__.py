"""Serving a loaded bundle over HTTP: one data plane, thin protocols, a page to try it on."""

from __future__ import annotations

from tunesmith.serving._serve import curl_line, serve
from tunesmith.serving.app import LOOPBACK_HOSTS, create_app
from tunesmith.serving.limits import Limits
from tunesmith.serving.server import allowed_hosts, check_address, run

__all__ = [
    "LOOPBACK_HOSTS",
    "Limits",
    "allowed_hosts",
    "check_address",
    "create_app",
    "curl_line",
    "run",
    "serve",
]
