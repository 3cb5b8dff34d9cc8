"""The registry: whole versions, one change after the other, and what can be gone back to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tunesmith.bundles import Bundle, Canary, Registry, Status, Traffic, open_bundle
from tunesmith.errors import BundleError, InputError


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def two(registry: Registry, tiny_bundle: Bundle) -> tuple[str, str]:
    """A version in production, and another one that is there."""
    first = registry.add("tickets", tiny_bundle)
    second = "0" * 12
    shutil.copytree(
        registry.bundle_path("tickets", first), registry.folder / "tickets/versions" / second
    )
    registry.deploy("tickets", first)
    return first, second


def test_a_version_is_copied_whole_and_once(registry: Registry, tiny_bundle: Bundle) -> None:
    version = registry.add("tickets", tiny_bundle)
    assert version == registry.add("tickets", tiny_bundle) == tiny_bundle.version
    copy = open_bundle(registry.bundle_path("tickets", version))
    assert copy.manifest == tiny_bundle.manifest
    assert registry.versions("tickets") == [version]
    assert registry.names() == []  # nothing answers yet


def test_a_damaged_copy_is_made_again(registry: Registry, tiny_bundle: Bundle) -> None:
    version = registry.add("tickets", tiny_bundle)
    place = registry.bundle_path("tickets", version)
    with (place / "model/tokenizer.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError):
        open_bundle(place)
    assert registry.add("tickets", tiny_bundle) == version
    assert open_bundle(place).manifest == tiny_bundle.manifest


def test_what_a_killed_copy_left_is_removed(registry: Registry, tiny_bundle: Bundle) -> None:
    left = registry.folder / f"tickets/versions/.{tiny_bundle.version}.1a2b3c4d"
    (left / "model").mkdir(parents=True)
    version = registry.add("tickets", tiny_bundle)
    assert [file.name for file in left.parent.iterdir()] == [version]


def test_old_versions_are_removed_but_none_that_is_wanted(
    registry: Registry, two: tuple[str, str]
) -> None:
    first, second = two
    third = "1" * 12
    shutil.copytree(
        registry.bundle_path("tickets", first), registry.folder / "tickets/versions" / third
    )
    assert registry.prune("tickets") == [], "three are kept in any case"
    registry.deploy("tickets", second)  # and `first` can be gone back to
    registry.set_status("tickets", Status(serving=Traffic(change=1, production=third)))
    assert registry.prune("tickets", keep=0) == [], "a server may not have followed yet"
    registry.set_status("tickets", Status())
    assert registry.prune("tickets", keep=0) == [third]
    assert set(registry.versions("tickets")) == {first, second}
    registry.roll_back("tickets")
    assert registry.prune("tickets", keep=0) == [second]
    with pytest.raises(InputError, match="no such model"):
        registry.prune("parcels")
    with pytest.raises(InputError, match="-1 versions cannot be kept"):
        registry.prune("tickets", keep=-1)


def test_deploying_remembers_what_was_before(registry: Registry, two: tuple[str, str]) -> None:
    first, second = two
    assert registry.names() == ["tickets"]
    traffic = registry.deploy("tickets", second)
    assert (traffic.production, traffic.previous, traffic.change) == (second, first, 2)
    assert registry.deploy("tickets", second).previous == first
    back = registry.roll_back("tickets")
    assert (back.production, back.previous, back.change) == (first, None, 4)
    assert registry.traffic("tickets") == back
    with pytest.raises(InputError, match="no version to go back to"):
        registry.roll_back("tickets")  # given twice, it must not go forward again


def test_a_trial_is_promoted_or_ended(registry: Registry, two: tuple[str, str]) -> None:
    first, second = two
    trial = registry.deploy("tickets", second, share=0.1)
    assert trial.canary == Canary(version=second, share=0.1)
    assert trial.versions == (first, second)
    ended = registry.roll_back("tickets")
    assert (ended.production, ended.canary, ended.shadow) == (first, None, None)
    assert registry.deploy("tickets", second, shadow=True).shadow == second
    promoted = registry.promote("tickets")
    assert (promoted.production, promoted.previous, promoted.shadow) == (second, first, None)


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 65, "é"])
def test_names_that_lead_elsewhere_are_refused(
    registry: Registry, tiny_bundle: Bundle, name: str
) -> None:
    with pytest.raises(InputError, match="no name for a model"):
        registry.add(name, tiny_bundle)
    assert not registry.folder.exists()


def test_what_cannot_be_is_said(registry: Registry, two: tuple[str, str]) -> None:
    first = two[0]
    for version in ("f" * 12, "..", "nothing"):
        with pytest.raises(InputError, match="has no version"):
            registry.deploy("tickets", version)
    with pytest.raises(InputError, match="only beside another"):
        registry.deploy("tickets", first, share=0.5)
    with pytest.raises(InputError, match="no version is tried"):
        registry.promote("tickets")
    with pytest.raises(InputError, match="no version to go back to"):
        registry.roll_back("tickets")
    assert registry.traffic("tickets").change == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"fields": [{"name": "body", "modality": "text"}]},
            "it reads body, and clients send text",
        ),
        ({"labels": ["login", "money"]}, "lacks labels that clients know: parcel"),
        ({"name": "multi-label-classification", "thresholds": []}, "it does multi-label"),
    ],
)
def test_a_version_of_another_task_is_refused(
    registry: Registry, two: tuple[str, str], changed: dict[str, object], words: str
) -> None:
    _, second = two
    place = registry.bundle_path("tickets", second)
    manifest = open_bundle(place).manifest
    task = {**manifest.task, **changed}
    sealed = manifest.model_copy(update={"task": task}).sealed(manifest.files)
    (place / "manifest.json").write_bytes(sealed.to_bytes())
    for options in ({}, {"share": 0.1}, {"shadow": True}):
        with pytest.raises(InputError, match="is of another task") as caught:
            registry.deploy("tickets", second, **options)  # type: ignore[arg-type]
        assert words in str(caught.value)
    assert registry.deploy("tickets", second, allow_other_task=True).production == second


def test_a_damaged_file_is_named_and_written_anew(registry: Registry, two: tuple[str, str]) -> None:
    first, second = two
    traffic = registry.traffic("tickets")
    registry.set_status("tickets", Status(serving=traffic, tried=5))
    (registry.folder / "tickets/traffic.json").write_text("{}")
    with pytest.raises(BundleError, match="not what Tunesmith writes"):
        registry.traffic("tickets")
    assert registry.deploy("tickets", second).change == 6
    assert registry.traffic("tickets").previous == first  # type: ignore[union-attr]


def test_golden_rows_are_answered_alike_and_faults_are_found(tiny_bundle: Bundle) -> None:
    from tunesmith.runtimes import load

    golden = tiny_bundle.golden()
    assert golden is not None
    runtime = load(tiny_bundle)
    golden.check(runtime.task, runtime.outputs, runtime.name)
    outputs = runtime.outputs(golden.inputs)
    outputs.scores[:, :2] = outputs.scores[:, 1::-1].copy()  # type: ignore[index]
    with pytest.raises(BundleError, match="differ from the trained model's"):
        golden.check(runtime.task, lambda _: outputs, runtime.name)
