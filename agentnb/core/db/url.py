"""Database URLs as people have them, turned into what SQLAlchemy and the driver want.

Understood: SQLAlchemy URLs, libpq's ``postgres://``, and Prisma's dialect with its query
parameters and ``file:`` paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.errors import ConfigError, did_you_mean
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

_N = TypeVar("_N", int, float)

__all__ = ["Target", "parse", "unknown_backend"]

_POSTGRES = {"postgres", "postgresql", "postgresql+psycopg"}
_ASYNC_DRIVERS = {"asyncpg", "aiosqlite", "asyncmy", "aiomysql", "psycopg_async"}
_KNOWN = ("sqlite", "postgresql", "postgres", "mysql", "mariadb", "oracle", "mssql", "duckdb")
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
    """

    url: URL
    connect_args: dict[str, Any] = field(default_factory=dict)
    pool_size: int | None = None
    pool_timeout: float | None = None
    path: Path | None = None

    @property
    def kind(self) -> str:
        """Return ``"sqlite"``, ``"postgresql"``, ..."""
        return self.url.get_backend_name()

    def __str__(self) -> str:
        if self.kind == "sqlite":
            return str(self.path) if self.path else "sqlite in memory"
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
    >>> target = parse("postgres://ada:pw@db/app?schema=agents&connection_limit=5")
    >>> target.url.drivername, target.pool_size, target.connect_args["options"]
    ('postgresql+psycopg', 5, '-csearch_path=agents')
    """
    text = text.strip()
    if text.startswith("file:"):
        return _sqlite(text.removeprefix("file:").partition("?")[0], {}, resolve)
    url = _url(text)
    if url is None:
        # Neither the text nor SQLAlchemy's error, which quotes it: a password may be in it.
        scheme, separator, _ = text.partition("://")
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
    if name == "sqlite":
        return _sqlite(url.database or "", dict(url.query), resolve)
    if url.drivername in _POSTGRES:
        return _postgres(url)
    return Target(url)


def _url(text: str) -> URL | None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def unknown_backend(name: str) -> str | None:
    """Return a hint for a URL scheme that no driver is installed for."""
    return did_you_mean(name, _KNOWN)


def _sqlite(database: str, query: dict[str, Any], resolve: Callable[[str], Path]) -> Target:
    from sqlalchemy import URL

    if database in {"", ":memory:"}:
        return Target(URL.create("sqlite+pysqlite", database=":memory:"))
    if database.startswith("file:"):
        # SQLite's own URI form goes through as it is: its owner knows what it means.
        return Target(URL.create("sqlite+pysqlite", database=database, query=query))
    path = Path(resolve(database))
    return Target(URL.create("sqlite+pysqlite", database=str(path)), path=path)


def _postgres(url: URL) -> Target:
    query = {name: value for name, value in url.query.items() if name not in _PRISMA_ONLY}
    arguments: dict[str, Any] = {}
    options = [str(query.pop("options"))] if "options" in query else []
    if schema := _one(url, "schema"):
        # libpq splits `options` at spaces unless a backslash escapes them.
        escaped = schema.replace("\\", "\\\\").replace(" ", "\\ ")
        options.append(f"-csearch_path={escaped}")
    if options:
        arguments["options"] = " ".join(options)
    if _one(url, "pgbouncer") == "true":
        arguments["prepare_threshold"] = None
    return Target(
        url.set(drivername="postgresql+psycopg", query=query),
        arguments,
        pool_size=_number(url, "connection_limit", int),
        pool_timeout=_number(url, "pool_timeout", float),
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
            f"{name}={text} in the database URL is not a number above 0", service="db"
        )
    return value
