from __future__ import annotations

import re
import traceback
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentnb
from agentnb.core.db import Database
from agentnb.core.db.postgres import Postgres
from agentnb.core.db.url import parse
from agentnb.core.errors import ConfigError
from agentnb.core.redis import target as redis_target
from agentnb.core.userinfo import ENCODE, split_userinfo

ESCAPE = re.compile("%[0-9A-Fa-f]{2}")


def test_prisma_parameters_are_translated():
    target = parse(
        "postgres://ada:pw@db:5433/app?schema=agents&connection_limit=5&pool_timeout=2.5"
        "&pgbouncer=true&sslmode=require&statement_cache_size=0&sslaccept=strict"
    )
    assert target.kind == "postgresql"
    assert target.url.drivername == "postgresql+psycopg"
    assert (target.url.host, target.url.port, target.url.database) == ("db", 5433, "app")
    assert dict(target.url.query) == {"sslmode": "require"}
    assert (target.schema, target.pooler) == ("agents", True)
    assert Postgres(target, read_only=False).connector.options == "-csearch_path=agents"
    assert (target.pool_size, target.pool_timeout) == (5, 2.5)


def test_a_connection_limit_is_a_limit():
    pytest.importorskip("psycopg")
    backend = Postgres(
        parse("postgres://db/app?connection_limit=3&pool_timeout=1"), read_only=False
    )
    engine = backend.engine(pool_size=5, connect_timeout=5)
    assert (engine.pool.size(), backend.capacity, backend.patience) == (3, 3, 1)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("agents", "agents"),
        ("agents, public", r"agents,\ public"),
        ("my%20app", r'"my\ app"'),
        ("MyApp", '"MyApp"'),
        ("odd-name", '"odd-name"'),
        ("%22MyApp%22", '"MyApp"'),
    ],
)
def test_a_schema_joins_options_that_are_there_and_is_quoted_where_it_has_to_be(schema, path):
    target = parse(f"postgresql://db/app?options=-cjit%3Doff&schema={schema}")
    assert Postgres(target, read_only=False).connector.options == f"-cjit=off -csearch_path={path}"
    assert Postgres(target, read_only=True).connector.options.endswith(
        "-cdefault_transaction_read_only=on"
    )


@pytest.mark.parametrize("driver", ["", "+psycopg", "+psycopg2", "+psycopg2cffi", "+pg8000"])
@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_every_spelling_of_postgresql_gets_the_same_driver(scheme, driver):
    target = parse(f"{scheme}{driver}://db/app")
    assert target.url.drivername == "postgresql+psycopg"
    assert (target.note is not None) == (driver not in {"", "+psycopg"})


@pytest.mark.parametrize("driver", ["postgresql+foo", "sqlite+pysqlcipher"])
def test_a_driver_that_agentnb_does_not_connect_with_is_refused(driver):
    with pytest.raises(ConfigError, match="is not a driver") as caught:
        parse(f"{driver}:///app")
    assert caught.value.hint == f"write {driver.partition('+')[0]}:// alone"


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
    ["sqlite://app.db", "sqlite://data/app.db", "sqlite://:memory:", "sqlite://ada:pw@host/app.db"],
)
def test_a_sqlite_path_with_a_slash_too_few_is_refused(url, tmp_path):
    with pytest.raises(ConfigError, match="slash too few") as caught:
        parse(url)
    assert "sqlite:///app.db" in caught.value.hint
    with agentnb.connect(home=tmp_path / "home") as hub, pytest.raises(ConfigError):
        hub.databases.connect("other", url)


def test_a_duckdb_path_with_a_slash_too_few_is_refused():
    with pytest.raises(ConfigError, match="slash too few"):
        parse("duckdb://app.db")


def test_options_of_a_sqlite_url_are_kept_or_refused():
    assert parse("sqlite:///dev.db?connection_limit=3&pool_timeout=2").pool_size == 3
    with pytest.raises(ConfigError, match="mode is not an option of a SQLite URL") as caught:
        parse("sqlite:///dev.db?mode=ro")
    assert "read_only=True" in caught.value.hint


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
    with pytest.raises(ConfigError, match=f"connection_limit .* greater than 0, got '{limit}'"):
        parse(f"postgres://db/app?connection_limit={limit}")


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "mysql+aiomysql"])
def test_an_asynchronous_driver_is_refused_with_the_way_out(driver):
    with pytest.raises(ConfigError, match="asynchronous driver") as caught:
        parse(f"{driver}://u:hunter22@db/app")
    assert f"{driver.partition('+')[0]}://" in caught.value.hint
    assert "aquery" in caught.value.hint


