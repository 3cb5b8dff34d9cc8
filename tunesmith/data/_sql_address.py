"""Addresses of tables and queries in a database: `sqlite:///shop.db?table=tickets`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from tunesmith.config import password_in, redact
from tunesmith.data._suggest import did_you_mean
from tunesmith.errors import DataError

__all__ = ["SqlAddress", "parse_sql_address"]


@dataclass(frozen=True, slots=True)
class SqlAddress:
    """What an address says.

    Attributes:
        scheme: "sqlite", "duckdb" or "postgresql".
        database: the address without what follows; the password, if any, is in it.
        settings: what else stood behind "?", "name=value" as written.
        table: the table to read, or "".
        query: the SQL to run, or "".
        source: the whole address without its password, for errors.
    """

    scheme: str
    database: str
    settings: tuple[str, ...]
    table: str
    query: str
    source: str

    @property
    def file(self) -> str:
        """The path of a database in a file, as SQLAlchemy writes it: "sqlite:////x" is "/x".

        Raises:
            DataError: there is a host where none can be, or no path.
        """
        rest = unquote(self.database.partition("://")[2])
        if len(rest) < 2 or rest[0] != "/":
            raise DataError(
                f"an address of {self.scheme} needs three slashes and a file",
                where=self.source,
                mend=f"{self.scheme}:///shop.db, or {self.scheme}:////home/ann/shop.db",
            )
        return rest[1:]


def parse_sql_address(address: str) -> SqlAddress:
    """Takes an address apart.

    `query=` must come last, and is SQL up to the end. It is taken as it stands; only where it has
    no white space, without which there is no SQL, is it percent-decoded.

    Raises:
        DataError: both a table and a query, one of them empty, or (of a file) an unknown setting.
    """
    source = redact(address)
    if set(password_in(address)) & set("@/?#:[] "):
        # libpq would take it apart at the wrong place, and show a part of it.
        mend = "write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23; or set PGPASSWORD instead"
        raise DataError("the password is not percent-encoded", where=source, mend=mend)
    database, _, behind = address.partition("?")
    head, found, query = _before_query(behind)
    settings = [one for one in head.split("&") if one]
    tables = [one.partition("=")[2] for one in settings if one.startswith("table=")]
    others = tuple(one for one in settings if not one.startswith("table="))
    mend = f"{redact(database)}?table=NAME, or {redact(database)}?query=SELECT …"
    if len(tables) + found > 1:
        raise DataError("names more than one table or query", where=source, mend=mend)
    if "" in tables or (found and not query.strip()):
        raise DataError("names an empty table or query", where=source, mend=mend)
    if not any(char.isspace() for char in query):
        query = unquote_plus(query)
    scheme = database.partition("://")[0].lower()
    scheme = {"postgres": "postgresql"}.get(scheme, scheme)
    if scheme != "postgresql" and others:
        name = redact(f"x://?{others[0]}").partition("?")[2]
        guess = did_you_mean(name.partition("=")[0], ["table", "query"])
        raise DataError(f"does not know the setting {name!r}", where=source, mend=guess or mend)
    table = unquote(tables[0]) if tables else ""
    return SqlAddress(scheme, database, others, table, query.strip().rstrip(";"), source)


def _before_query(behind: str) -> tuple[str, bool, str]:
    """What stands before `query=`, whether there is one, and its SQL."""
    if behind.startswith("query="):
        return "", True, behind.removeprefix("query=")
    head, found, query = behind.partition("&query=")
    return head, bool(found), query
