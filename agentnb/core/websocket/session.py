"""A session, from `connect` to `disconnect`: its connections, on the client's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import Future, InvalidStateError
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import AgentnbError, DeadlineExceeded
from agentnb.core.headers import hiding
from agentnb.core.redact import redact
from agentnb.core.trace import outgoing_headers, use
from agentnb.core.websocket.failures import ConnectFailure, HeadersFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace import Context, Tracer
    from agentnb.core.websocket.address import Address
    from agentnb.core.websocket.handshake import Handshake

__all__ = ["Options", "Session", "SessionListener", "library_log"]

_LONGEST_BACKOFF = 60.0
# Seconds for the closing handshake, before the connection is cut.
_CLOSE_SECONDS = 1.0


# At DEBUG the library prints requests with their headers and queries, and all messages.
library_log = logging.getLogger("agentnb.websocket.protocol")
library_log.setLevel(logging.WARNING)


class Options:
    """How a client connects; durations in seconds, sizes in bytes. See `WebSocketClient`."""

    __slots__ = ("handshake", "json", "max_size", "ping", "reconnect", "timeout")

    def __init__(
        self,
        *,
        reconnect: float,
        handshake: Handshake,
        max_size: int,
        ping: float,
        timeout: float,
        json: bool,
    ) -> None:
        self.json = json
        self.reconnect = reconnect
        self.handshake = handshake
        self.max_size = max_size
        self.ping = ping
        self.timeout = timeout


class SessionListener(Protocol):
    """Receives the events of a session; called on the loop, and must return at once."""

    def on_connected(self) -> None:
        """Receive a connection."""

    def on_message(self, message: bytes | str) -> None:
        """Receive a message: the bytes of a text, or bytes."""

    def on_disconnected(self, why: str) -> None:
        """Receive the end of a connection."""

    def on_error(self, error: AgentnbError) -> None:
        """Receive an error."""

    def on_ended(self, error: AgentnbError | None) -> None:
        """Receive the end of the session: no further attempt is made."""


class Session:
    """Keeps one connection, and reconnects whenever it is lost.

    Parameters
    ----------
    address, options
        The URL, and how to connect.
    listener
        Receives the events.
    context
        The trace that the session belongs to.
    tracer
        Records a span for each attempt.
    learn
        Called when the headers of a handshake may hold new secrets.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        listener: SessionListener,
        *,
        context: Context | None,
        tracer: Tracer,
        learn: Callable[[], object] = lambda: None,
    ) -> None:
        self.address = address
        self.options = options
        self.state = "connecting"
        self.since = monotonic()
        self.first: Future[None] = Future()
        """Done once the first attempt has an outcome."""
        self.refused: AgentnbError | None = None
        self._listener = listener
        self._context, self._tracer = context, tracer
        self._socket: Any = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tries = 0
        self._accepted = False
        self._learn = learn
        self._sending: set[asyncio.Task[None]] = set()
        # A server's error text may repeat secrets that it was sent.
        self._hide = hiding(options.handshake.headers, redact, address.secrets)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server has chosen; None for none."""
        socket = self._socket
        return None if socket is None else socket.subprotocol

    @property
    def open(self) -> bool:
        """Whether there is a connection now."""
        return self._socket is not None

    async def run(self) -> None:
        """Connect, and reconnect after every end, with a pause."""
        self._task = asyncio.current_task()
        error: AgentnbError | None = None
        try:
            while not self._stopping.is_set():
                failure = await self._once()
                self._tried()
                if failure is not None and failure.final and not self._accepted:
                    error = self.refused = failure.error
                    break
                self._become("waiting")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._pause(failure))
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        finally:
            self._become("refused" if error else "closed")
            self._tried()
            self._listener.on_ended(error)

    def _tried(self) -> None:
        with contextlib.suppress(InvalidStateError):  # there was another attempt before
            self.first.set_result(None)

    def _become(self, state: str) -> None:
        self.state, self.since = state, monotonic()

    def _pause(self, failure: ConnectFailure | None) -> float:
        pause = self.options.reconnect
        if failure is None:
            self._tries = 0
            return pause
        if failure.busy or failure.final:
            self._tries += 1
            # Twice as long each time, for a server that says "too many" and not for how long, and
            # for one that refuses a client which it has accepted before.
            pause = min(pause * 2**self._tries, max(_LONGEST_BACKOFF, pause))
        if failure.pause is not None:
            return max(failure.pause, self.options.reconnect)
        return pause

    async def _once(self) -> ConnectFailure | None:
        """Connect once and receive until the connection ends; return a failure to connect."""
        self._become("connecting")
        try:
            socket = await self._connect()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - translated, and handed to the listener
            failure = ConnectFailure.from_handshake(error, self.address.shown, self.address.proxy())
            if failure.final and self._accepted:
                failure.error.advise(
                    "it was connected before, so the client tries again, less and less often; "
                    "headers= may be a function, which is asked each time"
                )
            failure.error.hide(self._hide)
            self._listener.on_error(failure.error)
            return failure
        self._socket = socket
        self._accepted = True
        self._become("connected")
        why = "closed"
        self._listener.on_connected()
        self._tried()
        try:
            receive, on_message = socket.recv, self._listener.on_message
            decode = False if self.options.json else None  # JSON is read from the bytes
            while True:
                on_message(await receive(decode))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            why, made = ConnectFailure.from_close(error, self.address.shown, self.options.max_size)
            why = self._hide(why)
            if made is not None and not self._stopping.is_set():
                made.hide(self._hide)
                self._listener.on_error(made)
        finally:
            self._socket = None
            socket.transport.abort()
            self._listener.on_disconnected(why)
        return None

    async def _connect(self) -> Any:
        from websockets.asyncio.client import connect

        class Connect(connect):
            """Follows no redirect, as browsers: the headers are for this server only."""

            def process_redirect(self, exc: Exception) -> Exception:
                return exc

        options = self.options
        with (
            use(self._context),
            self._tracer.span("connect", service="websocket", url=self.address.shown) as span,
        ):
            headers = {**outgoing_headers(span), **await self._headers()}
            return await Connect(
                self.address.url,
                additional_headers=headers,
                subprotocols=options.handshake.subprotocols or None,
                # Not deflated: for short messages that costs more than it saves.
                compression=None,
                # A server on this machine is not reached through a proxy.
                proxy=None if self.address.loopback else True,
                open_timeout=options.timeout,
                ping_interval=options.ping,
                ping_timeout=options.ping,
                close_timeout=_CLOSE_SECONDS,
                max_size=options.max_size,
                logger=library_log,
            )

    async def _headers(self) -> dict[str, str]:
        """Return the headers of this handshake, and mask what is secret in them from now on."""
        try:
            async with asyncio.timeout(self.options.timeout):
                found = await self.options.handshake.ask()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            raise HeadersFailed from error  # SystemExit, too: it would end the client unsaid
        self._hide = hiding(found, redact, self.address.secrets)
        self._learn()
        return found

    # Called from other threads, by way of the loop

    def send(self, data: bytes, text: bool, sent: Future[bool]) -> None:  # noqa: FBT001 - handed on
        """Send a message; the future is true, false if there is no connection, or an error."""
        socket = self._socket
        if socket is None or self._stopping.is_set():
            sent.set_result(False)
            return
        task = asyncio.get_running_loop().create_task(self._send(socket, data, text, sent))
        self._sending.add(task)  # the loop itself keeps no task
        task.add_done_callback(self._sending.discard)

    async def _send(self, socket: Any, data: bytes, text: bool, sent: Future[bool]) -> None:  # noqa: FBT001 - as above
        from websockets.exceptions import ConnectionClosed

        try:
            async with asyncio.timeout(self.options.timeout):
                await socket.send(data, text=text)
        except TimeoutError as error:
            # Half of a message may have gone: this connection is of no further use.
            socket.transport.abort()
            made = DeadlineExceeded(
                f"{self.address.shown} took no message for {self.options.timeout:g} s",
                service="websocket",
                hint="the connection was cut; the client connects again by itself",
            )
            made.__cause__ = error
            self._listener.on_error(made)
            sent.set_exception(made)
        except ConnectionClosed:
            sent.set_result(False)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            sent.set_exception(error)
        else:
            sent.set_result(True)
        finally:
            if not sent.done():  # cancelled, with the loop
                sent.set_result(False)

    async def stop(self) -> None:
        """Close the connection, or cut it if the other side does not answer, and end."""
        self._stopping.set()
        socket, task = self._socket, self._task
        if socket is not None:
            closing = asyncio.ensure_future(socket.close())
            await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
            if not closing.done():
                socket.transport.abort()
                await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
        if task is not None and task is not asyncio.current_task():
            if socket is None:
                task.cancel()
            await asyncio.wait({task}, timeout=_CLOSE_SECONDS)
