"""The connection whose cursors are those of a pool: it closes with the last of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.duck.dbapi import DuckConnection
from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Roots"]


class Roots:
    """The root of a database, which is opened by its first connection.

    Closing a root closes its cursors, also those that run a statement in another thread, and
    fails while they do. So one that is retired closes with its last connection.

    Parameters
    ----------
    opened
        Opens a root.
    shared
        Whether two roots of one database exclude each other, as those of a file do.
    """

    def __init__(self, opened: Callable[[], Any], *, shared: bool) -> None:
        self._opened = opened
        self._shared = shared
        self._lock = new_lock()
        self._root: Any = None
        self._lent: dict[int, tuple[Any, set[DuckConnection]]] = {}
        self._inherited: list[Any] = []

    def connect(self) -> DuckConnection:
        """Return a new connection of the root."""
        with self._lock:
            if self._root is None:
                self._root = self._retired() or self._opened()
            root = self._root
            connection = DuckConnection(root.cursor(), self._closed, root)
            self._lent.setdefault(id(root), (root, set()))[1].add(connection)
        return connection

    def retire(self) -> None:
        """Close the root, once its last connection is closed; these are lent no more."""
        with self._lock:
            root, self._root = self._root, None
            lent = self._lent.get(id(root), (root, set()))[1]
            for connection in lent:
                connection.retired = True
            if root is not None and not lent:
                root.close()

    def forked(self) -> None:
        """Leave all roots to the parent: their threads are not here."""
        self._inherited += [self._root, self._lent]
        self._lock = new_lock()
        self._root, self._lent = None, {}

    def _retired(self) -> Any:
        """Return a root that still has connections, where another cannot be opened beside it."""
        return next((root for root, _ in self._lent.values()), None) if self._shared else None

    def _closed(self, connection: DuckConnection) -> None:
        with self._lock:
            root, lent = self._lent.get(id(connection.root), (None, set()))
            lent.discard(connection)
            if root is not None and not lent:
                del self._lent[id(root)]
                if root is not self._root:
                    root.close()
