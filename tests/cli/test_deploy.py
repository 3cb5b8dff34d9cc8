"""deploy, promote, roll-back, deployments: what they write, and what they say."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunesmith.bundles import Bundle, Registry, Status
from tunesmith.cli import app
from tunesmith.errors import InputError


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Bundle) -> Path:
    """A registry with a second version beside the one that is deployed."""
    folder = tmp_path / "registry"
    run("deploy", "tickets", tiny_bundle.path, "--registry", folder)
    place = Registry(folder).bundle_path("tickets", tiny_bundle.version)
    shutil.copytree(place, place.with_name("0" * 12))
    return folder


def test_deploy_and_what_is_deployed(folder: Path, tiny_bundle: Bundle) -> None:
    said = run("deployments", "--registry", folder)
    assert f"tickets, wanted: {tiny_bundle.version} answers" in said
    assert "serving: nothing yet" in said
    found = json.loads(run("deployments", "--registry", folder, "--json"))
    assert found["models"]["tickets"]["wanted"]["production"] == tiny_bundle.version
    assert "no models in" in run("deployments", "--registry", folder / "none")


def test_try_promote_and_go_back(folder: Path, tiny_bundle: Bundle) -> None:
    Registry(folder).deploy("tickets", "0" * 12)
    said = run("deploy", "tickets", tiny_bundle.path, "--registry", folder, "--canary", "12.5%")
    assert f"{tiny_bundle.version} is tried on 12% of the requests" in said
    traffic = Registry(folder).traffic("tickets")
    assert traffic is not None and traffic.canary is not None
    assert traffic.canary.share == 0.125
    assert f"{tiny_bundle.version} answers" in run("promote", "tickets", "--registry", folder)
    assert f"{'0' * 12} answers" in run("roll-back", "tickets", "--registry", folder)
    said = run("deploy", "tickets", tiny_bundle.path, "--registry", folder, "--shadow")
    assert "is its shadow" in said


def server(registry: Registry, fault: str = "") -> threading.Thread:
    """Tries the next change, once there is one, as a server would."""

    def wanted() -> int:
        traffic = registry.traffic("tickets")
        assert traffic is not None
        return traffic.change

    def follow(before: int) -> None:
        while wanted() == before:
            time.sleep(0.05)
        time.sleep(0.2)
        registry.set_status("tickets", Status(tried=wanted(), fault=fault))

    thread = threading.Thread(target=follow, args=(wanted(),))
    thread.start()
    return thread


def test_waits_for_a_server_and_says_whether_it_followed(folder: Path) -> None:
    registry = Registry(folder)
    registry.deploy("tickets", "0" * 12)
    late = server(registry)
    back = json.loads(run("roll-back", "tickets", "--registry", folder, "--wait", "20", "--json"))
    assert back["followed"] is True
    late.join()
    registry.deploy("tickets", "0" * 12)
    said = run("roll-back", "tickets", "--registry", folder, "--wait", "0", code=1)
    assert "no server followed within 0 s" in said
    registry.deploy("tickets", "0" * 12)
    late = server(registry, fault="it is broken")
    said = run("roll-back", "tickets", "--registry", folder, "--wait", "20", code=1)
    assert "not followed: it is broken" in said
    late.join()


def test_a_second_model_is_warned_of_once(folder: Path, tiny_bundle: Bundle) -> None:
    for times in range(2):
        said = run("deploy", "news", tiny_bundle.path, "--registry", folder)
        assert ("has two models now, tickets and news" in said) is (times == 0)
    assert "models now" not in run("deploy", "more", tiny_bundle.path, "--registry", folder)


def test_old_versions_are_removed(folder: Path, tiny_bundle: Bundle) -> None:
    said = run("prune", "tickets", "--registry", folder, "--keep", "0")
    assert f"{'0' * 12} removed, 1 left" in said
    assert json.loads(run("prune", "tickets", "--registry", folder, "--json")) == {
        "name": "tickets",
        "removed": [],
        "versions": [tiny_bundle.version],
    }


@pytest.mark.parametrize("share", ["0", "100%", "1", "-5%", "ten", "nan"])
def test_shares_that_are_none(folder: Path, tiny_bundle: Bundle, share: str) -> None:
    with pytest.raises(InputError, match="no share of the requests"):
        CliRunner().invoke(
            app,
            ["deploy", "tickets", str(tiny_bundle), "--registry", str(folder), f"--canary={share}"],
            catch_exceptions=False,
        )


def test_two_trials_at_once_are_refused(folder: Path, tiny_bundle: Bundle) -> None:
    line = ["deploy", "tickets", str(tiny_bundle), "--registry", str(folder)]
    with pytest.raises(InputError, match="give one of them"):
        CliRunner().invoke(app, [*line, "--canary", "5%", "--shadow"], catch_exceptions=False)
