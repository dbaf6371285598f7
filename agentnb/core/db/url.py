"""Database URLs as people have them, turned into what SQLAlchemy and the driver want.

Understood: SQLAlchemy URLs, libpq's ``postgres://``, and Prisma's dialect with its query
parameters and ``file:`` paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.errors import ConfigError
from agentnb.core.redact import redact
from agentnb.core.userinfo import split_userinfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

_N = TypeVar("_N", int, float)

__all__ = ["Target", "parse"]

_POSTGRES = {"postgres", "postgresql"}
_PSYCOPG = {"", "psycopg"}
# They take libpq's words in a URL, as psycopg does.
_THROUGH_PSYCOPG = {"psycopg2", "psycopg2cffi", "pg8000"}
_ASYNC_DRIVERS = {"asyncpg", "aiosqlite", "asyncmy", "aiomysql", "psycopg_async"}
_POOLER = {"true": True, "false": False}
_FILES = {"sqlite", "duckdb"}
_SQLITE_DRIVERS = {"", "pysqlite"}
# Prisma's parameters that psycopg has no word for. `sslaccept` and the socket time-outs
# have no counterpart; sslmode, where given, says what matters.
_PRISMA_ONLY = (
    "schema",
    "connection_limit",
    "pool_timeout",
    "pgbouncer",
    "socket_timeout",
    "statement_cache_size",
    "sslaccept",
)


@dataclass(slots=True)
class Target:
    """Where to connect, in the words of SQLAlchemy.

    Parameters
    ----------
    url
        A SQLAlchemy URL, always with its driver's name where there is a choice.
    connect_args
        Keywords for the driver.
    pool_size, pool_timeout
        From Prisma's ``connection_limit`` and ``pool_timeout``; None where not given.
    path
        The file of a SQLite database; None in memory or on a server.
    schema
        From Prisma's ``schema``: where PostgreSQL looks for names without one.
    pooler
        Whether PgBouncer is in front of PostgreSQL, in transaction mode; None where the URL does
        not say it.
    note
        A line for the log, once there is a connection.
    """

    url: URL
    connect_args: dict[str, Any] = field(default_factory=dict)
    pool_size: int | None = None
    pool_timeout: float | None = None
    path: Path | None = None
    schema: str | None = None
    pooler: bool | None = None
    note: str | None = None

    @property
    def kind(self) -> str:
        """Return ``"sqlite"``, ``"postgresql"``, ..."""
        return self.url.get_backend_name()

    def __str__(self) -> str:
        if self.kind == "sqlite":
            return str(self.path) if self.path else "sqlite in memory"
        if self.kind == "duckdb" and self.url.database in {None, "", ":memory:"}:
            return "duckdb in memory"
        # The query may hold a password too (`?password=`).
        return redact(self.url.render_as_string(hide_password=True))


def parse(text: str, resolve: Callable[[str], Path] = Path) -> Target:
    """Translate a database URL.

    Parameters
    ----------
    text
        ``sqlite:///file.db``, ``sqlite://`` (in memory), ``postgresql://...``,
        ``postgres://...?schema=app&connection_limit=5`` (Prisma), ``file:./dev.db``
        (Prisma's SQLite), or any other SQLAlchemy URL whose driver is installed.
    resolve
        Makes a relative SQLite path absolute; default: relative to the working directory.

    Raises
    ------
    ConfigError
        The URL cannot be understood; its password is not in the message.

    Examples
    --------
    >>> target = parse("postgres://ada:p@ss@db/app?schema=agents&connection_limit=5")
    >>> str(target), target.pool_size, target.schema
    ('postgresql+psycopg://ada:••••••@db/app', 5, 'agents')
    """
    text = text.strip()
    if text.startswith("file:"):
        # A URL with the same query: its path may hold what means something in a URL.
        path, _, query = text.removeprefix("file:").partition("?")
        url = _url(f"sqlite://?{query}")
        return _sqlite(path, dict(url.query) if url else {}, resolve)
    url = _url(text)
    if url is None:
        # Neither the text nor SQLAlchemy's error, which quotes it: a password may be in it.
        scheme, separator, _ = text.partition("://")
        if separator and scheme in _FILES:
            raise _slash_too_few(scheme)
        start = f"it starts with {scheme}://" if separator else "there is no :// in it"
        raise ConfigError(
            f"not a database URL: {redact(start)}",
            service="db",
            hint="such as sqlite:///app.db or postgresql://user@host:5432/name; a password "
            "stands behind the user and a colon, its special characters percent-encoded",
        )
    name, _, driver = url.drivername.partition("+")
    if driver in _ASYNC_DRIVERS:
        raise ConfigError(
            f"{url.drivername} is an asynchronous driver",
            service="db",
            hint=f"write {name}:// alone; the a-twins (aquery, aexecute) are there to await",
        )
    if name in _FILES and (url.host or url.port or url.username or url.password):
        raise _slash_too_few(name)
    if name == "sqlite":
        _check_driver(name, driver, _SQLITE_DRIVERS)
        return _sqlite(url.database or "", dict(url.query), resolve)
    if name in _POSTGRES:
        _check_driver(name, driver, _PSYCOPG | _THROUGH_PSYCOPG)
        return _postgres(url, driver)
    return Target(url)


def _url(text: str) -> URL | None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" in text:
        text = split_userinfo(text, "db").encoded()
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def _slash_too_few(name: str) -> ConfigError:
    """Return the error for the host of a file: it is a path, and would be ignored."""
    return ConfigError(
        f"a {name} URL has no host: there is a slash too few in front of the path",
        service="db",
        hint=f"{name}:///app.db is a file, {name}:////srv/app.db one by its absolute path, "
        f"{'sqlite://' if name == 'sqlite' else 'duckdb:///:memory:'} is in memory",
    )


def _check_driver(name: str, driver: str, known: set[str]) -> None:
    if driver not in known:
        raise ConfigError(
            f"{name}+{driver} is not a driver that agentnb connects with",
            service="db",
            hint=f"write {name}:// alone",
        )


def _sqlite(database: str, query: dict[str, Any], resolve: Callable[[str], Path]) -> Target:
    from sqlalchemy import URL

    if database.startswith("file:"):
        # SQLite's own URI form goes through as it is: its owner knows what it means.
        return Target(URL.create("sqlite+pysqlite", database=database, query=query))
    if strange := [option for option in query if option not in _PRISMA_ONLY]:
        raise ConfigError(
            f"{strange[0]} is not an option of a SQLite URL",
            service="db",
            hint="write sqlite:///file:app.db?mode=ro&uri=true for SQLite's own options; "
            "a connection that only reads is made with read_only=True (--read-only)",
        )
    if database in {"", ":memory:"}:
        return Target(URL.create("sqlite+pysqlite", database=":memory:"))
    url = URL.create("sqlite+pysqlite", database=database, query=query)
    path = Path(resolve(database))
    return Target(
        URL.create("sqlite+pysqlite", database=str(path)),
        path=path,
        pool_size=_number(url, "connection_limit", int),
        pool_timeout=_number(url, "pool_timeout", float),
    )


def _postgres(url: URL, driver: str) -> Target:
    query = {name: value for name, value in url.query.items() if name not in _PRISMA_ONLY}
    arguments: dict[str, Any] = {}
    if options := query.pop("options", None):
        arguments["options"] = options if isinstance(options, str) else " ".join(options)
    note = f"postgresql+{driver} is served by psycopg" if driver in _THROUGH_PSYCOPG else None
    return Target(
        url.set(drivername="postgresql+psycopg", query=query),
        arguments,
        pool_size=_number(url, "connection_limit", int),
        pool_timeout=_number(url, "pool_timeout", float),
        schema=_one(url, "schema"),
        pooler=_POOLER.get(_one(url, "pgbouncer") or ""),
        note=note,
    )


def _one(url: URL, name: str) -> str | None:
    value = url.query.get(name)
    return value if isinstance(value, str) or value is None else value[-1]


def _number(url: URL, name: str, kind: Callable[[str], _N]) -> _N | None:
    text = _one(url, name)
    if text is None:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = kind("0")
    if value <= 0:
        raise ConfigError(
            f"{name} in the database URL must be greater than 0, got {text!r:.60}",
            service="db",
            hint=f"?{name}=5 at the end of the URL",
        )
    return value
