"""Serving a loaded bundle over HTTP: one data plane, thin protocols, a page to try it on."""

from __future__ import annotations

from tunesmith.serving._options import Security
from tunesmith.serving._serve import Serving, curl_line, serve
from tunesmith.serving.access_log import logging_to
from tunesmith.serving.app import (
    LOOPBACK_HOSTS,
    Guards,
    create_admin_app,
    create_app,
    create_registry_app,
)
from tunesmith.serving.limits import Limits
from tunesmith.serving.server import Listener, allowed_hosts, check_address, run

__all__ = [
    "LOOPBACK_HOSTS",
    "Guards",
    "Limits",
    "Listener",
    "Security",
    "Serving",
    "allowed_hosts",
    "check_address",
    "create_admin_app",
    "create_app",
    "create_registry_app",
    "curl_line",
    "logging_to",
    "run",
    "serve",
]
