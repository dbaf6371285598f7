"""Offers the workspace's events over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import ConfigError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.websocket.access import PATH, Access, is_loopback
from agentnb.core.websocket.handshake import check_subprotocols
from agentnb.core.websocket.pending import Handshakes, descriptors
from agentnb.core.websocket.session import library_log
from agentnb.core.websocket.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["EventServer"]

_logger = logging.getLogger("agentnb.websocket.server")
_BACKLOG = 100
_MESSAGE = 64 * 1024
_HANDSHAKE = 5.0
# Connections that are taken in one turn of the loop, before any of them is looked at.
_AT_ONCE = 8
_PING = 10.0
_BUS_QUEUE = 10_000
_NOT_THE_PORT = {errno.EADDRINUSE, errno.EACCES}


class _Bus(Protocol):
    """The methods of an event bus that the server calls."""

    async def asubscribe(
        self, pattern: str, handler: Callable[[Any], Any], *, queue: int, name: str | None
    ) -> Any:
        """Call a handler for each event."""

    def matcher(self, pattern: str) -> Callable[[str], bool]:
        """Return a function that tells whether a channel matches a pattern."""


@refuse_unknown("websocket")
class EventServer:
    """A server of events, for browsers and programs that speak WebSocket.

    A client sends ``{"type": "subscribe", "channels": ["workflows"]}`` or ``"unsubscribe"``; the
    answer lists its channels, ``{"type": "subscribed", "channels": [...]}``. An event arrives as
    ``{"type": "event", "channel": ..., "data": ..., ...}``, with the names of `Event`. A name
    covers its channel and all channels below it, a plural also its singular (``workflows`` covers
    ``workflow`` and ``workflow.created``), and a pattern such as ``agent.*`` is itself. An invalid
    message is answered by ``{"type": "error", "message": ...}``. A client that is too slow loses
    the oldest events, and receives their number: ``{"type": "dropped", "count": n}``.

    Parameters
    ----------
    bus
        The source of the events.
    token
        The token that clients must send; empty for none, on a loopback address only.
    host, port
        The address to listen on; port 0 for a free one.
    origins
        Origins of pages that may connect, besides those of this machine.
    queue
        Maximum number of events that wait for one client.
    clients
        Maximum number of clients; less where the process may open fewer files.
    subprotocols
        The subprotocols of the server; it chooses the first one that a client offers. A client
        that offers none is accepted.
    handshakes
        Maximum number of connections whose handshake is not over.
    send_timeout
        Seconds after which a client that receives nothing is cut off.

    Raises
    ------
    ConfigError
        Other machines reach the host, and there is no token.
    """

    def __init__(
        self,
        bus: _Bus,
        *,
        token: str,
        host: str = "127.0.0.1",
        port: int = 3000,
        origins: Iterable[str] = (),
        queue: int = 1000,
        clients: int = 100,
        subprotocols: Iterable[str] = (),
        handshakes: int = 64,
        send_timeout: float = 10.0,
    ) -> None:
        if not token and not is_loopback(host):
            raise ConfigError(
                f"token must be set for {host}, which other machines reach",
                service="websocket",
                hint="set AGENTNB_SERVE_TOKEN, or agentnb serve --token-file FILE",
            )
        self.host, self.port = host, port
        self._bus = bus
        self._access = Access(token, host, origins)
        self._subprotocols = check_subprotocols(subprotocols)
        room = descriptors() // 2
        self._queue, self._most, self._send_timeout = queue, min(clients, room), send_timeout
        self._handshakes = Handshakes(min(handshakes, room))
        self._viewers: set[Viewer] = set()
        self._servers: list[Any] = []
        self._subscription: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The URL that clients connect to, without the token."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{name}:{self.port}{PATH}"

    async def start(self) -> None:
        """Start to listen on `url`.

        Raises
        ------
        ConfigError
            The port is taken, or the host is not this machine's.
        """
        from websockets.asyncio.server import serve

        self._loop = asyncio.get_running_loop()
        sockets = _bound(self.host, self.port)
        self.port = sockets[0].getsockname()[1]
        for one in sockets:
            made = await serve(
                self._handle,
                sock=one,
                backlog=_AT_ONCE,
                create_connection=self._handshakes.connection_class(),
                process_request=self._admit,
                select_subprotocol=self._chosen,
                compression=None,
                max_size=_MESSAGE,
                open_timeout=_HANDSHAKE,
                ping_interval=_PING,
                ping_timeout=_PING,
                close_timeout=1.0,
                server_header=None,
                logger=library_log,
            )
            self._servers.append(made)
            one.listen(_BACKLOG)  # in the kernel there may be more
        self._subscription = await self._bus.asubscribe(
            "*", self._on_event, queue=_BUS_QUEUE, name="agentnb serve"
        )

    def _chosen(self, _: Any, offered: Sequence[Any]) -> Any:
        return next((name for name in offered if name in self._subprotocols), None)

    def _admit(self, connection: Any, request: Any) -> Any:
        refusal = self._access.refusal(request.path, request.headers)
        if refusal is None and len(self._viewers) >= self._most:
            refusal = 503, "There are too many clients.\n"
        if refusal is None:
            self._handshakes.end(connection)
            return None
        self._handshakes.note(f"refused with {refusal[0]}")
        return connection.respond(*refusal)

    def _on_event(self, event: Any) -> None:
        """Hand an event to its subscribers; called on the bus's thread, which waits for it."""
        loop = self._loop
        if loop is None or not self._viewers:
            return
        done: Future[None] = Future()
        # It waits, so that no more is on its way than the bus may keep.
        with contextlib.suppress(RuntimeError, FutureTimeoutError):  # the loop has ended
            loop.call_soon_threadsafe(self._hand_out, event, done)
            done.result(self._send_timeout)

    def _hand_out(self, event: Any, done: Future[None]) -> None:
        try:
            import msgspec

            text: bytes | None = None
            for viewer in self._viewers:
                if viewer.wants(event.channel):
                    if text is None:  # once for all of them
                        text = msgspec.json.encode({"type": "event", **event.envelope()})
                    viewer.put(text)
        except Exception as error:  # noqa: BLE001 - it is the bus's, which keeps it as a dead letter
            done.set_exception(error)
        else:
            done.set_result(None)

    async def _handle(self, connection: Any) -> None:
        viewer = Viewer(
            connection, self._bus.matcher, limit=self._queue, send_timeout=self._send_timeout
        )
        self._viewers.add(viewer)
        _logger.info("client connected, %d in total", len(self._viewers))
        try:
            await viewer.run()
        finally:
            self._viewers.discard(viewer)
            _logger.info("client disconnected, %d in total", len(self._viewers))

    async def stop(self) -> None:
        """Close all clients, cut off those that do not answer, and stop listening."""
        if self._subscription is not None:
            self._subscription.close()
        for server in self._servers:
            server.close(code=1001, reason="the server stops")
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 3.0)
        for viewer in list(self._viewers):
            viewer.cut()
        self._servers, self._loop = [], None


def _bound(host: str, port: int) -> list[socket.socket]:
    """Return the sockets of a host; the two of loopback, since `localhost` may mean either."""
    try:
        first = _bind(host, port)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}",
            service="websocket",
            hint="another port: agentnb serve --port 0 takes one that is free"
            if error.errno in _NOT_THE_PORT
            else "--host is a name or an address of this machine",
        ) from error
    found = [first]
    other = {"127.0.0.1": "::1", "localhost": "::1", "::1": "127.0.0.1"}.get(host)
    if other is not None:
        with contextlib.suppress(OSError):  # there is only one of them here, or it is taken
            found.append(_bind(other, first.getsockname()[1]))
    return found


def _bind(host: str, port: int) -> socket.socket:
    family, kind, _, _, place = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
