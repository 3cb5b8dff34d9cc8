"""The compose file: its schema, and what its containers may do."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from .manifests import DEPLOY, check_arguments, documents, stop_time_s, tool

FILE = DEPLOY / "compose" / "compose.yaml"
(COMPOSE,) = documents(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_has_the_shape_of_the_compose_specification() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_containers_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert not {"privileged", "cap_add", "pid", "network_mode", "ipc"} & set(service)
    assert re.search(r":-[\w./-]+:v?\d[\w.]*\}$", service["image"]), "an image without a version"


@pytest.mark.parametrize("name", SERVICES)
def test_only_this_machine_reaches_them(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert re.match(r"(127\.0\.0\.1|\$\{\w+:-127\.0\.0\.1\}):", port)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_cannot_be_written_to(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        if volume["type"] == "volume":
            assert volume["source"] in COMPOSE["volumes"]
        else:
            assert volume["read_only"] is True
            place = FILE.parent / volume["source"]
            assert place.is_dir() or "secrets" in place.parts or "TUNESMITH_BUNDLE" in place.name


def test_the_server_s_arguments() -> None:
    server = SERVICES["tunesmith"]
    mounted = {volume["target"]: volume["read_only"] for volume in server["volumes"]}
    found = check_arguments(server["command"], mounted)
    assert server["ports"][0].endswith(f":{found['port']}")
    assert int(server["stop_grace_period"].removesuffix("s")) > stop_time_s()


def test_prometheus_asks_the_server_for_its_metrics_with_a_key() -> None:
    (settings,) = documents(FILE.parent / "prometheus" / "prometheus.yaml")
    mounted = [volume["target"] for volume in SERVICES["prometheus"]["volumes"]]
    (job,) = settings["scrape_configs"]
    files = [
        *settings["rule_files"],
        job["authorization"]["credentials_file"],
        job["tls_config"]["ca_file"],
    ]
    assert all(any(file.startswith(f"{place}/") for place in mounted) for file in files)
    assert job["scheme"] == "https"
    assert job["static_configs"] == [{"targets": ["tunesmith:8443"]}]
    assert "insecure_skip_verify" not in job["tls_config"]
