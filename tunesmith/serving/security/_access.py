"""Who may use a server: its keys, what they have left, and the sessions that they opened."""

from __future__ import annotations

from datetime import UTC, datetime

from tunesmith.serving.security._key_file import KeyFile
from tunesmith.serving.security._keyring import Keyring
from tunesmith.serving.security._keys import SCOPES, Key, key_id, new_key
from tunesmith.serving.security._quotas import Quotas, Throttle
from tunesmith.serving.security._sessions import Sessions

__all__ = ["Access"]


class Access:
    """The state behind the guard of one server; its two listeners share it.

    Attributes:
        start_key: the text of the key that was made for this start; None where a file has keys.
        login_token: what opens a session in the browser once; None where there is no start key.
    """

    def __init__(self, file: KeyFile | None = None) -> None:
        """Reads the keys of `file`; where there are none, makes one for this start.

        Raises:
            ConfigError: the file cannot be read, or is no key file.
        """
        self.quotas = Quotas()
        self.sessions = Sessions()
        self.throttle = Throttle()
        self.start_key: str | None = None
        self.login_token: str | None = None
        self._keyring = Keyring(file=file)
        if not self._keyring.active():
            self._make_start_key(file)

    def _make_start_key(self, file: KeyFile | None) -> None:
        made, text = new_key("made for this start", now=datetime.now(UTC), scopes=SCOPES)
        self.start_key = text
        self.login_token = self.sessions.new_link(made.id)
        self._keyring = Keyring([made], file)

    def by_key(self, presented: str, address: str) -> Key | int | None:
        """The key that `presented` is, or None; a number of seconds where the address must wait."""
        # An id that no key has counts as none: else a guesser could start anew with each.
        meant = key_id(presented) or ""
        if meant and self._keyring.get(meant) is None:
            meant = ""
        wait_s = self.throttle.wait_s(address, meant)
        if wait_s > 0:
            return wait_s
        key = self._keyring.find(presented)
        if key is None:
            self.throttle.fail(address, meant)
        return key

    def by_cookie(self, cookie: str) -> Key | None:
        """The key of a session that holds."""
        identity = self.sessions.opened(cookie)
        return None if identity is None else self._keyring.get(identity)

    def by_login(self, presented: str, address: str) -> Key | int | None:
        """The key that a login stands for: by the printed link's token, once, or by the key."""
        identity = self.sessions.use_link(presented)
        if identity is not None:
            return self._keyring.get(identity)
        return self.by_key(presented, address)
