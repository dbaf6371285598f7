"""Connections that keep a deadline."""

from __future__ import annotations

import select
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis._parsers.hiredis import _HiredisParser
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError as TheirConnectionError
from redis.exceptions import TimeoutError as TheirTimeoutError
from redis.utils import SENTINEL

from agentnb.core.errors import DeadlineExceeded
from agentnb.core.redis.nodes import UnsettledError
from agentnb.core.resilience import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.redis.nodes import Address, Nodes
    from agentnb.core.redis.server import EmbeddedServer

__all__ = ["CLASSES", "Parser", "Timed"]

_ENDED = getattr(select, "POLLRDHUP", 0)
_SECONDS_IDLE = 30.0
_SECONDS_PING = 1.0
_HOPS = 5  # from one node to the one that it names


def _give(link: socket.socket, seconds: float | None) -> None:
    """Set a socket's timeout in seconds, unless it differs by less than a fiftieth.

    To set them lets go of the interpreter, for which other threads wait; most calls are given
    the same.
    """
    has = link.gettimeout()
    if has is None or seconds is None or not 0.98 * seconds < has < 1.02 * seconds:
        link.settimeout(seconds)


class _NotBack(Exception):  # noqa: N818 - what happened
    """Carries a `DeadlineExceeded` past redis-py, which takes each TimeoutError for its own."""

    def __init__(self, error: DeadlineExceeded) -> None:
        super().__init__(error)
        self.error = error


class _Elsewhere(Exception):  # noqa: N818 - what happened
    """Another node has the keys; redis-py calls nobody back after it, as after a connect."""


class Parser(_HiredisParser):
    """Gives each read what is left of the call, so that a reply in drips is over in time, too."""

    until: float | None = None

    def read_from_socket(self, timeout: Any = SENTINEL, raise_on_timeout: bool = True) -> bool:  # noqa: FBT001, FBT002 - as redis-py calls it
        """Read once, for no longer than the call has left."""
        if self.until is not None and timeout is SENTINEL:
            left = self.until - monotonic()
            if left <= 0:
                raise TheirTimeoutError("Timeout reading from socket")
            _give(self._sock, left)
        return bool(super().read_from_socket(timeout, raise_on_timeout))


