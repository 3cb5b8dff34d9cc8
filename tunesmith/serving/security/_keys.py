"""API keys: what one is, how one is made, and how a text is found to be one."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from tunesmith.errors import ConfigError, Fault

__all__ = ["SCOPES", "Key", "Quota", "Scope", "key_id", "new_key", "read_expiry", "read_scopes"]

Scope: TypeAlias = Literal["admin", "explain", "metrics", "predict"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_PREFIX = "tsk"  # names the product, so that scanners for leaked secrets can know a key
_ID_BYTES = 6
_SECRET_BYTES = 32
_KEY = re.compile(r"tsk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_PERIOD = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a key may ask for; None: as much as the server's limits allow.

    Attributes:
        rate: requests a second, in the long run.
        burst: requests at once; None: as many as `rate` gives in a second, and one at the least.
        tokens_per_minute: tokens that the model reads for the key in a minute, in the long run.
        tokens_per_day: the same of 24 hours.
    """

    rate: float | None = None
    burst: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None

    def __post_init__(self) -> None:
        faults = [
            Fault(
                f"must be above zero, and is {value:g}",
                where=f"--{name.replace('_', '-')}",
                mend="leave it out for no limit",
            )
            for name in self.__slots__
            if (value := getattr(self, name)) is not None and not 0 < value < float("inf")
        ]
        if self.burst is not None and self.rate is None:
            faults.append(Fault("has no meaning without a rate", where="--burst", mend="--rate 10"))
        if faults:
            raise ConfigError.of(faults)


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key: all but its secret.

    A fast hash suffices, for a secret of 256 random bits cannot be guessed however fast one tries;
    slow password hashes are for what people make up. NIST SP 800-63B, 5.1.2.2: secrets of at least
    112 bits are stored under an approved one-way function, and need no salt.

    Attributes:
        id: 12 hexadecimal digits that name the key in logs; no secret.
        name: what people call it.
        digest: SHA-256 of the secret, in hexadecimal digits; empty once the key is revoked.
        scopes: what it may be used for; "admin" includes the others.
        created: when it was made, in UTC.
        expires: from when on it is refused; None: never.
        quota: how much it may ask for.
        revoked: when it was revoked; None: it was not.
    """

    id: str
    name: str
    digest: str
    scopes: tuple[Scope, ...]
    created: datetime
    expires: datetime | None = None
    quota: Quota = field(default_factory=Quota)
    revoked: datetime | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether the key may be used for `scope`."""
        return scope in self.scopes or "admin" in self.scopes

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """What the key is good for."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"

    def is_opened_by(self, presented: str) -> bool:
        """Whether `presented` is this key; takes as long if it is nearly right as if all wrong."""
        return hmac.compare_digest(_digest(presented), self.digest)

    def revoked_at(self, now: datetime) -> Key:
        """The key without its digest: no secret opens it again."""
        return replace(self, digest="", revoked=now)


def new_key(
    name: str,
    *,
    now: datetime,
    scopes: Sequence[Scope] = ("predict",),
    expires: datetime | None = None,
    quota: Quota | None = None,
) -> tuple[Key, str]:
    """A key and the text that opens it, which is kept nowhere.

    Args:
        name: what people call it, a line of at most 100 characters.
        now: the present moment, in UTC.
        scopes: what it may be used for.
        expires: from when on it is refused; None: never.
        quota: how much it may ask for; None: as much as the server's limits allow.

    Raises:
        ConfigError: the name is empty, too long, or not one line.
    """
    name = name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        what = f"a key's name is a line of 1 to {_MAX_NAME} characters"
        raise ConfigError(what, where="--name", mend="'billing service'")
    identity = secrets.token_hex(_ID_BYTES)
    text = f"{_PREFIX}_{identity}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    made = Key(identity, name, _digest(text), tuple(scopes), now, expires, quota or Quota())
    return made, text


def key_id(presented: str) -> str | None:
    """The id in a text that has a key's form; None where it has not."""
    found = _KEY.fullmatch(presented)
    return None if found is None else found[1]


def read_scopes(given: Sequence[str]) -> tuple[Scope, ...]:
    """Scopes as a user writes them, one or several ("predict,metrics") a text.

    Raises:
        ConfigError: one is not known, or there is none.
    """
    words = {word.strip().lower() for text in given for word in text.split(",")} - {""}
    unknown = sorted(words - set(SCOPES))
    if unknown or not words:
        what = f"scope {unknown[0]!r} is not known" if unknown else "a key needs a scope"
        raise ConfigError(what, where="--scope", mend=f"choose of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in words)


def read_expiry(given: str, now: datetime, where: str = "--expires") -> datetime:
    """A moment as a user writes it: "90d" from now (m, h, d, w), or a date, with or without a time.

    Args:
        given: the text.
        now: the present moment, in UTC, which is also the zone of a time that names none.
        where: the option that it was given with.

    Raises:
        ConfigError: it cannot be read, or is past.
    """
    period = _PERIOD.fullmatch(given.strip().lower())
    try:
        if period is not None:
            moment = now + timedelta(**{_UNITS[period[2]]: int(period[1])})
        else:
            moment = datetime.fromisoformat(given.strip())
    except (OverflowError, ValueError):
        mend = "a period, such as 90d, 12h or 2w; or a date, such as 2027-03-31"
        raise ConfigError(f"{given!r} is no time", where=where, mend=mend) from None
    moment = moment.astimezone(now.tzinfo) if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
    if moment <= now:
        raise ConfigError(f"{given} is not in the future", where=where, mend="a later date")
    return moment


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
