"""Keys and the file they are kept in."""

from __future__ import annotations

import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import ConfigError
from tunesmith.serving.security import KeyFile, Quota, new_key, read_expiry, read_scopes
from tunesmith.serving.security._keyring import Keyring
from tunesmith.serving.security._keys import key_id

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_a_key_is_opened_by_its_text_alone() -> None:
    key, text = new_key("billing", now=NOW)
    other, other_text = new_key("billing", now=NOW)
    assert key.is_opened_by(text)
    assert not key.is_opened_by(other_text)
    assert not key.is_opened_by(text[:-1])
    assert not key.is_opened_by("")
    assert key_id(text) == key.id != other.id
    assert text.partition(key.id)[2][1:] not in repr(key)


@given(st.text(max_size=100))
def test_other_texts_are_no_keys(text: str) -> None:
    assert key_id(text) is None
    assert Keyring([new_key("a", now=NOW)[0]]).find(text) is None


def test_a_key_ends() -> None:
    key, _ = new_key("a", now=NOW, expires=NOW + timedelta(days=1))
    assert key.state(NOW) == "active"
    assert key.state(NOW + timedelta(days=1)) == "expired"
    gone = key.revoked_at(NOW)
    assert (gone.state(NOW), gone.digest) == ("revoked", "")
    assert not gone.is_opened_by("")


def test_admin_includes_the_other_scopes() -> None:
    admin, _ = new_key("a", now=NOW, scopes=("admin",))
    metrics, _ = new_key("b", now=NOW, scopes=("metrics",))
    assert admin.allows("predict")
    assert not metrics.allows("predict")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("2W", NOW + timedelta(weeks=2)),
        ("2027-03-31", datetime(2027, 3, 31, tzinfo=UTC)),
        ("2027-03-31T08:00:00+02:00", datetime(2027, 3, 31, 6, tzinfo=UTC)),
    ],
)
def test_reads_when_a_key_ends(text: str, moment: datetime) -> None:
    assert read_expiry(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "0d", "-3d", "2020-01-01", "999999w", "1e9d"])
def test_refuses_a_time_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError, match="--expires"):
        read_expiry(text, NOW)


def test_reads_scopes() -> None:
    assert read_scopes(["predict", "metrics, ADMIN"]) == ("admin", "metrics", "predict")
    with pytest.raises(ConfigError, match=r"'predicts' is not known[\s\S]*admin, explain"):
        read_scopes(["predicts"])
    with pytest.raises(ConfigError, match="needs a scope"):
        read_scopes([" "])


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_refuses_names_that_are_no_line(name: str) -> None:
    with pytest.raises(ConfigError, match="a key's name"):
        new_key(name, now=NOW)


def test_refuses_quotas_that_make_no_sense() -> None:
    with pytest.raises(ConfigError) as caught:
        Quota(rate=-1.0, tokens_per_day=0)
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigError, match="without a rate"):
        Quota(burst=3)


def test_the_file_keeps_all_but_the_secret(key_file: KeyFile) -> None:
    assert key_file.read() == ()
    quota = Quota(2.5, 4, 1_000, 50_000)
    made, text = key_file.create(
        "billing", scopes=("predict",), expires=datetime(2099, 1, 1, tzinfo=UTC), quota=quota
    )
    assert key_file.read() == (made,)
    content = key_file.path.read_text()
    assert text.rpartition("_")[2] not in content
    assert json.loads(content)["version"] == 1


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_file_is_its_owners_alone(key_file: KeyFile) -> None:
    key_file.create("billing", scopes=("predict",))
    assert stat.S_IMODE(key_file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.path.parent.stat().st_mode) == 0o700
    assert not key_file.is_open_to_others
    key_file.path.chmod(0o644)
    assert key_file.is_open_to_others
    key_file.create("other", scopes=("predict",))
    assert not key_file.is_open_to_others
    assert {one.name for one in key_file.path.parent.iterdir()} == {"keys.json"}


def test_revokes_by_id_and_by_name(key_file: KeyFile) -> None:
    first, _ = key_file.create("first", scopes=("predict",))
    key_file.create("second", scopes=("predict",))
    key_file.revoke(first.id)
    key_file.revoke("second")
    assert {key.state(NOW) for key in key_file.read()} == {"revoked"}
    with pytest.raises(ConfigError, match="is revoked already"):
        key_file.revoke("second")
    with pytest.raises(ConfigError, match=r"no such key[\s\S]*keys list"):
        key_file.revoke("third")
    key_file.create("second", scopes=("predict",))
    with pytest.raises(ConfigError, match="an active key has this name"):
        key_file.create("second", scopes=("predict",))


def test_rotation_gives_a_like_key_and_lets_the_old_one_end(key_file: KeyFile) -> None:
    quota = Quota(rate=3.0)
    old, old_text = key_file.create("billing", scopes=("explain", "predict"), quota=quota)
    new, text = key_file.rotate("billing", grace=timedelta(hours=1))
    kept, made = key_file.read()
    assert made == new
    assert (new.name, new.scopes, new.quota) == (old.name, old.scopes, old.quota)
    assert kept.is_opened_by(old_text)
    assert made.is_opened_by(text)
    assert kept.expires is not None
    assert timedelta(minutes=59) < kept.expires - datetime.now(UTC) <= timedelta(hours=1)
    with pytest.raises(ConfigError, match="several active keys"):
        key_file.rotate("billing", grace=timedelta())
    key_file.rotate(new.id, grace=timedelta())
    assert [key.state(datetime.now(UTC)) for key in key_file.read()] == [
        "active",
        "revoked",
        "active",
    ]


def test_writers_do_not_undo_one_another(key_file: KeyFile) -> None:
    def write(number: int) -> None:
        for place in range(5):
            KeyFile(key_file.path).create(f"{number}-{place}", scopes=("predict",))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(key_file.read()) == 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSON"),
        ("[]", "JSON"),
        ('{"version": 2}', "version"),
        ('{"keys": [{"id": "x"}]}', r"keys\.0\.id"),
        ('{"keyz": []}', "keyz"),
    ],
)
def test_says_what_is_wrong_with_a_file(key_file: KeyFile, content: str, message: str) -> None:
    key_file.path.parent.mkdir()
    key_file.path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        key_file.read()
    with pytest.raises(ConfigError):
        key_file.create("a", scopes=("predict",))
    assert key_file.path.read_text() == content


def test_a_ring_follows_its_file(key_file: KeyFile, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    first, first_text = key_file.create("first", scopes=("predict",))
    ring = Keyring(file=key_file, clock=lambda: now[0])
    assert ring.find(first_text) == first
    second, second_text = key_file.create("second", scopes=("predict",))
    assert ring.find(second_text) is None
    now[0] += 1
    assert ring.find(second_text) == second
    key_file.revoke("first")
    now[0] += 1
    assert ring.find(first_text) is None
    key_file.path.write_text("{")
    now[0] += 1
    assert ring.find(second_text) == second
    assert "event=keys_unreadable" in caplog.text
    key_file.path.unlink()
    now[0] += 1
    assert ring.find(second_text) is None
