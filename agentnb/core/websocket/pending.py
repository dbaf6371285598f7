"""Limit the connections whose handshake is not over."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Handshakes", "descriptors"]

_logger = logging.getLogger("agentnb.websocket.server")
_RESERVED = 48  # descriptors for files, the bus and the loop
_SECONDS_QUIET = 60.0


def descriptors() -> int:
    """Return how many connections this process may hold open at once."""
    try:
        import resource
    except ImportError:  # on Windows, which has no such limit
        return 1_000_000
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, soft - _RESERVED) if soft != resource.RLIM_INFINITY else 1_000_000


class Handshakes:
    """The connections whose handshake is not over; the oldest makes room for a new one.

    A client that speaks the protocol is done within milliseconds, so that any number of idle
    connections keeps no client out.

    Parameters
    ----------
    most
        Maximum number of such connections.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Any, None] = {}
        self._refused = 0
        self._quiet_until = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, connection: Any) -> None:
        """Add a connection; cut the oldest one off if there are too many."""
        if len(self._waiting) >= self._most:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.transport.abort()
            self.note("cut off, for it said nothing")
        self._waiting[connection] = None

    def end(self, connection: Any) -> None:
        """Forget a connection, which has said who it is or is gone."""
        self._waiting.pop(connection, None)

    def note(self, how: str) -> None:
        """Log that a client was not let in; in a flood once a minute, with their number."""
        self._refused += 1
        if monotonic() < self._quiet_until:
            return
        _logger.warning("a client was %s; %d since the last such line", how, self._refused)
        self._refused, self._quiet_until = 0, monotonic() + _SECONDS_QUIET

    def connection_class(self) -> type[Any]:
        """Return the class of connections that begin and end here."""
        from websockets.asyncio.server import ServerConnection

        begin: Callable[[Any], None] = self.begin
        end: Callable[[Any], None] = self.end

        class Connection(ServerConnection):
            """A connection that counts from its first moment on."""

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                begin(self)

            def connection_lost(self, exc: Exception | None) -> None:
                end(self)
                super().connection_lost(exc)

        return Connection
