"""Tables and queries of databases."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tunesmith.data import read_table, source_name, source_stem
from tunesmith.data._sql_address import parse_sql_address
from tunesmith.data._sql_drivers import _libpq
from tunesmith.errors import DataError, MissingDependencyError

SECRET = "postgresql://ann:hunter2@127.0.0.1:1/shop"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE tickets (text TEXT, label TEXT, n)")
        rows = [("first", "a", 1), ("second", "b", None), ("third", "a", "x")]
        database.executemany("INSERT INTO tickets VALUES (?, ?, ?)", rows)
        database.commit()
    return path


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_the_only_table(shop: Path) -> None:
    table = read_table(f"sqlite:///{shop}")
    assert table.column_names == ["text", "label", "n"]
    assert table.column("text") == ["first", "second", "third"]
    assert table.column("n") == ["1", None, "x"]
    assert table.source == f"sqlite:///{shop}"


def test_table_and_query(shop: Path) -> None:
    run(shop, 'CREATE TABLE "odd "" name" (text)', 'INSERT INTO "odd "" name" VALUES (\'x\')')
    assert read_table(f'sqlite:///{shop}?table=odd "%20name'.replace("%20", " ")).num_rows == 1
    assert read_table(f"sqlite:///{shop}?table=odd%20%22%20name").num_rows == 1
    query = "SELECT text FROM tickets WHERE label = 'a' AND text LIKE '%ir%' OR 1 + 1 = 3;"
    assert read_table(f"sqlite:///{shop}?query={query}").column("text") == ["first", "third"]
    encoded = "SELECT%20text+FROM%20tickets"
    assert read_table(f"sqlite:///{shop}?query={encoded}").num_rows == 3


def test_many_rows_whose_types_change(shop: Path) -> None:
    query = (
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 25000) "
        "SELECT i, CASE WHEN i > 20000 THEN 'x' ELSE i END AS label FROM c"
    )
    table = read_table(f"sqlite:///{shop}?query={query}")
    assert table.num_rows == 25_000
    assert table.column("i")[-1] == 25_000
    assert table.column("label")[19_999:20_001] == ["20000", "x"]


def test_a_relative_path(shop: Path, monkeypatch) -> None:
    monkeypatch.chdir(shop.parent)
    assert read_table("sqlite:///shop.db?table=tickets").num_rows == 3
    with pytest.raises(DataError, match=f"four slashes begin a path at the root: sqlite:///{shop}"):
        read_table(f"sqlite://{shop}")


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        ("?table=tickts", "no such table: tickts\n  → did you mean 'tickets'. the tables are"),
        ("?query=SELECT nope FROM tickets", "the query fails: no such column: nope"),
        ("?query=SELEC text FROM tickets", "the query fails: near .SELEC.: syntax error"),
        ("?query=DELETE FROM tickets", "does more than read: .*\n  → only SELECT is run"),
        ("?query=ATTACH 'x.db' AS x", "does more than read"),
        ("?query=PRAGMA journal_mode=DELETE", "does more than read"),
        ("?query=SELECT 1; DROP TABLE tickets", "one statement"),
        ("?query=SELECT text, text FROM tickets", "occur more than once: 'text'"),
        ("?query=SELECT text FROM tickets WHERE 0", "there are no rows"),
        ("?query=", "names an empty table or query"),
        ("?table=a&query=SELECT 1", "names more than one table or query"),
        ("?tabel=tickets", r"does not know the setting 'tabel=tickets'\n  → did you mean 'table'?"),
    ],
)
def test_what_is_wrong_with_the_query(shop: Path, behind: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(f"sqlite:///{shop}{behind}")
    assert caught.value.faults[0].where == f"sqlite:///{shop}{behind}"
    assert read_table(f"sqlite:///{shop}").num_rows == 3


def test_what_is_wrong_with_the_database(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\na,b\n")
    run(tmp_path / "empty.db", "PRAGMA user_version = 1")
    run(tmp_path / "two.db", "CREATE TABLE a (x)", "CREATE VIEW b AS SELECT 1 AS y")
    for name, message in [
        ("x.csv", "is not an SQLite database"),
        ("shp.db", "no such file\n  → did you mean 'shop.db'"),
        ("empty.db", "the database has no tables"),
        ("two.db", r"the database has 2 tables\n  → name one, \?table=a: 'a', 'b'"),
        ("", "is a folder"),
    ]:
        with pytest.raises(DataError, match=message):
            read_table(f"sqlite:///{tmp_path}/{name}")
    with pytest.raises(DataError, match="needs three slashes"):
        read_table("sqlite://shop.db")
    data = bytearray(shop.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (tmp_path / "torn.db").write_bytes(data)
    with pytest.raises(DataError, match=r"torn\.db"):
        read_table(f"sqlite:///{tmp_path}/torn.db")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_nothing_is_written(shop: Path, mode: str) -> None:
    run(shop, f"PRAGMA journal_mode={mode}")
    content, before = shop.read_bytes(), shop.stat()
    assert read_table(f"sqlite:///{shop}").num_rows == 3
    assert shop.read_bytes() == content
    assert shop.stat().st_mtime_ns == before.st_mtime_ns
    assert [child.name for child in shop.parent.iterdir()] == ["shop.db"]


def test_a_database_is_told_how_it_is_read(shop: Path) -> None:
    with pytest.raises(DataError, match=f"sqlite:///{shop}"):
        read_table(shop)


def test_missing_drivers(shop: Path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    for address in (f"{SECRET}?table=x", f"duckdb:///{shop}"):
        with pytest.raises(
            MissingDependencyError, match=r"pip install 'tunesmith\[sql\]'"
        ) as caught:
            read_table(address)
        assert "hunter2" not in str(caught.value)


def test_postgresql_address() -> None:
    parsed = parse_sql_address(f"{SECRET}?sslmode=require&table=public.tickets")
    uri, secrets = _libpq(parsed)
    assert uri.startswith(f"{SECRET}?sslmode=require&connect_timeout=15&options=-c%20default")
    assert "hunter2" in secrets
    assert (parsed.table, parsed.source.count("***")) == ("public.tickets", 1)
    uri, secrets = _libpq(parse_sql_address("postgres://ann:***@h/shop?options=-cx&table=t"))
    assert uri.startswith("postgres://ann@h/shop?connect_timeout=15&options=-cx%20-c%20")
    assert secrets == ()
    with pytest.raises(DataError, match="not percent-encoded") as caught:
        parse_sql_address("postgresql://ann:p@ss/w?rd@h/shop?table=t")
    assert "ss/w" not in str(caught.value)


def test_postgresql_out_of_reach() -> None:
    pytest.importorskip("adbc_driver_postgresql")
    with pytest.raises(DataError, match=r"cannot be opened: .*refused") as caught:
        read_table(f"{SECRET}?table=tickets")
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif("TUNESMITH_TEST_POSTGRESQL" not in os.environ, reason="needs a server")
def test_postgresql() -> None:
    """Set TUNESMITH_TEST_POSTGRESQL to the address of an empty database to write to."""
    from adbc_driver_postgresql import dbapi

    address = os.environ["TUNESMITH_TEST_POSTGRESQL"]
    with dbapi.connect(address, autocommit=True) as database, database.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS tickets")
        cursor.execute("CREATE TABLE tickets AS SELECT 'row ' || i AS text, i % 3 AS label "
                       "FROM generate_series(1, 25000) i")  # fmt: skip
    assert read_table(f"{address}?table=tickets").num_rows == 25_000
    assert read_table(f"{address}?query=SELECT text FROM tickets WHERE label = 1").num_rows == 8_334
    for sql in ("DELETE FROM tickets", "DELETE FROM tickets RETURNING text"):
        with pytest.raises(DataError, match="read-only transaction"):
            read_table(f"{address}?query={sql}")
    with pytest.raises(DataError, match="did you mean 'tickets'"):
        read_table(f"{address}?table=tickts")
    assert read_table(f"{address}?table=public.tickets").num_rows == 25_000


def test_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE tickets AS SELECT 'x' || i AS text, i FROM range(9) t(i)")
    assert read_table(f"duckdb:///{path}").column("text")[:2] == ["x0", "x1"]
    assert read_table(f"duckdb:///{path}?query=SELECT text FROM tickets WHERE i > 5").num_rows == 3
    for sql, message in [
        ("SELECT nope FROM tickets", "the query fails"),
        ("DROP TABLE tickets", "the query fails"),
        (f"COPY tickets TO '{tmp_path}/x.csv'", "the query fails"),
    ]:
        with pytest.raises(DataError, match=message):
            read_table(f"duckdb:///{path}?query={sql}")
    path.write_text("text,label\n")
    with pytest.raises(DataError, match="cannot be opened"):
        read_table(f"duckdb:///{path}")
    assert [child.name for child in tmp_path.iterdir()] == ["shop.duckdb"]


@pytest.mark.parametrize("address", ["https://u:hunter2@h/x.csv?key=hunter2", "s3://a:hunter2@b/c"])
def test_other_addresses(address: str) -> None:
    with pytest.raises(DataError, match="data is not read from") as caught:
        read_table(address)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "name", "stem"),
    [
        ("data/tickets.v2.csv", "tickets.v2.csv", "tickets"),
        ("data/*.csv", "*.csv", "data"),
        ("*.csv", "*.csv", "run"),
        ("sqlite:////home/ann/shop.db?table=tickets", "shop.db, table tickets", "tickets"),
        ("sqlite:///shop.db?query=SELECT 'a/b' FROM t", "shop.db, a query", "shop"),
        (f"{SECRET}?sslmode=x&table=tickets", "shop, table tickets", "tickets"),
        (SECRET, "shop", "shop"),
        ("postgresql://ann:hunter2@host?table=x", "host, table x", "x"),
        ("hf://datasets/ann/shop@main/train", "ann/shop@main/train", "ann-shop"),
    ],
)
def test_names_that_travel(source: str, name: str, stem: str) -> None:
    assert (source_name(source), source_stem(source, "run")) == (name, stem)
