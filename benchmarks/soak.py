"""Hours of mixed load on one server: is memory flat, are descriptors left behind, is all answered?

    python benchmarks/soak.py A B --minutes 60 --results soak.jsonl --figure soak.svg
    python benchmarks/soak.py --report soak.jsonl --figure soak.svg

A and B are two versions of one model, bundles of `tunesmith optimize` that read one text. The
server is `tunesmith serve --registry` in a process of its own, with TLS, keys, a result cache,
gRPC, an access log and traces. Requests of all kinds (`_soak/traffic.py`) come at a fixed mean rate
from when they were due, over connections that are kept and over new ones. Every 50 s something is
deployed, promoted or rolled back: six steps, five minutes a round. Every 5 s memory, descriptors
and threads are noted. The results file is one JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_soak"))

from traffic import Target, Traffic
from verdict import draw, tell, verdict

NAME = "soak"
SAMPLE_S = 5.0
SWAP_S = 50.0
START_S = 120.0
QUIET_S = 80.0
"""Longer than the server keeps an idle connection, and than it waits for a body."""
_TUNESMITH = [sys.executable, "-m", "tunesmith"]


class Results:
    """Rows, kept line by line."""

    def __init__(self, file: Path) -> None:
        self.rows: list[dict[str, Any]] = []
        self._file = file.open("w", buffering=1, encoding="utf-8")
        self._started = time.monotonic()

    def start(self) -> None:
        self._started = time.monotonic()

    def add(self, event: str, **row: Any) -> None:
        own = {"event": event, "at_s": round(time.monotonic() - self._started, 2), **row}
        self.rows.append(own)
        self._file.write(json.dumps(own) + "\n")


def sample(process: int) -> dict[str, Any]:
    """What a process holds: MB of memory, descriptors by kind, threads, seconds of processor."""
    proc = Path("/proc") / str(process)
    status = dict(
        line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
    )
    rollup = (proc / "smaps_rollup").read_text().split()
    kinds = []
    for link in (proc / "fd").iterdir():
        try:
            kinds.append(str(link.readlink()))
        except OSError:  # closed meanwhile
            continue
    times = (proc / "stat").read_text().rpartition(")")[2].split()
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "anonymous_mb": int(status["RssAnon"].split()[0]) / 1024,
        "pss_mb": int(rollup[rollup.index("Pss:") + 1]) / 1024,
        "descriptors": len(kinds),
        "sockets": sum(kind.startswith("socket:") for kind in kinds),
        "threads": int(status["Threads"]),
        "cpu_s": sum(map(int, times[11:13])) / os.sysconf("SC_CLK_TCK"),
    }


def command(*words: object) -> str:
    """What a command of tunesmith prints."""
    done = subprocess.run(
        [*_TUNESMITH, *map(str, words)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def certificate(folder: Path) -> bytes:
    """A certificate of its own for this machine."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", folder / "tls.key", "-out", folder / "tls.crt"),
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "tls.crt").read_bytes()


