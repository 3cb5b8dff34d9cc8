"""The keys that a server knows now, and whether a text is one of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import monotonic

from tunesmith.errors import ConfigError
from tunesmith.events import log_event
from tunesmith.serving.security._key_file import KeyFile
from tunesmith.serving.security._keys import Key, key_id

__all__ = ["Keyring"]

_LOOK_EVERY_S = 1.0


class Keyring:
    """Keys by id; those of a file follow it as it changes."""

    def __init__(
        self,
        keys: Iterable[Key] = (),
        file: KeyFile | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Reads the file.

        Args:
            keys: that are known whatever the file holds.
            file: the others; its changes are noticed within a second.
            clock: seconds, for tests.

        Raises:
            ConfigError: the file cannot be read, or is no key file.
        """
        self._own = {key.id: key for key in keys}
        self._file = file
        self._clock = clock
        self._looked_at = clock()
        self._seen = self._signature()
        self._keys = self._own | self._read()

    def active(self) -> list[Key]:
        """The keys that open something now."""
        self._follow()
        now = datetime.now(UTC)
        return [key for key in self._keys.values() if key.state(now) == "active"]

    def get(self, identity: str) -> Key | None:
        """The active key of this id."""
        self._follow()
        key = self._keys.get(identity)
        return key if key is not None and key.state(datetime.now(UTC)) == "active" else None

    def find(self, presented: str) -> Key | None:
        """The active key that `presented` is; None where it is none."""
        identity = key_id(presented)
        key = None if identity is None else self.get(identity)
        return key if key is not None and key.is_opened_by(presented) else None

    def _follow(self) -> None:
        now = self._clock()
        if self._file is None or now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._keys = self._own | self._read()
        except ConfigError as error:
            # A slip of the pen must not lock everybody out: the keys read last still hold.
            log_event(logging.ERROR, "keys_unreadable", fault=error.faults[0].what)
        else:
            log_event(logging.INFO, "keys_reloaded", keys=len(self._keys))

    def _read(self) -> dict[str, Key]:
        return {} if self._file is None else {key.id: key for key in self._file.read()}

    def _signature(self) -> tuple[int, ...] | None:
        if self._file is None:
            return None
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)
