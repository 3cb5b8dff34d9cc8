"""Who may reach a server, over what, and how often; everything else is refused."""

from __future__ import annotations

from tunesmith.serving.security._access import Access
from tunesmith.serving.security._guard import AccessGuard, require
from tunesmith.serving.security._key_file import KeyFile, default_key_file
from tunesmith.serving.security._keys import (
    SCOPES,
    Key,
    Quota,
    Scope,
    new_key,
    read_expiry,
    read_scopes,
)
from tunesmith.serving.security._login import router as login_router
from tunesmith.serving.security._openapi import document_access
from tunesmith.serving.security._proxies import TrustedProxies, read_networks
from tunesmith.serving.security._scopes import ScopeOf, admin_scope, is_open, main_scope
from tunesmith.serving.security._tls import PASSWORD_VARIABLE, Tls, TlsFiles

__all__ = [
    "PASSWORD_VARIABLE",
    "SCOPES",
    "Access",
    "AccessGuard",
    "Key",
    "KeyFile",
    "Quota",
    "Scope",
    "ScopeOf",
    "Tls",
    "TlsFiles",
    "TrustedProxies",
    "admin_scope",
    "default_key_file",
    "document_access",
    "is_open",
    "login_router",
    "main_scope",
    "new_key",
    "read_expiry",
    "read_networks",
    "read_scopes",
    "require",
]