def test_a_database_without_a_driver_is_a_config_error_that_says_so():
    for url, package in (
        ("oracle://db/app", "%pip install oracledb"),
        ("mssql://db/app", "%pip install pyodbc"),
        ("mysql://db/app", "%pip install pymysql, and write mysql+pymysql://"),
        ("mysql+foo://db/app", "%pip install pymysql, and write mysql+pymysql://"),
        ("mysql+mysqlconnector://db/app", "%pip install mysql-connector-python"),
        ("snowflake://db/app", "%pip install snowflake-sqlalchemy"),
    ):
        with pytest.raises(ConfigError, match="no driver for") as caught:
            Database(url).query("select 1")
        assert caught.value.hint == package
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
    for text in (str(target), repr(database), str(database.access.log.extra)):
        assert "w+ord" not in text
        assert "p%40ss" not in text
        assert "hunter22" not in text
    assert "ada" in str(target)


SPECIAL = "postgresql", "mysql+pymysql", "mariadb+pymysql", "oracle"


@pytest.mark.parametrize("scheme", SPECIAL)
@pytest.mark.parametrize(
    "password", ["Tr0ub@S3cretTail", "a:b", "a#b", "100%", "@", "p@ss:w#rd%", "a@b@c"]
)
def test_a_password_is_read_up_to_the_last_at_sign(scheme, password):
    target = parse(f"{scheme}://ada:{password}@db:1/app")
    assert (target.url.username, target.url.password) == ("ada", password)
    assert (target.url.host, target.url.port, target.url.database) == ("db", 1, "app")


@pytest.mark.parametrize("scheme", SPECIAL)
@pytest.mark.parametrize(
    "password", ["Tr0ub/S3cretTail", "Tr0ub?S3cretTail", "12/S3cret", "12?S3=cret", "%4x1%41Tail"]
)
def test_a_password_that_cannot_be_told_from_the_rest_is_refused_and_not_shown(scheme, password):
    with pytest.raises(ConfigError, match="a special character in the password") as caught:
        parse(f"{scheme}://ada:{password}@db/app")
    assert "%2F" in caught.value.hint
    for part in ("Tr0ub", "S3cret", "12", "Tail", "ada"):
        assert part not in str(caught.value)


@pytest.mark.parametrize("password", ["12/S3cret", "12?S3cret", "Tr0ub/S3cret", "%4x1%41Tail"])
def test_redis_refuses_the_same_passwords(password):
    with pytest.raises(ConfigError, match="a special character in the password"):
        redis_target.parse(f"redis://:{password}@cache:6380/0")


@pytest.mark.parametrize("password", ["Tr0ub@S3cretTail", "12#S3cret", "a:b", "100%"])
def test_redis_reads_a_password_up_to_the_last_at_sign(password):
    target = redis_target.parse(f"redis://:{password}@cache:6380/0")
    assert target.options["password"] == password
    assert target.name == "redis://cache:6380/0"


@given(
    user=st.text(st.characters(exclude_characters=":/?", exclude_categories=["Cs"])),
    password=st.text(st.characters(exclude_categories=["Cs"])),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_encoded_is_read_back_and_what_is_not_is_read_rightly_or_refused(user, password):
    quoted = f"x://{quote(user, safe='')}:{quote(password, safe='')}@db:1/app?a=b"
    parts = split_userinfo(quoted, "db")
    assert (parts.user, parts.password, parts.rest) == (user, password, "db:1/app?a=b")
    assert split_userinfo(parts.encoded(), "db") == parts
    try:
        raw = split_userinfo(f"x://u:{password}@db:1/app", "db")
    except ConfigError as error:
        assert error.hint == ENCODE  # noqa: PT017 - either is right
    else:
        # An escape is an escape; else a password is what it looks like.
        assert raw.rest == "db:1/app"
        assert raw.password == (unquote(password) if ESCAPE.search(password) else password)


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
