"""The named connections of a hub."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import close_all
from agentnb.core.errors import NotFoundError, UsageError, did_you_mean
from agentnb.core.extras import require
from agentnb.core.forking import new_rlock
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import text as checked
from agentnb.core.redact import Secret
from agentnb.core.table import Table
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.db.database import Database

__all__ = ["Databases", "Named"]

Named = tuple[Secret, bool]
"""The URL of a connection and whether it is read-only."""

DEFAULT_NAME = "default"
DUCK_NAME = "duck"
"""The connection to DuckDB in memory, which is there wherever DuckDB is installed."""


@refuse_unknown("db")
class Databases:
    """Databases by name, each opened on first use; names are matched exactly.

    Parameters
    ----------
    make
        Makes a database of a name, a URL and whether it is read-only.
    default_url
        Gives the URL of the connection named ``default``.
    named
        Where the connections that are named here are remembered, so that they can be
        opened again after `close`.
    """

    def __init__(
        self,
        make: Callable[[str, str, bool], Database],
        default_url: Callable[[], str],
        named: dict[str, Named] | None = None,
    ) -> None:
        self._make = make
        self._default_url = default_url
        self._named = {} if named is None else named
        self._lock = new_rlock()
        self._call_threads = CallThreads("db", limit=4)
        self._open: dict[str, Database] = {}

    def __getitem__(self, name: str) -> Database:
        database = self._open.get(name)
        if database is not None:
            return database
        with self._lock:
            if name in self._open:
                return self._open[name]
            if name in self._named:
                url, read_only = self._named[name]
                return self.connect(name, url, read_only=read_only)
            if name == DUCK_NAME:
                require(("duckdb",), "the connection duck", service="db")
                made = self._open[name] = self._made(name, "duckdb:///:memory:")
                return made
            if name != DEFAULT_NAME:
                raise NotFoundError(
                    f"no connection named {name!r}",
                    service="db",
                    hint=did_you_mean(name, {*self.names(), DUCK_NAME})
                    or f"hub.databases.connect({name!r}, URL) (%db connect {name} --env VARIABLE); "
                    f"there are: {', '.join(self.names())}",
                )
            made = self._open[name] = self._made(name, self._default_url())
            return made

    def connect(
        self,
        name: str,
        url: str | Secret,
        *,
        read_only: bool = False,
        ping: bool = False,
        before: Callable[[], object] | None = None,
    ) -> Database:
        """Name a connection; one of the same name is closed and replaced.

        Parameters
        ----------
        name
            Letters, digits, ``_`` and ``-``.
        url
            As `Database` takes it; a `Secret` for one that holds a password.
        read_only
            Let no statement write.
        ping
            Try it first: the one of the same name stays if there is no answer.
        before
            Called before that one is replaced.

        Raises
        ------
        UnavailableError
            The database that is to be tried cannot be reached.
        UsageError
            A name that could not be written on a magic's line.
        ConfigError
            The URL cannot be understood.
        """
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
            raise UsageError(
                f"{name!r} is not a name for a connection",
                service="db",
                hint="letters, digits, _ and -",
            )
        text = url.reveal() if isinstance(url, Secret) else checked("url", url, service="db")
        database = self._made(name, text, read_only=read_only)
        if ping:
            try:
                database.ping()
            except BaseException:
                database.close()
                raise
        if before is not None:
            before()
        with self._lock:
            former = self._open.get(name)
            self._open[name] = database
            self._named[name] = (Secret(text), read_only)
        if former is not None:
            former.close()
        return database

    def _made(self, name: str, url: str, *, read_only: bool = False) -> Database:
        made = self._make(name, url, read_only)
        if made.access.backend.takes_frames:
            made.access.backend.connections = partial(self._other, name)
        return made

    def _other(self, name: str, written: str) -> Database | None:
        """Return the connection whose tables the SQL of another one names.

        Parameters
        ----------
        name
            The connection whose SQL it is.
        written
            The name in front of a table, in any case; ``hub`` is the default connection.
        """
        names = [one for one in self.names() if one != name]
        exact = written if written in names else None
        near = [one for one in names if one.lower() == written.lower()]
        if exact is None and not near and written.lower() == "hub" and name != DEFAULT_NAME:
            exact = DEFAULT_NAME
        if exact is None and len(near) == 1:
            exact = near[0]
        return None if exact is None else self[exact]

    def forget(self, name: str) -> None:
        """Close a connection and forget its name; nothing happens if there is none.

        ``default`` and ``duck`` open anew at their next use.
        """
        with self._lock:
            database = self._open.pop(name, None)
            self._named.pop(name, None)
        if database is not None:
            database.close()

    def names(self) -> list[str]:
        """Return the names that can be used, the default one first; ``duck`` once it was used."""
        own = [DUCK_NAME] if DUCK_NAME in {*self._open, *self._named} else []
        others = [name for name in list(self._named) if name not in {DEFAULT_NAME, *own}]
        return [DEFAULT_NAME, *own, *others]

    def opened(self) -> list[Database]:
        """Return the databases that have been asked for."""
        return list(self._open.values())

    def list(self) -> Table:
        """Return name, kind, support, target and access of every connection; no password."""
        databases = [self[name] for name in self.names()]
        rows = [
            (
                db.name,
                db.kind,
                db.support,
                str(db.access.backend.target),
                "read" if db.read_only else "read, write",
            )
            for db in databases
        ]
        return Table(("name", "kind", "support", "target", "access"), rows)

    def close(self) -> None:
        """Close every connection; those that were named here are remembered."""
        with self._lock:
            databases = list(self._open.values())
            self._open.clear()
        close_all(database.close for database in reversed(databases))
        self._call_threads.close()

    aconnect = twin(connect)
    aforget = twin(forget)
    alist = twin(list)  # noqa: A003 - the method
    aclose = twin(close)
