"""Keys in a volume as Kubernetes mounts secrets: links that are switched all at once."""

from __future__ import annotations

from pathlib import Path

from tunesmith.serving.security import KeyFile
from tunesmith.serving.security._keyring import Keyring


def publish(volume: Path, generation: int, content: bytes) -> None:
    """Writes as the kubelet does: a folder for each generation, and a link that is replaced."""
    folder = volume / f"..generation_{generation}"
    folder.mkdir(parents=True)
    (folder / "keys.json").write_bytes(content)
    new = volume / "..data_tmp"
    new.symlink_to(folder.name, target_is_directory=True)
    new.rename(volume / "..data")
    if not (volume / "keys.json").is_symlink():
        (volume / "keys.json").symlink_to("..data/keys.json")


def test_a_secret_that_changes_is_followed(tmp_path: Path) -> None:
    made = KeyFile(tmp_path / "made" / "keys.json")
    _, first = made.create("first", scopes=("predict",))
    publish(tmp_path / "volume", 1, made.path.read_bytes())
    now = [0.0]
    keyring = Keyring(file=KeyFile(tmp_path / "volume" / "keys.json"), clock=lambda: now[0])
    assert keyring.find(first) is not None
    _, second = made.create("second", scopes=("metrics",))
    made.revoke("first")
    publish(tmp_path / "volume", 2, made.path.read_bytes())
    assert keyring.find(second) is None
    now[0] = 2.0
    assert keyring.find(second) is not None
    assert keyring.find(first) is None
