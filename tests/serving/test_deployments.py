"""Deployments: swaps without a failed request, versions that never take traffic, and restarts."""

from __future__ import annotations

import asyncio
import shutil
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tunesmith.bundles import (
    Bundle,
    Registry,
    TrustedKeys,
    make_signing_key,
    open_bundle,
    sign,
)
from tunesmith.bundles._golden import GOLDEN
from tunesmith.errors import BundleError
from tunesmith.runtimes import Runtime
from tunesmith.serving import Limits
from tunesmith.serving.deployments import Deployments
from tunesmith.serving.metrics import ServingMetrics
from tunesmith.serving.refusals import Overloaded, Refused
from tunesmith.tasks import Field, TextClassification

from .hash_runtime import HashRuntime

LABELS = ("login", "money", "parcel")


class Versions:
    """A registry of copies of one bundle that differ in their names, and quick runtimes for them.

    The registry, its files and their digests are real; only the model is a small one.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.registry = Registry(folder)
        self.bundle = bundle
        self.broken: set[str] = set()
        self.faulty: set[str] = set()

    def add(self, name: str) -> str:
        """A version with another name, so with another digest."""
        work = self.registry.folder.parent / f"work-{name}"
        shutil.copytree(self.bundle.path, work)
        (work / GOLDEN).unlink()
        manifest = self.bundle.manifest
        files = {file: digest for file, digest in manifest.files.items() if file != GOLDEN}
        sealed = manifest.model_copy(update={"name": name}).sealed(files)
        (work / "manifest.json").write_bytes(sealed.to_bytes())
        return self.registry.add("tickets", open_bundle(work))

    def load(self, bundle: Bundle) -> Runtime:
        if bundle.version in self.broken:
            raise BundleError("this version is broken", where=str(bundle.path))
        if bundle.version in self.faulty:
            raise RuntimeError("a library's own error")
        task = TextClassification((Field("text"),), LABELS)
        return HashRuntime(task=task, version=bundle.version)


@pytest.fixture
def versions(tmp_path: Path, tiny_bundle: Bundle) -> Versions:
    return Versions(tmp_path / "registry", tiny_bundle)


@asynccontextmanager
async def following(
    versions: Versions,
    metrics: ServingMetrics | None = None,
    trusted: TrustedKeys | None = None,
    default: str | None = None,
) -> AsyncIterator[Deployments]:
    deployments = Deployments(
        versions.registry,
        limits=Limits(),
        metrics=metrics or ServingMetrics(),
        load=versions.load,
        trusted=trusted,
        default=default,
        looks_every_s=0.01,
    )
    async with deployments.running():
        while not deployments.ready:
            await asyncio.sleep(0.005)
        yield deployments


async def tried(versions: Versions, change: int) -> str:
    """Waits until a change was tried, and says why it was not followed."""
    for _ in range(4_000):
        status = versions.registry.status("tickets")
        if status.tried >= change:
            return status.fault
        await asyncio.sleep(0.005)
    raise AssertionError("the change was never tried")


def test_swaps_and_roll_backs_under_load_fail_no_request(versions: Versions) -> None:
    first, second = versions.add("first"), versions.add("second")
    versions.registry.deploy("tickets", first)
    answered: Counter[str] = Counter()

    async def client(deployments: Deployments, stop: asyncio.Event, number: int) -> None:
        while not stop.is_set():
            served = deployments.find("tickets")
            answers = await served.predict([f"client {number}", "another text"])
            assert len(answers.predictions) == 2
            answered[served.version] += 1
            await asyncio.sleep(0)

    async def session() -> None:
        async with following(versions) as deployments:
            stop = asyncio.Event()
            clients = [asyncio.create_task(client(deployments, stop, n)) for n in range(6)]
            for turn in range(12):
                if turn % 4 == 3:
                    wanted = versions.registry.roll_back("tickets")
                else:
                    now = versions.registry.traffic("tickets")
                    assert now is not None
                    other = second if now.production == first else first
                    wanted = versions.registry.deploy("tickets", other)
                assert await tried(versions, wanted.change) == ""
                assert deployments.find().version == wanted.production
            stop.set()
            await asyncio.gather(*clients)
            await asyncio.sleep(0.05)
            assert {served.version for served in deployments.all()} == {wanted.production}

    asyncio.run(session())
    assert set(answered) == {first, second}


def test_a_version_that_no_trusted_key_signed_never_takes_traffic(
    versions: Versions, tmp_path: Path
) -> None:
    pytest.importorskip("cryptography")
    public, _ = make_signing_key(tmp_path / "release.pem")
    signed, unsigned = versions.add("signed"), versions.add("unsigned")
    good = open_bundle(versions.registry.bundle_path("tickets", signed))
    sign(good.path, good.manifest, tmp_path / "release.pem")
    versions.registry.deploy("tickets", signed)

    async def session() -> None:
        async with following(versions, trusted=TrustedKeys.read(public)) as deployments:
            wanted = versions.registry.deploy("tickets", unsigned)
            assert "is not signed" in await tried(versions, wanted.change)
            assert deployments.find().version == signed
            later = open_bundle(versions.registry.bundle_path("tickets", unsigned))
            sign(later.path, later.manifest, tmp_path / "release.pem")
            wanted = versions.registry.deploy("tickets", unsigned)
            assert await tried(versions, wanted.change) == ""
            assert deployments.find().version == unsigned

    asyncio.run(session())


def test_a_version_that_fails_any_step_never_takes_traffic(versions: Versions) -> None:
    good, broken, changed = (versions.add(name) for name in ("good", "broken", "changed"))
    versions.broken.add(broken)
    (versions.registry.bundle_path("tickets", changed) / "model/config.json").write_text("{}")
    versions.registry.deploy("tickets", good)

    async def session() -> None:
        async with following(versions) as deployments:
            for version, words in ((broken, "is broken"), (changed, "was changed or damaged")):
                wanted = versions.registry.deploy("tickets", version)
                assert words in await tried(versions, wanted.change)
                assert deployments.find().version == good
            status = versions.registry.status("tickets")
            assert status.serving is not None
            assert status.serving.production == good

    asyncio.run(session())

    async def restarted() -> None:
        async with following(versions) as deployments:
            assert deployments.find().version == good

    asyncio.run(restarted())


def test_a_server_that_died_while_deploying_starts_with_the_old_version(
    versions: Versions,
) -> None:
    old, new = versions.add("old"), versions.add("new")
    versions.registry.deploy("tickets", old)

    async def serve_once() -> None:
        async with following(versions):
            pass

    asyncio.run(serve_once())
    versions.registry.deploy("tickets", new)  # and nobody follows it: the server is dead
    versions.broken.add(new)

    async def restarted() -> None:
        async with following(versions) as deployments:
            assert deployments.find().version == old
            fault = await tried(versions, 2)
            assert "is broken" in fault
            assert deployments.find().version == old

    asyncio.run(restarted())


def test_a_version_that_cannot_be_restored_does_not_stop_the_others(versions: Versions) -> None:
    old, new = versions.add("old"), versions.add("new")
    versions.registry.deploy("tickets", old)

    async def serve_once() -> None:
        async with following(versions):
            pass

    asyncio.run(serve_once())
    versions.faulty.add(old)
    versions.registry.deploy("tickets", new)

    async def restarted() -> None:
        async with following(versions) as deployments:
            assert await tried(versions, 2) == ""
            assert deployments.find().version == new

    asyncio.run(restarted())


def test_what_failed_is_tried_again_by_the_next_server(
    versions: Versions, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have failed for lack of memory, or been mended by hand."""
    version = versions.add("first")
    versions.registry.deploy("tickets", version)
    versions.broken.add(version)

    async def refused() -> None:
        deployments = Deployments(
            versions.registry,
            limits=Limits(),
            metrics=ServingMetrics(),
            load=versions.load,
            looks_every_s=0.01,
        )
        async with deployments.running():
            assert "is broken" in await tried(versions, 1)
            while deployments.waits_for == "the models are being loaded":
                await asyncio.sleep(0.005)
            assert "no model could be loaded" in deployments.waits_for
            with pytest.raises(Overloaded, match="no model could be loaded"):
                deployments.find()

    asyncio.run(refused())
    assert "event=deploy_failed model=tickets change=1 error=" in caplog.text
    assert "this version is broken" in caplog.text
    versions.broken.clear()

    async def restarted() -> None:
        async with following(versions) as deployments:
            assert deployments.find().version == version

    asyncio.run(restarted())
    assert versions.registry.status("tickets").fault == ""


