"""From `connect` to `disconnect`: connections, one after the other, on the client's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import AgentnbError, DeadlineExceeded
from agentnb.core.headers import hiding
from agentnb.core.redact import redact
from agentnb.core.trace import outgoing_headers, use
from agentnb.core.websocket.trouble import HeadersFailed, Trouble, at_the_handshake, in_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from agentnb.core.trace import Context, Tracer
    from agentnb.core.websocket.address import Address
    from agentnb.core.websocket.handshake import Handshake

__all__ = ["Options", "Owner", "Session", "library_log"]

_LONGEST_BACKOFF = 60.0
# Seconds for a farewell, before the connection is cut.
_FAREWELL = 1.0


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


class Owner(Protocol):
    """Who is told what happens; called on the loop, and must return at once."""

    def connected(self) -> None:
        """Say that there is a connection."""

    def came(self, message: bytes | str) -> None:
        """Hand over a message, a text's bytes or what was sent as bytes."""

    def disconnected(self, why: str) -> None:
        """Say that there is no connection any more."""

    def trouble(self, error: AgentnbError) -> None:
        """Say what went wrong."""

    def ended(self, error: AgentnbError | None) -> None:
        """Say that no further attempt is made."""


class Session:
    """Keeps a connection, and makes another one whenever it is gone.

    Parameters
    ----------
    address, options
        Where to and how.
    owner
        Who is told.
    context
        The trace that it belongs to.
    tracer
        Where each attempt is a span.
    learn
        Called when the headers of a handshake may hold new secrets.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        owner: Owner,
        *,
        context: Context | None,
        tracer: Tracer,
        learn: Callable[[], object] = lambda: None,
    ) -> None:
        self.address = address
        self.options = options
        self.state = "connecting"
        self.since = monotonic()
        self.first: threading.Event = threading.Event()
        """Set once the first attempt has an outcome."""
        self.refused: AgentnbError | None = None
        self._owner = owner
        self._context, self._tracer = context, tracer
        self._socket: Any = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tries = 0
        self._accepted = False
        self._learn = learn
        self._sending: set[asyncio.Task[None]] = set()
        # A server may repeat in its words what it was sent.
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
        """Connect, and again after every end, with a pause in between."""
        self._task = asyncio.current_task()
        error: AgentnbError | None = None
        try:
            while not self._stopping.is_set():
                trouble = await self._once()
                self.first.set()
                if trouble is not None and trouble.final and not self._accepted:
                    error = self.refused = trouble.error
                    break
                self._become("waiting")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._pause(trouble))
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        finally:
            self._become("refused" if error else "closed")
            self.first.set()
            self._owner.ended(error)

    def _become(self, state: str) -> None:
        self.state, self.since = state, monotonic()

    def _pause(self, trouble: Trouble | None) -> float:
        pause = self.options.reconnect
        if trouble is None:
            self._tries = 0
            return pause
        if trouble.busy or trouble.final:
            self._tries += 1
            # Twice as long each time, for a server that says "too many" and not for how long, and
            # for one that refuses a client which it has accepted before.
            pause = min(pause * 2**self._tries, max(_LONGEST_BACKOFF, pause))
        if trouble.pause is not None:
            return max(trouble.pause, self.options.reconnect)
        return pause

    async def _once(self) -> Trouble | None:
        """Make one connection and stay until it ends; return what an attempt failed of."""
        self._become("connecting")
        try:
            socket = await self._connect()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - told to the owner, whatever the library raises
            trouble = at_the_handshake(error, self.address.shown, self.address.proxy())
            if trouble.final and self._accepted:
                trouble.error.advise(
                    "it was connected before, so the client tries again, less and less often; "
                    "headers= may be a function, which is asked each time"
                )
            trouble.error.hide(self._hide)
            self._owner.trouble(trouble.error)
            return trouble
        self._socket = socket
        self._accepted = True
        self._become("connected")
        why = "closed"
        self._owner.connected()
        self.first.set()
        try:
            receive, came = socket.recv, self._owner.came
            decode = False if self.options.json else None  # JSON is read from the bytes
            while True:
                came(await receive(decode))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            why, made = in_between(error, self.address.shown, self.options.max_size)
            why = self._hide(why)
            if made is not None and not self._stopping.is_set():
                made.hide(self._hide)
                self._owner.trouble(made)
        finally:
            self._socket = None
            socket.transport.abort()
            self._owner.disconnected(why)
        return None

    async def _connect(self) -> Any:
        from websockets.asyncio.client import connect

        class Connect(connect):
            """As browsers do, goes nowhere else: headers are for whom they were given for."""

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
                # What is on this machine is not reached by way of a proxy.
                proxy=None if self.address.loopback else True,
                open_timeout=options.timeout,
                ping_interval=options.ping,
                ping_timeout=options.ping,
                close_timeout=_FAREWELL,
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
            self._owner.trouble(made)
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
            await asyncio.wait({closing}, timeout=_FAREWELL)
            if not closing.done():
                socket.transport.abort()
                await asyncio.wait({closing}, timeout=_FAREWELL)
        if task is not None and task is not asyncio.current_task():
            if socket is None:
                task.cancel()
            await asyncio.wait({task}, timeout=_FAREWELL)