@contextmanager
def collector() -> Iterator[str]:
    """Takes traces, and throws them away."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def running(work: Path, otlp: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The server, and what it says of itself."""
    options = ["--registry", work / "registry", "--keys", work / "keys.json", "--port", "0"]
    options += ["--grpc-port", "0", "--admin-port", "0", "--cache", "500", "--otlp", otlp]
    options += ["--tls-cert", work / "tls.crt", "--tls-key", work / "tls.key"]
    options += ["--log-format", "json", "--log-file", work / "access.log", "--json"]
    with (work / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*_TUNESMITH, "serve", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        lines = ""
        ends = time.monotonic() + START_S
        while True:
            line = process.stdout.readline()
            lines += line
            try:
                facts: dict[str, Any] = json.loads(lines)
                break
            except ValueError:
                if not line or time.monotonic() > ends:
                    raise SystemExit((work / "server.log").read_text()) from None
        yield process, facts
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def swap(results: Results, work: Path, bundles: list[Path], stop: asyncio.Event) -> None:
    """Deployments, until it is stopped and what served first serves again, alone.

    Each step is a command of its own, which waits until the server has followed.
    """
    first, second = bundles
    steps: list[list[object]] = [
        ["deploy", NAME, second],
        ["roll-back", NAME],
        ["deploy", NAME, second, "--canary", "20%"],
        ["promote", NAME],
        ["deploy", NAME, first, "--shadow"],
        ["promote", NAME],
    ]
    loop = asyncio.get_running_loop()
    number, due = 0, loop.time() + SWAP_S
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, due - loop.time()))
        due += SWAP_S
        if stop.is_set() and number % len(steps) == 0:
            return
        words = [*steps[number % len(steps)], "--registry", work / "registry", "--wait", 40]
        process = await asyncio.create_subprocess_exec(
            *_TUNESMITH,
            *map(str, words),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        ok = process.returncode == 0
        more = {} if ok else {"said": said.decode()[-500:]}
        results.add("swap", step=str(words[0]), ok=ok, **more)
        for name in ("tls.crt", "keys.json"):  # as if renewed: both are read again
            copy = work / f"{name}.new"
            copy.write_bytes((work / name).read_bytes())
            copy.chmod(0o600)
            copy.replace(work / name)
        number += 1


async def watch(results: Results, process: int) -> None:
    while True:
        results.add("sample", **sample(process))
        await asyncio.sleep(SAMPLE_S)


async def load(traffic: Traffic, rate: float, seconds: float) -> None:
    """Requests at random intervals (Poisson), each from when it was due."""
    drawn = random.Random(1)
    loop = asyncio.get_running_loop()
    due = loop.time()
    ends = due + seconds
    tasks = set()
    while due < ends:
        due += drawn.expovariate(rate)
        await asyncio.sleep(due - loop.time())
        task = asyncio.create_task(traffic.one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def soak(given: argparse.Namespace, work: Path, otlp: str, results: Results) -> None:
    trusted = certificate(work)
    keys = {}
    for scope in ("admin", "predict"):
        made = command("keys", "create", "--name", scope, "--scope", scope, "--json")
        keys[scope] = json.loads(made)["key"]
    command("deploy", NAME, given.bundles[0], "--registry", work / "registry")
    with running(work, otlp) as (process, facts):
        target = Target(
            url=facts["url"],
            grpc=facts["grpc"],
            name=NAME,
            key=keys["admin"],
            weak_key=keys["predict"],
            certificate=trusted,
            texts=texts(),
            coverage=given.coverage,
        )
        traffic = Traffic(target, lambda row: results.add("wrong", **row))
        await traffic.ready(START_S)
        results.start()
        for _ in range(200):  # every kind has been there once, more or less
            await traffic.one()
        await traffic.rest()
        await asyncio.sleep(given.quiet_s)
        results.add("quiet", when="before", **sample(process.pid))
        results.start()
        stop = asyncio.Event()
        watching = asyncio.create_task(watch(results, process.pid))
        swapping = asyncio.create_task(swap(results, work, given.bundles, stop))
        await load(traffic, given.rate, given.minutes * 60)
        watching.cancel()
        stop.set()
        await swapping
        await traffic.rest()
        await asyncio.sleep(given.quiet_s)
        results.add("quiet", when="after", **sample(process.pid))
    results.add(
        "counts",
        counts=[
            {"protocol": protocol, "kind": kind, "outcome": outcome, "num": num}
            for (protocol, kind, outcome), num in sorted(traffic.counts.items())
        ],
        versions=sorted(traffic.versions),
        exit_code=process.returncode,
        faults=(work / "server.log").read_text()[-2000:],
    )


def texts(num: int = 60) -> tuple[str, ...]:
    """Short rows of the sample, and a few that are long enough to be cut."""
    from tunesmith import samples

    file = Path(samples.__file__).parent / "finance_sentiment.csv"
    with file.open(encoding="utf-8") as opened:
        rows = [row["text"].strip() for row in csv.DictReader(opened)]
    short = [row for row in rows if 20 < len(row) < 150][:num]
    return (*short, *(" ".join(rows[at : at + 12]) for at in (100, 200)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=12.0, help="requests a second")
    parser.add_argument("--coverage", type=float, default=0.9, help="one that both bundles have")
    parser.add_argument("--quiet-s", type=float, default=QUIET_S)
    parser.add_argument("--results", type=Path, default=Path("soak.jsonl"))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--report", type=Path, help="of a run that is over")
    given = parser.parse_args()
    if given.report is not None:
        rows = [json.loads(line) for line in given.report.read_text().splitlines()]
    else:
        if len(given.bundles) != 2:
            parser.error("two bundles, please: two versions of one model")
        results = Results(given.results)
        with tempfile.TemporaryDirectory() as folder, collector() as otlp:
            os.environ["TUNESMITH_KEYS"] = str(Path(folder) / "keys.json")
            asyncio.run(soak(given, Path(folder), otlp, results))
        results.add(**verdict(results.rows))
        rows = results.rows
    print(tell(verdict(rows), rows))
    if given.figure is not None:
        draw(rows, given.figure)


if __name__ == "__main__":
    main()
