"""What the files of deploy/ say, and what the server is really like."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer
import yaml
from serving.hash_runtime import HashRuntime, make_app

from tunesmith.cli import app as command_line
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.security import Access
from tunesmith.serving.server import _DRAIN_S, is_loopback
from tunesmith.serving.usage import Usage

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, where the second silently wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{node.start_mark}: {twice} stand twice"
        return super().construct_mapping(node, deep)


def documents(content: str | Path) -> list[Any]:
    """All documents of a YAML file, or of YAML itself."""
    text = content.read_text(encoding="utf-8") if isinstance(content, Path) else content
    return [one for one in yaml.load_all(text, _Strict) if one is not None]


def options(arguments: Iterable[str]) -> dict[str, Any]:
    """What `tunesmith serve` makes of arguments; fails where it does not know one."""
    serve = typer.main.get_command(command_line).commands["serve"]  # type: ignore[attr-defined]
    with serve.make_context("serve", list(arguments), resilient_parsing=False) as context:
        return dict(context.params)


def check_arguments(arguments: Iterable[str], mounted: Mapping[str, bool]) -> dict[str, Any]:
    """Sees to it that a container's arguments are safe, and name what is there.

    Args:
        mounted: folder in the container → whether it is read-only.
    """
    found = options(arguments)
    assert not is_loopback(found["host"]), "nobody outside of the container would reach it"
    assert not found["no_auth"]
    assert not found["log_texts"]
    assert found["keys"] is not None, "without a key file a key is made, and printed into the log"
    assert (found["tls_cert"] is None) == found["insecure"]
    for name in ("bundle", "keys", "tls_cert", "tls_key"):
        if found[name] is not None:
            where = [
                folder for folder in mounted if PurePosixPath(found[name]).is_relative_to(folder)
            ]
            assert where, f"{name} {found[name]} lies in no volume"
            assert all(mounted[folder] for folder in where), f"{name} can be written to"
    return found


@cache
def open_routes() -> frozenset[str]:
    """The paths that a server that wants keys answers without one."""
    from fastapi.testclient import TestClient

    with TestClient(make_app(HashRuntime(), access=Access())) as client:
        return frozenset(
            path for path in ("/healthz", "/readyz") if client.get(path).status_code != 401
        )


@cache
def routes() -> frozenset[str]:
    """Every value that the label `route` can have."""
    return frozenset(make_app(HashRuntime(), access=Access()).openapi()["paths"]) | {"unknown"}


@cache
def metrics() -> dict[str, frozenset[str]]:
    """Each series that the server gives out → the names of its labels."""
    counted = ServingMetrics()
    counted.count_request("/v1/predict", 503, 0.1, "overloaded", Usage())
    model = counted.of("news", "0123456789ab")
    model.describe(runtime="a", task="b", queue_depth=lambda: 0, ready=lambda: True)
    model.count_batch(1, 1)
    model.count_shadowed(num_alike=1, num_texts=1)
    model.count_prediction(
        num_texts=1,
        num_tokens=1,
        num_cut=0,
        num_cached=0,
        queue_s=0.0,
        inference_s=0.1,
        started=0.0,
    )
    return {
        sample.name: frozenset(sample.labels)
        for family in counted.registry.collect()
        for sample in family.samples
    }


def stop_time_s() -> int:
    """How long the server answers what has come in, once it is told to stop."""
    return _DRAIN_S


def tool(name: str) -> str:
    """A program, beside this Python or on the path; the test is skipped where there is none."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=beside)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