class Timed(AbstractConnection):
    """The deadline and abort that all connections share.

    Parameters
    ----------
    patience
        Seconds for connecting, where the call itself has no end.
    server
        The embedded server, where it is one.
    starts
        Whether connecting brings the embedded server back; where there is a retry around, that
        does it, so that an interrupt need not wait for it.
    connected
        Called after each connect.
    remote
        Whether the way there may be cut without either end noticing.
    nodes
        Chooses the server to connect to; None for the one that the options name.

    Attributes
    ----------
    node
        The server that it was connected to last, if `nodes` chose it.
    """

    host: str
    port: int

    def __init__(
        self,
        *,
        patience: float,
        server: EmbeddedServer | None = None,
        starts: bool = False,
        connected: Callable[[], None] | None = None,
        remote: bool = False,
        nodes: Nodes | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._patience = patience
        self._server = server
        self._starts = starts
        self._connected = connected
        self._remote = remote
        self._nodes = nodes
        self.node: Address | None = None
        self._poll: Callable[[int], Any] = self._readable
        self._used = 0.0
        self.until: float | None = None

    def ready(self, until: float | None) -> None:
        """Be connected, with nothing left over from before, for a call that ends then.

        Raises
        ------
        redis.ConnectionError, redis.TimeoutError
            It cannot be done; nothing has been sent then, and the error's ``unsent`` says so.
        """
        self.limit(until)
        try:
            if self._sock is not None and (self.is_elsewhere or self._stale(until)):
                self.disconnect()
            if self._sock is None:
                self.connect_check_health(check_health=False, retry_socket_connect=False)
                self.limit(until)
        except Exception as error:
            self.disconnect()
            error.unsent = True  # type: ignore[attr-defined]  # a note from here to the retry
            raise

    @property
    def is_elsewhere(self) -> bool:
        """Return whether another server is used now than the one at the other end."""
        return self._nodes is not None and self.node != self._nodes.current

    def send_command(self, *args: Any, check_health: bool = True, **options: Any) -> None:
        """Send a command; as redis-py, which looks at each word by itself before it packs them."""
        if type(args[0]) is str and " " not in args[0]:
            try:
                data = pack_command(args)
            except TypeError:
                pass  # such as a bytearray, or what redis-py says better
            else:
                self.send_packed_command([data], check_health=check_health)
                return
        super().send_command(*args, check_health=check_health, **options)

    def limit(self, until: float | None) -> None:
        """Let what follows be over at a time of the monotonic clock; None for no limit."""
        self.until = self._parser.until = until
        link = self._sock
        if link is not None:
            _give(link, None if until is None else max(until - monotonic(), 0.001))

    def _stale(self, until: float | None) -> bool:
        """Return whether the other end has gone, or something has been said to nobody."""
        if self._poll(0):
            return True
        if not self._remote or monotonic() - self._used < _SECONDS_IDLE:
            return False
        # A network may have dropped it without a word; asked in a way that can be repeated.
        soon = monotonic() + _SECONDS_PING
        self.limit(soon if until is None else min(soon, until))
        try:
            self._send_ping()
        except (TheirConnectionError, TheirTimeoutError, OSError):
            return True
        finally:
            self.limit(until)
        return False

    def _readable(self, milliseconds: int) -> bool:
        """Stand in for ``poll`` on Windows, which has none."""
        try:
            return self.can_read(milliseconds / 1000)
        except TheirConnectionError:
            return True

    def used(self) -> None:
        """Note that the server has answered."""
        if self._remote:
            self._used = monotonic()

    def abort(self) -> None:
        """Shut the socket down, which wakes the thread that reads from it."""
        link = self._sock
        if link is not None:
            try:  # noqa: SIM105 - called by a signal's handler, which is short
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just ended by itself

    def connect_check_health(
        self,
        check_health: bool = True,  # noqa: FBT001, FBT002 - as redis-py calls it
        retry_socket_connect: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        """Connect, within the call's time or, where it has no end, within `patience`.

        Of several nodes, to the one that has the keys.
        """
        if self._sock is not None:
            return
        endless = self.until is None
        if endless:
            self.limit(monotonic() + self._patience)
        try:
            if self._nodes is None:
                super().connect_check_health(check_health, retry_socket_connect)
            else:
                self._connect_to_node(self._nodes)
        except _NotBack as error:
            raise error.error from error.error.__cause__
        finally:
            if endless:
                self.limit(None)

    def _connect_to_node(self, nodes: Nodes) -> None:
        """Connect to the node that has the keys: each one says which that is.

        Raises
        ------
        redis.ConnectionError, redis.TimeoutError
            It cannot be reached, or is not known now.
        """
        until = self.until
        for _ in range(_HOPS):
            self.node = nodes.find(self._left())
            self.host, self.port = self.node
            if nodes.patience is not None:
                self.limit(monotonic() + min(self._left(), nodes.patience))
            try:
                super().connect_check_health(check_health=False, retry_socket_connect=False)
            except _Elsewhere:
                self.disconnect()
            except UnsettledError:
                raise
            except (TheirConnectionError, TheirTimeoutError):
                nodes.failed(self.node)
                raise
            else:
                return
            finally:
                self.limit(until)
        raise TheirConnectionError(f"{_HOPS} nodes in a row named another one")

    def _left(self) -> float:
        return self._patience if self.until is None else max(self.until - monotonic(), 0.001)

    def _connect(self) -> socket.socket:
        if self._server is not None and not self._server.joined and not self._starts:
            raise TheirConnectionError("the embedded server has not been started")
        if self.until is not None:
            left = self.until - monotonic()
            if left <= 0:
                raise TheirTimeoutError("Timeout connecting to server")
            self._socket_connect_timeout = left
        try:
            if self._server is not None and not self._server.joined:
                self._bring_back(self._server)
            link = super()._connect()  # type: ignore[safe-super]  # a mixin's, for a concrete one
        except OSError:
            if self._server is None or not self._starts:
                raise
            self._bring_back(self._server)
            link = super()._connect()  # type: ignore[safe-super]  # as above
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(link, select.POLLIN | _ENDED)
            self._poll = poller.poll
        return link  # type: ignore[no-any-return]

    def _bring_back(self, server: EmbeddedServer) -> None:
        left = None if self.until is None else max(self.until - monotonic(), 0.0)
        try:
            server.ensure(Deadline(left))
        except DeadlineExceeded as error:
            raise _NotBack(error) from error

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - as redis-py calls it
        """Say hello, see whether this is the right node, and say so in the log."""
        super().on_connect_check_health(check_health)
        if self._nodes is not None and not self._nodes.accepts(self):
            raise _Elsewhere
        self.used()
        if self._connected is not None:
            self._connected()


class _OneByOne(Connection):
    """Tries a host's addresses within one time-out, not within one each."""

    def _connect(self) -> socket.socket:
        until = monotonic() + (self.socket_connect_timeout or 0.0)
        failed: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, self.socket_type, socket.SOCK_STREAM
        ):
            link = socket.socket(family, kind, protocol)
            try:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                link.settimeout(max(until - monotonic(), 0.001))
                link.connect(address)
            except OSError as error:
                failed = error
                link.close()
            except BaseException:
                link.close()
                raise
            else:
                link.settimeout(self.socket_timeout)
                return link
        raise failed or OSError("the host's name leads to no address")


class _TimedTCP(Timed, _OneByOne):
    pass


class _TimedTLS(Timed, SSLConnection, _OneByOne):
    pass


class _TimedUnix(Timed, UnixDomainSocketConnection):
    pass


CLASSES: dict[str, Callable[..., Timed]] = {
    "redis": _TimedTCP,
    "rediss": _TimedTLS,
    "unix": _TimedUnix,
}
