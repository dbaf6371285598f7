from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from agentnb.core.db import Database
from agentnb.core.db.postgres import Postgres
from agentnb.core.db.url import parse
from agentnb.core.errors import ConfigError


def test_prisma_parameters_are_translated():
    target = parse(
        "postgres://ada:pw@db:5433/app?schema=agents&connection_limit=5&pool_timeout=2.5"
        "&pgbouncer=true&sslmode=require&statement_cache_size=0&sslaccept=strict"
    )
    assert target.kind == "postgresql"
    assert target.url.drivername == "postgresql+psycopg"
    assert (target.url.host, target.url.port, target.url.database) == ("db", 5433, "app")
    assert dict(target.url.query) == {"sslmode": "require"}
    assert target.connect_args == {"options": "-csearch_path=agents", "prepare_threshold": None}
    assert (target.pool_size, target.pool_timeout) == (5, 2.5)


def test_a_connection_limit_is_a_limit():
    pytest.importorskip("psycopg")
    backend = Postgres(
        parse("postgres://db/app?connection_limit=3&pool_timeout=1"), read_only=False
    )
    engine = backend.engine(pool_size=5, connect_timeout=5)
    assert (engine.pool.size(), backend.capacity, backend.patience) == (3, 3, 1)


def test_a_schema_joins_options_that_are_there_and_its_spaces_are_escaped():
    target = parse("postgresql://db/app?options=-cjit%3Doff&schema=my%20app")
    assert target.connect_args["options"] == "-cjit=off -csearch_path=my\\ app"


@pytest.mark.parametrize(
    "url", ["postgres://db/app", "postgresql://db/app", "postgresql+psycopg://db/app"]
)
def test_every_spelling_of_postgresql_gets_the_same_driver(url):
    assert parse(url).url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:./dev.db", "dev.db"),
        ("file:dev.db?connection_limit=1", "dev.db"),
        ("sqlite:///dev.db", "dev.db"),
        ("sqlite+pysqlite:///dev.db", "dev.db"),
        ("  sqlite:///dev.db\n", "dev.db"),
        ("sqlite:////srv/a b/dev.db", "/srv/a b/dev.db"),
    ],
)
def test_sqlite_files_are_found(url, path):
    target = parse(url)
    assert (target.kind, target.path) == ("sqlite", Path(path))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_sqlite_in_memory_has_no_path(url):
    target = parse(url)
    assert (target.path, target.url.database, str(target)) == (
        None,
        ":memory:",
        "sqlite in memory",
    )


def test_a_relative_path_is_resolved_by_the_one_who_knows_where(tmp_path):
    target = parse("sqlite:///data/dev.db", lambda path: tmp_path / path)
    assert target.path == tmp_path / "data" / "dev.db"


@pytest.mark.parametrize(
    "url",
    ["", "app.db", "postgresql:/db", "://db", "postgresql://u:p@db:port/app", "http//x"],
)
def test_what_is_no_url_is_a_config_error_with_an_example(url):
    with pytest.raises(ConfigError, match="not a database URL") as caught:
        parse(url)
    assert "postgresql://user@host:5432/name" in caught.value.hint


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_a_limit_that_is_no_number_above_zero_is_a_config_error(limit):
    with pytest.raises(ConfigError, match=f"connection_limit={limit}"):
        parse(f"postgres://db/app?connection_limit={limit}")


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "mysql+aiomysql"])
def test_an_asynchronous_driver_is_refused_with_the_way_out(driver):
    with pytest.raises(ConfigError, match="asynchronous driver") as caught:
        parse(f"{driver}://u:hunter22@db/app")
    assert f"{driver.partition('+')[0]}://" in caught.value.hint
    assert "aquery" in caught.value.hint


def test_a_database_without_a_driver_is_a_config_error_that_says_so():
    with pytest.raises(ConfigError, match="no driver for oracle"):
        Database("oracle://db/app").query("select 1")
    with pytest.raises(ConfigError, match="no driver for postgrsql") as caught:
        Database("postgrsql://ada:hunter22@db/app").query("select 1")
    assert caught.value.hint == "did you mean postgresql?"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter22@db:port/app",
        "postgresql://ada:hun/ter22@db:x/app",
        "postgresql://ada:hun#ter22@db:x/app",
        "postgresql://ada:hun@ter22@db:x/app",
        "postgres//ada:hunter22@db/app",
        "postgres+asyncpg://ada:hunter22@db/app",
        "postgres://ada:hunter22@db/app?connection_limit=x",
    ],
)
def test_a_password_is_in_no_part_of_the_error(url):
    with pytest.raises(ConfigError) as caught:
        Database(url)
    shown = "".join(traceback.format_exception(caught.value))
    shown += repr(caught.value.__cause__) + repr(caught.value.__context__)
    shown = shown.replace(url, "").replace("Database(url)", "")
    for part in ("hunter22", "ter22", "hun/", "hun#", "hun@"):
        assert part not in shown


def test_a_password_is_shown_nowhere_and_reaches_the_driver_as_it_was_meant():
    target = parse("postgresql://ada:p%40ss%2Fw%2Bord%20%25@db/app")
    assert target.url.password == "p@ss/w+ord %"
    database = Database("postgresql://ada:p%40ss%2Fw%2Bord%20%25@db/app?password=hunter22")
    for text in (str(target), repr(database), str(database.log.extra)):
        assert "w+ord" not in text
        assert "p%40ss" not in text
        assert "hunter22" not in text
    assert "ada" in str(target)


def test_adbc_gets_the_same_user_password_and_options():
    from urllib.parse import parse_qs, urlsplit

    target = parse(
        "postgres://a%2Bb:p%40ss%2Fw%2Bord%20%25@db:5433/my%20app?schema=s&sslmode=disable"
    )
    uri = urlsplit(Postgres(target, read_only=False).uri_for_adbc())
    assert "+" not in uri.query
    assert {name: value for name, (value,) in parse_qs(uri.query).items()} == {
        "user": "a+b",
        "password": "p@ss/w+ord %",
        "host": "db",
        "port": "5433",
        "connect_timeout": "5",
        "dbname": "my app",
        "sslmode": "disable",
        "options": "-csearch_path=s -cdefault_transaction_read_only=on",
    }
