"""The pool that lends connections."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from redis.connection import ConnectionPool
from redis.maint_notifications import MaintNotificationsConfig

from agentnb.core.forking import free_in_children
from agentnb.core.redis.connection import CLASSES, Parser

if TYPE_CHECKING:
    from agentnb.core.redis.connection import Timed

__all__ = ["Pool"]


class Pool(ConnectionPool):
    """Lends connections, the one used last first; a forked child starts with none.

    It differs from redis-py's in taking no lock and keeping no account of what is lent: a
    connection that an interrupt loses on its way is collected, and closed by that.

    Parameters
    ----------
    scheme
        ``"redis"``, ``"rediss"`` or ``"unix"``.
    keep
        Idle connections that are kept open; what comes back on top is closed.
    **options
        For the connections.
    """

    def __init__(self, scheme: str, *, keep: int = 32, **options: Any) -> None:
        self._keep = keep
        self._idle: list[Timed] = []
        self._make = CLASSES[scheme]
        super().__init__(
            self._make,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            parser_class=Parser,
            driver_info=None,
            **options,
        )

    def reset(self) -> None:
        """Begin with no connection; those there were are another process's."""
        super().reset()
        for lock in (self._lock, self._fork_lock):  # redis-py's own
            free_in_children(lock)
        self._idle = []

    def borrow(self) -> Timed:
        """Return a connection, which may have to be connected yet."""
        if self.pid != os.getpid():
            self._checkpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._make(**self.connection_kwargs)

    def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:  # noqa: ARG002 - redis-py's own
        """Return a connection that is connected, for a caller of redis-py's own."""
        connection = self.borrow()
        try:
            connection.limit(None)
            if connection.is_elsewhere:
                connection.disconnect()
            connection.connect()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        if connection.pid == os.getpid() == self.pid and len(self._idle) < self._keep:
            if connection.should_reconnect() or connection.is_elsewhere:
                connection.disconnect()
            self._idle.append(connection)
        else:
            connection.disconnect()

    def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - redis-py's own
        """Close the idle connections; a borrower closes the connection that it holds."""
        self._checkpid()
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()