def test_wrong_golden_rows_keep_a_version_out(versions: Versions) -> None:
    """The bundle's own golden rows are another model's than the one that is loaded here."""
    good = versions.add("good")
    wrong = versions.registry.add("tickets", versions.bundle)
    versions.registry.deploy("tickets", good)

    async def session() -> None:
        async with following(versions) as deployments:
            wanted = versions.registry.deploy("tickets", wrong)
            assert "differ from the trained model's" in await tried(versions, wanted.change)
            assert deployments.find().version == good

    asyncio.run(session())


def test_a_canary_answers_its_share(versions: Versions) -> None:
    production, canary = versions.add("production"), versions.add("canary")
    versions.registry.deploy("tickets", production)

    async def session() -> None:
        async with following(versions) as deployments:
            wanted = versions.registry.deploy("tickets", canary, share=0.25)
            assert await tried(versions, wanted.change) == ""
            seen = Counter(deployments.find("tickets").version for _ in range(2_000))
            assert 350 < seen[canary] < 650
            assert deployments.find("tickets", canary).version == canary
            versions.registry.promote("tickets")
            await tried(versions, wanted.change + 1)
            assert {deployments.find("tickets").version for _ in range(50)} == {canary}

    asyncio.run(session())


def test_a_shadow_is_asked_and_compared_and_never_answers(versions: Versions) -> None:
    production, shadow = versions.add("production"), versions.add("shadow")
    versions.registry.deploy("tickets", production)
    metrics = ServingMetrics()

    async def session() -> None:
        async with following(versions, metrics) as deployments:
            wanted = versions.registry.deploy("tickets", shadow, shadow=True)
            assert await tried(versions, wanted.change) == ""
            for _ in range(10):
                served = deployments.find("tickets")
                assert served.version == production
                await served.predict(["a text", "another one"])
            counted = f'agrees="yes",model="tickets",version="{shadow}"'
            for _ in range(400):
                if f"tunesmith_shadow_texts_total{{{counted}}} " in metrics.render().decode():
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError(metrics.render().decode())

    asyncio.run(session())


