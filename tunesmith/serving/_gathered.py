"""A transport that sends at once what is written one after the other."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["GatheredWrites"]

_MOST_BYTES = 64 * 1024


class GatheredWrites:
    """Passes on in one write what was written since the event loop last had its turn.

    uvicorn writes the head of an answer and its body apart: two system calls, two packets, and a
    client that wakes twice. What is here goes out with `flush`, once it is as much as asyncio
    buffers before it asks for a pause, or at the loop's next turn, whichever comes first.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._num_bytes = 0

    def write(self, data: bytes) -> None:
        """Sends `data`, with what comes before the loop's next turn."""
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._num_bytes += len(data)
        if self._num_bytes >= _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Sends what was written, now."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._num_bytes = 0
            self._transport.write(data)

    def close(self) -> None:
        """Closes once all that was written is sent."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Closes at once; what was not sent yet is lost."""
        self._parts.clear()
        self._num_bytes = 0
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
