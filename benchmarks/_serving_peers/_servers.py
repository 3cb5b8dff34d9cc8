"""How each server is started and asked."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_START_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that is measured.

    Attributes:
        name: what tables call it.
        packages: what its environment holds.
        command: how it is started; the words in capitals are filled in, alone or before a "/".
        path: where requests go.
        shape: their body, by `load.SHAPES`.
        graph: whether it runs the bundle's int8 graph, rather than torch in float32.
    """

    name: str
    packages: tuple[str, ...]
    command: str
    path: str
    shape: str
    graph: bool = True


_ONNX = ("onnxruntime", "tokenizers", "numpy")
SERVERS = (
    Server(
        "tunesmith",
        (),
        "PYTHON -m tunesmith serve BUNDLE --port PORT --no-auth --log-format off --max-wait 0.5 "
        "--runtime onnx-int8 --allow-unverified",
        "/v1/predict",
        "texts",
    ),
    Server(
        "litserve",
        ("litserve", *_ONNX),
        "PYTHON HERE/litserve_server.py PORT",
        "/predict",
        "text",
    ),
    Server(
        "bentoml",
        ("bentoml", *_ONNX),
        "BIN/bentoml serve bentoml_server:Classify --port PORT --host 127.0.0.1 --working-dir HERE",
        "/predict",
        "texts",
    ),
    Server(
        "mlserver",
        ("mlserver", *_ONNX),
        "BIN/mlserver start WORK/mlserver",
        "/v2/models/bench/infer",
        "tensor",
    ),
    Server(
        "infinity",
        ("torch==2.13.0", "infinity-emb[server,torch]"),
        "BIN/infinity_emb v2 --model-id HUB --served-model-name bench --port PORT "
        "--host 127.0.0.1 --engine torch --device cpu --dtype float32 --no-bettertransformer "
        "--no-trust-remote-code",
        "/classify",
        "input",
        graph=False,
    ),
    Server(
        "pipeline",
        ("torch==2.13.0", "transformers", "fastapi", "uvicorn"),
        "PYTHON HERE/pipeline_server.py PORT",
        "/predict",
        "text",
        graph=False,
    ),
    Server("noop", (), "PYTHON HERE/noop_server.py PORT", "/", "text"),
)


def python_of(name: str, peers: Path) -> Path:
    """The interpreter that a server runs on: ours for what needs no environment of its own."""
    own = peers / name / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def install(server: Server, peers: Path) -> None:
    """Makes a peer's environment, where it is not there."""
    if not server.packages or (peers / server.name).exists():
        return
    subprocess.run([sys.executable, "-m", "venv", peers / server.name], check=True)
    pip = [python_of(server.name, peers), "-m", "pip", "install", "-q", *server.packages]
    subprocess.run(pip, check=True)


def versions(server: Server, peers: Path) -> dict[str, str]:
    """The versions of the packages in a server's environment that matter."""
    code = (
        "import importlib.metadata as m, json; found = {}\n"
        "for name in ('litserve bentoml mlserver infinity-emb fastapi uvicorn transformers torch "
        "onnxruntime tokenizers tunesmith').split():\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [python_of(server.name, peers), "-c", code], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@contextmanager
def running(
    server: Server, bundle: Path, hub: Path, work: Path, peers: Path, text: str
) -> Iterator[int]:
    """A server that has answered one request right; gives its port, and ends it afterwards."""
    port = _free_port()
    if server.name == "mlserver":
        _write_mlserver(work / "mlserver", port)
    python = python_of(server.name, peers)
    values = {
        "BIN": str(python.parent),
        "BUNDLE": str(bundle),
        "HERE": str(HERE),
        "HUB": str(hub),
        "PORT": str(port),
        "PYTHON": str(python),
        "WORK": str(work),
    }
    command = []
    for word in server.command.split():
        head, slash, rest = word.partition("/")
        command.append(values.get(head, head) + slash + rest)
    paths = [str(HERE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env = {
        **os.environ,
        "BENCH_BUNDLE": str(bundle if server.graph else hub.parent),
        "PYTHONPATH": os.pathsep.join(paths if server.name == "tunesmith" else paths[:1]),
        "HF_HUB_OFFLINE": "1",
        "BENTOML_DO_NOT_TRACK": "true",
        "DO_NOT_TRACK": "1",
    }
    log = work / f"{server.name}.log"
    with log.open("ab") as opened:
        process = subprocess.Popen(
            command, stdout=opened, stderr=opened, env=env, start_new_session=True
        )
    try:
        _wait(server, port, text, process, log)
        yield port
    finally:
        _end(process)


def ask(server: Server, port: int, text: str) -> str:
    """One request's answer, whatever its shape."""
    from load import SHAPES

    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{server.path}",
        json.dumps(SHAPES[server.shape](text)).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: str = answer.read().decode()
    return content


def _wait(
    server: Server, port: int, text: str, process: subprocess.Popen[bytes], log: Path
) -> None:
    ends = time.monotonic() + _START_S
    while True:
        try:
            ask(server, port, text)
            return
        except OSError as error:  # not there yet, or 503 while it loads
            if process.poll() is not None or time.monotonic() > ends:
                tail = log.read_text(errors="replace")[-2000:]
                raise SystemExit(f"{server.name} did not start: {error}\n{tail}") from error
            time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the server and the processes that it started, which share its session."""
    for sign, patience_s in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience_s)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _write_mlserver(folder: Path, port: int) -> None:
    folder.mkdir(exist_ok=True)
    # One process: parallel workers would share the cores with one another.
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": _free_port(),
        "metrics_port": _free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "bench",
        "implementation": "mlserver_model.Classify",
        "max_batch_size": 16,
        "max_batch_time": 0.001,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
