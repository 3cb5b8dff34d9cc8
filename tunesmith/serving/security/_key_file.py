"""The file that keys are kept in, and the commands that change it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tunesmith import storage
from tunesmith.errors import ConfigError, Fault
from tunesmith.serving.security._keys import Key, Quota, Scope, new_key

__all__ = ["KeyFile", "default_key_file"]

_MAX_BYTES = 16 * 1024 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _Record(BaseModel):
    """A key as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    burst: Annotated[int, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[int, Field(gt=0)] | None = None
    tokens_per_day: Annotated[int, Field(gt=0)] | None = None

    @classmethod
    def of(cls, key: Key) -> _Record:
        quota = {name: getattr(key.quota, name) for name in Quota.__slots__}
        own = {name: getattr(key, name) for name in ("id", "name", "scopes", "created")}
        return cls(**own, sha256=key.digest, expires=key.expires, revoked=key.revoked, **quota)

    def key(self) -> Key:
        quota = Quota(**{name: getattr(self, name) for name in Quota.__slots__})
        return Key(
            self.id,
            self.name,
            self.sha256,
            self.scopes,
            self.created,
            self.expires,
            quota,
            self.revoked,
        )


class _Content(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    keys: tuple[_Record, ...] = ()


class KeyFile:
    """Keys on the disk, in JSON, for their owner's eyes alone.

    Each change is made under a lock, so that of two writers none undoes what the other did, and the
    file is replaced in one step, so that a reader never meets half of it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser()

    def read(self) -> tuple[Key, ...]:
        """All keys, in the order in which they were made; none where there is no file.

        Raises:
            ConfigError: the file cannot be read, or is no key file.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise ConfigError(
                what, where=str(self.path), mend="--keys FILE, a file of yours"
            ) from (error)
        return self._parsed(content)

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope],
        expires: datetime | None = None,
        quota: Quota | None = None,
    ) -> tuple[Key, str]:
        """Adds a key; gives it and the text that opens it.

        Raises:
            ConfigError: the name cannot be used, or an active key has it.
            OutputError: the file cannot be written.
        """
        now = _now()
        made, text = new_key(name, now=now, scopes=scopes, expires=expires, quota=quota)

        def add(keys: tuple[Key, ...]) -> tuple[Key, ...]:
            for key in keys:
                if key.name == made.name and key.state(now) == "active":
                    mend = f"another name, or tunesmith keys rotate {key.id}"
                    raise ConfigError("an active key has this name", where=key.name, mend=mend)
            return (*keys, made)

        self._change(add)
        return made, text

    def revoke(self, id_or_name: str) -> Key:
        """Makes a key useless, at once.

        Raises:
            ConfigError: there is no such key, or it was revoked before.
            OutputError: the file cannot be written.
        """
        gone: list[Key] = []

        def strike(keys: tuple[Key, ...]) -> tuple[Key, ...]:
            key = self._find(keys, id_or_name)
            gone.append(key.revoked_at(_now()))
            return tuple(gone[0] if one.id == key.id else one for one in keys)

        self._change(strike)
        return gone[0]

    def rotate(self, id_or_name: str, *, grace: timedelta) -> tuple[Key, str]:
        """Adds a key that may do what the old one may; the old one ends after `grace`.

        Raises:
            ConfigError: there is no such key, or it is no longer active.
            OutputError: the file cannot be written.
        """
        made: list[tuple[Key, str]] = []

        def exchange(keys: tuple[Key, ...]) -> tuple[Key, ...]:
            now = _now()
            old = self._find(keys, id_or_name)
            made.append(_successor(old, now))
            return (*(_ending(one, now, grace) if one is old else one for one in keys), made[0][0])

        self._change(exchange)
        return made[0]

    def _change(self, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
        folder = self.path.parent
        if not folder.exists():
            storage.make_private(folder)
        with storage.locked(self.path.with_name(f".{self.path.name}.lock")):
            records = tuple(map(_Record.of, change(self.read())))
            content = _Content(keys=records).model_dump(mode="json", exclude_none=True)
            storage.write_bytes(self.path, json.dumps(content, indent=1).encode(), mode=0o600)

    def _find(self, keys: Sequence[Key], id_or_name: str) -> Key:
        now = _now()
        named = [key for key in keys if id_or_name in {key.id, key.name}]
        active = [key for key in named if key.state(now) == "active"]
        # After a rotation two active keys have one name; the older of them is about to end.
        if len(active) > 1:
            ids = ", ".join(key.id for key in active)
            mend = f"name it by its id, of {ids}"
            raise ConfigError("several active keys have this name", where=id_or_name, mend=mend)
        if active:
            return active[0]
        what = f"is {named[-1].state(now)} already" if named else "there is no such key"
        mend = f"tunesmith keys list --keys {self.path}"
        raise ConfigError(what, where=id_or_name, mend=mend)

    def _parsed(self, content: bytes) -> tuple[Key, ...]:
        where = str(self.path)
        try:
            if len(content) > _MAX_BYTES:
                raise ConfigError("is too large to be a key file", where=where)
            keys = tuple(record.key() for record in _Content.model_validate_json(content).keys)
        except ValidationError as error:
            faults = [
                Fault(one["msg"], where=f"{where}, {'.'.join(map(str, one['loc'])) or 'JSON'}")
                for one in error.errors(include_url=False, include_context=False)[:5]
            ]
            raise ConfigError.of(faults) from None
        if len({key.id for key in keys}) < len(keys):
            raise ConfigError(
                "two keys have the same id", where=where, mend="leave one of them out"
            )
        return keys

    @property
    def is_open_to_others(self) -> bool:
        """Whether other users of the machine may read or change the file."""
        if os.name != "posix" or not self.path.exists():
            return False
        return bool(self.path.stat().st_mode & _OTHERS)


def default_key_file() -> Path:
    """`$TUNESMITH_KEYS`, else `tunesmith/keys.json` where the system keeps a user's settings."""
    chosen = os.environ.get("TUNESMITH_KEYS")
    if chosen:
        return Path(chosen).expanduser()
    settings = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME")
    base = Path(settings) if settings else Path("~/.config").expanduser()
    return base / "tunesmith" / "keys.json"


def _successor(old: Key, now: datetime) -> tuple[Key, str]:
    # A key that ended 90 days after it was made is followed by one that does, too.
    lasting = None if old.expires is None else now + (old.expires - old.created)
    return new_key(old.name, now=now, scopes=old.scopes, expires=lasting, quota=old.quota)


def _ending(old: Key, now: datetime, grace: timedelta) -> Key:
    if not grace:
        return old.revoked_at(now)
    end = now + grace
    return replace(old, expires=end if old.expires is None else min(end, old.expires))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
