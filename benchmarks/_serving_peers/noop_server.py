"""Answers at once: what is measured of it is the load generator, on the same two cores."""

from __future__ import annotations

import asyncio
import sys

_BODY = b'{"label":"none","probability":1.0}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, blank, body = self._data.partition(b"\r\n\r\n")
        if blank and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]):
            self._data = b""
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(
        Answering, "127.0.0.1", int(sys.argv[1])
    )
    await server.serve_forever()


asyncio.run(main())
