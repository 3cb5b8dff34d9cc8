"""`pip install 'tunesmith[serve]'` into an empty environment: small, no torch, enough to serve.

These install from the index that pip is configured for, and are skipped where none is reached.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
import venv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tunesmith.bundles import Bundle

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 300_000_000
TRAINING = ("accelerate", "onnx", "pandas", "peft", "pyarrow", "scipy", "sklearn", "torch",
            "transformers")  # fmt: skip
UNREACHED = re.compile(r"NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError")


class Environment(NamedTuple):
    """An environment with the server alone."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def packages(self) -> Path:
        found = self.run("import sysconfig; print(sysconfig.get_path('purelib'))")
        return Path(found.stdout.strip())

    def run(self, program: str) -> subprocess.CompletedProcess[str]:
        """Runs Python code, which must succeed."""
        return self._start(["-I", "-c", program], check=True)

    def tunesmith(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs the command line, which need not succeed."""
        return self._start(["-m", "tunesmith", *map(str, arguments)], check=False)

    def _start(self, arguments: Sequence[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
        )

    @property
    def variables(self) -> dict[str, str]:
        """This process's, without what would lead back to the source, or to keys of the user."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        kept.pop("CI", None)  # some libraries report home, but not from there
        own = {"HOME": str(self.home), "TUNESMITH_KEYS": str(self.folder / "keys.json")}
        return {**kept, **own}


def pip(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    if done.returncode and UNREACHED.search(done.stdout + done.stderr):
        pytest.skip("no package index is reached")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("serve")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.glob("tunesmith-*.whl")
    venv.create(folder, with_pip=False)
    environment = Environment(folder)
    environment.home.mkdir()
    pip("--python", environment.python, "install", f"{wheel}[serve]")
    return environment


def test_it_is_small(installed: Environment) -> None:
    sizes: Counter[str] = Counter()
    for file in installed.packages.rglob("*"):
        if file.is_file():
            sizes[file.relative_to(installed.packages).parts[0]] += file.stat().st_size
    largest = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.most_common(12))
    assert sum(sizes.values()) <= MAX_BYTES, largest


def test_nothing_that_trains_is_installed(installed: Environment) -> None:
    program = f"import importlib.util as i; print([n for n in {TRAINING} if i.find_spec(n)])"
    assert installed.run(program).stdout.strip() == "[]"
    done = installed.tunesmith("doctor")
    assert "torch is not installed" in done.stdout + done.stderr


def test_what_is_imported_at_the_start_of_a_server(installed: Environment) -> None:
    brought = json.loads(
        installed.run(
            "import json, sys, tunesmith.cli, tunesmith.runtimes, tunesmith.serving;"
            "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
        ).stdout
    )
    # What only answers questions that a server never asks: it starts without them.
    idle = {"fsspec", "hf_xet", "httpx2", "huggingface_hub", "tqdm"}
    assert {"fastapi", "tunesmith", "uvicorn"} <= set(brought)
    assert not (idle | set(TRAINING)) & set(brought)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("serve", "--help"),
        ("keys", "create", "--name", "a", "--scope", "metrics"),
        ("keys", "list"),
        ("deploy", "--help"),
        ("deployments", "--registry", "registry"),
    ],
    ids=" ".join,
)
def test_commands_that_need_no_training(installed: Environment, arguments: tuple[str, ...]) -> None:
    done = installed.tunesmith(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_bundles_are_looked_at_and_deployed(
    installed: Environment, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    told = installed.tunesmith("info", tiny_bundle.path, "--json")
    assert json.loads(told.stdout)["digest"] == tiny_bundle.manifest.digest
    registry = tmp_path / "registry"
    done = installed.tunesmith("deploy", "topics", tiny_bundle.path, "--registry", registry)
    assert done.returncode == 0, done.stderr
    listed = installed.tunesmith("deployments", "--registry", registry, "--json")
    assert json.loads(listed.stdout)["models"]["topics"]["versions"] == [tiny_bundle.version]


def test_a_bundle_that_needs_torch_is_refused(installed: Environment, tiny_bundle: Bundle) -> None:
    done = installed.tunesmith("serve", tiny_bundle.path, "--port", 0)
    assert done.returncode != 0
    assert re.search(r"error: .*torch.* is not installed", done.stderr)
    assert "Traceback" not in done.stderr


def test_an_optimised_bundle_is_served(
    installed: Environment, tiny_bundle: Bundle, labelled_csv: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tunesmith.optimization")
    import tunesmith

    texts = ["where is the parcel", "please refund the invoice", "i forgot the password"]
    expected = [answer.label for answer in tunesmith.load(tiny_bundle).predict(texts)]
    tunesmith.optimize(tiny_bundle, output=tmp_path / "bundle", data=labelled_csv)
    with subprocess.Popen(
        [str(installed.python), "-m", "tunesmith", "serve", str(tmp_path / "bundle"), "--port", "0",
         "--json"],
        cwd=installed.folder,
        env={**installed.variables, "TUNESMITH_KEYS": str(tmp_path / "no-keys.json")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            answer = ask(ready["url"], ready["key"], texts)
        finally:
            process.terminate()
            _, log = process.communicate(timeout=60)
    assert [one["label"] for one in answer["predictions"]] == expected
    assert process.returncode == 0, log
    assert not list(installed.home.rglob("*")), "a server keeps nothing for anybody"


def ask(url: str, key: str, texts: list[str]) -> dict[str, list[dict[str, object]]]:
    request = urllib.request.Request(
        f"{url}/v1/predict",
        json.dumps({"texts": texts}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)  # type: ignore[no-any-return]
