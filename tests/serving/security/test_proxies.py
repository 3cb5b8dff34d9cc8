"""What a proxy says of its clients counts where the proxy is trusted."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from tunesmith.errors import ConfigError
from tunesmith.serving.security import TrustedProxies, read_networks

TRUSTED = ("10.0.0.0/8", "127.0.0.1", "fd00::/8")


def seen(client: str, *headers: tuple[str, str]) -> tuple[str, str]:
    """Client and scheme as the app sees them."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    async def call() -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers]
        scope: dict[str, Any] = {"type": "http", "scheme": "http", "headers": raw}
        guard = TrustedProxies(app, networks=read_networks(TRUSTED))
        await guard({**scope, "client": (client, 1)}, None, None)  # type: ignore[arg-type]

    anyio.run(call)
    return scopes[0]["client"][0], scopes[0]["scheme"]


FORWARDED = "x-forwarded-for"


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.9", "1.2.3.4", "192.0.2.9"),  # not trusted
        ("10.1.1.1", "1.2.3.4", "1.2.3.4"),
        ("10.1.1.1", "9.9.9.9, 1.2.3.4", "1.2.3.4"),  # the first was made up by the client
        ("10.1.1.1", "9.9.9.9, 1.2.3.4, 10.2.2.2", "1.2.3.4"),
        ("10.1.1.1", "nonsense, 10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "1.2.3.4, nonsense", "10.1.1.1"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("::ffff:10.1.1.1", "1.2.3.4", "1.2.3.4"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_nearest_address_that_is_no_proxy(client: str, forwarded: str, expected: str) -> None:
    assert seen(client, (FORWARDED, forwarded))[0] == expected


def test_several_headers_are_one_list() -> None:
    assert seen("10.1.1.1", (FORWARDED, "9.9.9.9"), (FORWARDED, "1.2.3.4"))[0] == "1.2.3.4"


@pytest.mark.parametrize(
    ("client", "given", "scheme"),
    [
        ("127.0.0.1", ["https"], "https"),
        ("192.0.2.9", ["https"], "http"),
        ("127.0.0.1", ["gopher"], "http"),
        ("127.0.0.1", ["https", "http"], "http"),
    ],
)
def test_the_scheme(client: str, given: list[str], scheme: str) -> None:
    assert seen(client, *(("x-forwarded-proto", one) for one in given))[1] == scheme


def test_says_which_are_no_networks() -> None:
    with pytest.raises(ConfigError) as caught:
        read_networks(["10.0.0.1/8", "proxy.example", "10.0.0.0/8"])
    assert len(caught.value.faults) == 2
