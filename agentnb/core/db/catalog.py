"""The names of tables and columns for completion, within a short time."""

from __future__ import annotations

from concurrent.futures import wait
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.background import run_in_thread
from agentnb.core.db import schema
from agentnb.core.errors import AgentnbError
from agentnb.core.forking import ForkGuard, new_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from agentnb.core.db.database import Database

__all__ = ["Catalog"]


class Catalog:
    """Names of a database for completion: remembered for a moment, never waited for long.

    Parameters
    ----------
    database
        Asked only if asking it is quick: a SQLite file, or a server that is connected.
    fresh
        Seconds for which an answer is taken again without asking.
    patience
        Seconds to wait for an answer; a later one serves the next time.
    """

    def __init__(self, database: Database, *, fresh: float = 3.0, patience: float = 0.8) -> None:
        self.database = database
        self._fresh = fresh
        self._patience = patience
        self._lock = new_lock()
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asking: dict[str, Future[None]] = {}
        self._fork = ForkGuard()
        self._others: dict[str, Catalog] = {}

    def tables(self, start: str = "") -> list[str]:
        """Return the names of the tables and views.

        Parameters
        ----------
        start
            The part of the name typed so far: agentnb's own tables are offered to those who begin
            with ``agentnb``.
        """
        name, other, _ = self._elsewhere(start)
        if other is not None:
            return [f"{name}.{table}" for table in other.tables()]
        names = self._names("", lambda: self.database.tables(internal=True).column("name"))
        if start.lstrip('"').startswith("agentnb"):
            return names
        return [name for name in names if not schema.is_internal(name)]

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns; none where there is no such table."""
        _, other, name = self._elsewhere(table)
        if other is not None:
            return other.columns(name)
        return self._names(table, lambda: schema.columns(self.database.access, table))

    def _elsewhere(self, name: str) -> tuple[str, Catalog | None, str]:
        """Return the names of the connection that a name such as ``prod.orders`` means."""
        connections = self.database.access.backend.connections
        first, dot, rest = name.partition(".")
        found = connections(first.strip('"')) if connections and dot else None
        if found is None:
            return first, None, rest
        kept = self._others.get(found.name)
        if kept is None or kept.database is not found:
            kept = self._others[found.name] = Catalog(found)
        return first, kept, rest.strip('"')

    def _names(self, key: str, ask: Callable[[], list[str]]) -> list[str]:
        with self._lock:
            when, names = self._known.get(key, (float("-inf"), []))
            if monotonic() - when < self._fresh or not self.database.access.answers_quickly:
                return names
            if self._fork.forked:
                self._fork.reset()
                self._asking.clear()  # a parent's threads are not there
            asking = self._asking.get(key)
            if asking is None:
                asking = run_in_thread(self._ask, key, ask, name="db-names")
                self._asking[key] = asking
        wait({asking}, self._patience)
        with self._lock:
            return self._known.get(key, (0.0, []))[1]

    def _ask(self, key: str, ask: Callable[[], list[str]]) -> None:
        try:
            names = ask()
        except AgentnbError:
            names = []  # an error would interrupt typing; running the line shows it
        with self._lock:
            self._known[key] = (monotonic(), names)
            self._asking.pop(key, None)