def test_what_is_not_served_is_refused(versions: Versions) -> None:
    versions.registry.deploy("tickets", versions.add("one"))

    async def session() -> None:
        async with following(versions) as deployments:
            assert deployments.find().name == "tickets"
            for name, version in (("other", None), ("tickets", "none")):
                with pytest.raises(Refused) as caught:
                    deployments.find(name, version)
                assert caught.value.code == "not_found"

    asyncio.run(session())


@pytest.mark.parametrize("default", [None, "tickets"])
def test_of_two_models_one_may_be_the_default(versions: Versions, default: str | None) -> None:
    version = versions.add("one")
    versions.registry.deploy("tickets", version)
    place = versions.registry.folder / "news/versions" / version
    shutil.copytree(versions.registry.bundle_path("tickets", version), place)
    versions.registry.deploy("news", version)

    async def session() -> None:
        async with following(versions, default=default) as deployments:
            assert deployments.find("news").name == "news"
            if default is not None:
                assert deployments.find().name == default
                assert [served.name for served in deployments.all()] == ["tickets", "news"]
                return
            with pytest.raises(Refused, match="names no model; here are news, tickets") as caught:
                deployments.find()
            assert "--default" in caught.value.message

    asyncio.run(session())


def test_a_version_that_answers_no_more_is_freed(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: dict[str, weakref.ref[Runtime]] = {}
    real = versions.load

    def load_and_note(bundle: Bundle) -> Runtime:
        runtime = real(bundle)
        loaded[bundle.version] = weakref.ref(runtime)
        return runtime

    versions.load = load_and_note  # type: ignore[method-assign]
    first, second = versions.add("first"), versions.add("second")
    versions.registry.deploy("tickets", first)

    async def session() -> None:
        async with following(versions) as deployments:
            await deployments.find("tickets").predict(["a text"])
            change = versions.registry.deploy("tickets", second).change
            assert await tried(versions, change) == ""
            for _ in range(2_000):
                if loaded[first]() is None:
                    break
                await asyncio.sleep(0.005)
            assert loaded[first]() is None
            assert loaded[second]() is not None

    asyncio.run(session())
