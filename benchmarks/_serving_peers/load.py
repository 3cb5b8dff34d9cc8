"""The load generator: one process, raw HTTP/1.1 by uvloop on connections that are kept.

    python load.py '{"port": …, "path": …, "shape": …, "texts": FILE, "seconds": …, "clients": …}'

Closed loop with "clients", each of which sends its next request when the last is answered; open
loop with "rate", requests a second at even intervals, whether or not earlier ones are answered.
Latency counts from when a request was due, so a stall of the server or of this program is counted
(coordinated omission). One object is printed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

PATIENCE_S = 10.0
"""After the last request was due, how long answers are waited for."""
GOOD_S = 1.0
"""What is answered later counts for nothing."""
MOST_CONNECTIONS = 400

SHAPES: dict[str, Callable[[str], object]] = {
    "text": lambda text: {"text": text},
    "texts": lambda text: {"texts": [text]},
    "input": lambda text: {"model": "bench", "input": [text]},
    "tensor": lambda text: {
        "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}]
    },
}


class Client(asyncio.Protocol):
    """A connection with one request on its way at most."""

    def __init__(self) -> None:
        self.done: Callable[[int], None] | None = None
        self._data = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes, done: Callable[[int], None]) -> None:
        self.done = done
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end]).lower()
        if b"transfer-encoding: chunked" in head:
            whole = self._data.endswith(b"0\r\n\r\n")
        else:
            size = int(head.split(b"content-length:")[1].split(b"\r")[0])
            whole = len(self._data) - end - 4 >= size
        if whole:
            status = int(head[9:12])
            self._data.clear()
            self._finish(status)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._finish(0)

    def _finish(self, status: int) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(status)


class Load:
    """Requests and what came of them."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._port, self._seconds = spec["port"], spec["seconds"]
        texts = json.loads(Path(spec["texts"]).read_bytes())
        self._requests = [_request(spec["path"], SHAPES[spec["shape"]](text)) for text in texts]
        self._sent = 0
        self.answers: list[tuple[float, float, int]] = []  # when due, seconds, status; 0: lost

    async def connect(self) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(Client, "127.0.0.1", self._port)
        return client

    def next(self) -> bytes:
        self._sent += 1
        return self._requests[self._sent % len(self._requests)]

    async def closed(self, clients: int) -> None:
        loop = asyncio.get_running_loop()
        ends = time.perf_counter() + self._seconds
        asked: dict[Client, float] = {}
        tasks = set()

        def ask(client: Client) -> None:
            asked[client] = time.perf_counter()
            client.send(self.next(), partial(done, client))

        def done(client: Client, status: int) -> None:
            due = asked.pop(client)
            self.answers.append((due, time.perf_counter() - due, status))
            if time.perf_counter() >= ends:
                client.transport.abort()
            elif client.transport.is_closing():
                task = loop.create_task(begin())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                ask(client)

        async def begin() -> None:
            ask(await self.connect())

        await asyncio.gather(*(begin() for _ in range(clients)))
        while time.perf_counter() < ends or (asked and time.perf_counter() < ends + PATIENCE_S):
            await asyncio.sleep(0.05)
        self.answers += [(due, PATIENCE_S, 0) for due in asked.values()]

    async def open(self, rate: float) -> None:
        idle: deque[Client] = deque()
        waiting: deque[float] = deque()
        num_open, num_due = 0, int(rate * self._seconds)
        started = time.perf_counter() + 0.1

        def give(client: Client, due: float) -> None:
            def done(status: int) -> None:
                nonlocal num_open
                self.answers.append((due, time.perf_counter() - due, status))
                if client.transport.is_closing():
                    num_open -= 1
                elif waiting:
                    give(client, waiting.popleft())
                else:
                    idle.append(client)

            client.send(self.next(), done)

        async def give_new(due: float) -> None:
            nonlocal num_open
            try:
                client = await self.connect()
            except OSError:
                num_open -= 1
                self.answers.append((due, time.perf_counter() - due, 0))
                return
            give(client, due)

        tasks = set()
        for number in range(num_due):
            due = started + number / rate
            if (left_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(left_s)
            elif number % 50 == 0:
                await asyncio.sleep(0)  # late: answers are read all the same
            while idle and idle[-1].transport.is_closing():
                idle.pop()
                num_open -= 1
            if idle:
                give(idle.pop(), due)
            elif num_open < MOST_CONNECTIONS:
                num_open += 1
                task = asyncio.create_task(give_new(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                waiting.append(due)
        last = time.perf_counter() + PATIENCE_S
        while len(self.answers) < num_due and time.perf_counter() < last:
            await asyncio.sleep(0.01)
        self.answers += [(0.0, PATIENCE_S, 0)] * (num_due - len(self.answers))


def _request(path: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


def main(spec: dict[str, Any]) -> None:
    load = Load(spec)
    cpu, started = time.process_time(), time.perf_counter()
    uvloop.run(load.open(spec["rate"]) if "rate" in spec else load.closed(spec["clients"]))
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - started
    right = sorted(taken for _, taken, status in load.answers if status == 200)
    statuses = Counter(status for _, _, status in load.answers)
    result = {
        "p50_ms": right[len(right) // 2] * 1e3 if right else None,
        "p99_ms": right[int(len(right) * 0.99)] * 1e3 if right else None,
        "rate": len(right) / (spec["seconds"] if "rate" not in spec else wall_s),
        "goodput": sum(taken <= GOOD_S for taken in right) / spec["seconds"],
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "load_us": cpu_s / max(len(load.answers), 1) * 1e6,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
