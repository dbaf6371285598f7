"""The client: connects, comes back by itself, sends, and tells who listens."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import TimeoutError as FutureTimeoutError
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.ranges import seconds
from agentnb.core.trace import current
from agentnb.core.websocket.sending import Sending
from agentnb.core.websocket.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.websocket.inbox import MessageStream

__all__ = ["WebSocketClient"]

H = TypeVar("H", bound="Callable[..., Any]")
_OVER = {"closed", "refused"}


class WebSocketClient(Sending):
    """A WebSocket that is connected again, after a pause, whenever it was cut off.

    Messages are JSON. They go to the handlers of ``"message"``, in order, on a thread of their
    own; while there are none they wait for `receive` and ``async for``. Thread-safe. Nothing is
    sent or received before `connect`.

    Parameters
    ----------
    url
        ``ws://`` or ``wss://``.
    reconnect
        Seconds of pause after every end of a connection and every failed attempt.
    headers
        Sent with each handshake, such as ``{"Authorization": "Bearer ..."}``; or a function,
        ``def`` or ``async def``, that returns them and is asked at every handshake, so that a
        token may be renewed.
    subprotocols
        Those that the client speaks, the preferred one first, such as
        ``["graphql-transport-ws"]``; `subprotocol` is the one that the server chose.
    queue
        How many messages may wait for a handler, or for whoever asks; the oldest ones make room
        and are counted as ``dropped``.
    max_size
        Bytes of a message that is taken; a larger one ends the connection.
    ping
        Seconds between pings, and until one that is not answered ends the connection.
    timeout
        Seconds for connecting, and for the other side to take a message.
    json
        Whether messages are JSON; if not, they are str or bytes as they come and go.
    runtime
        Tracer, redactor and logs; default: new ones. The redactor masks the secrets of the
        headers and the URL from then on.

    Raises
    ------
    UsageError
        The URL is not one of a WebSocket, or a number cannot be used.

    Examples
    --------
    >>> client = WebSocketClient("ws://localhost:3000/ws?token=hunter22")
    >>> client
    <WebSocketClient ws://localhost:3000/ws?token=••••••: new>
    >>> @client.on("connected")
    ... def subscribe():
    ...     client.send({"type": "subscribe", "channels": ["workflows"]})
    """

    @overload
    def on(self, event: str) -> Callable[[H], H]: ...
    @overload
    def on(self, event: str, handler: Callable[..., Any]) -> Self: ...
    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Have a function called whenever something happens; it may be a coroutine function.

        Without the function it is a decorator.

        Parameters
        ----------
        event
            ``"connected"`` and ``"disconnected"``, each time, which are given nothing;
            ``"message"``, given the message; ``"error"``, given an `AgentnbError`. What a handler
            raises is an error, too.
        handler
            Called on a thread that belongs to the handlers; it may call all methods.

        Raises
        ------
        UsageError
            There is no such event, or the handler cannot be called.
        """
        self._here()
        if handler is None:

            def decorate(function: H) -> H:
                self.on(event, function)
                return function

            self._calls.check(event)
            return decorate
        self._ears.add(event, handler)
        return self

    def off(self, event: str, handler: Callable[..., Any]) -> bool:
        """Call a function no longer; return whether it was called so far."""
        return self._calls.remove(event, handler)

    def connect(self, timeout: float = 10.0) -> bool:
        """Connect, and from now on again whenever the connection is gone.

        Parameters
        ----------
        timeout
            Seconds to wait for the outcome of the first attempt; 0 for not at all. Attempts go
            on in any case.

        Returns
        -------
        bool
            Whether there is a connection.

        Raises
        ------
        RejectedError
            The server refuses this client, 401 or 403; no further attempt is made. One that it
            has accepted before tries again, after pauses of up to 60 s.
        ConfigError
            Its certificate is not trusted; as above.
        UsageError
            The function of `headers` returned none.
        """
        timeout = seconds("timeout", timeout, service="websocket", zero=True)
        self._here()
        with self._lock:
            session = self._session
            if session is None or session.state in _OVER:
                session = self._start()
        # A handler that waited here would keep itself from being told.
        if timeout > 0 and not self._calls.within():
            session.first.wait(timeout)
        if session.refused is not None:
            raise session.refused from session.refused.__cause__
        return session.open

    def _start(self) -> Session:
        self._calls.context = current()
        self._calls.begin()
        self._ears.inbox.begin()
        session = Session(
            self._address,
            self._options,
            self._ears,
            context=current(),
            tracer=self._tracer,
            learn=self._learn,
        )
        try:
            self._session = session
            self._loop.submit(session.run())
        except BaseException:  # Ctrl-C: it either runs and is known, or neither
            self._session = None
            self._loop.close()
            raise
        return session

    async def aconnect(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - the twin of connect
        """Connect, from a coroutine; as `connect`."""
        return await asyncio.to_thread(self.connect, timeout)

    def receive(self, timeout: float = 10.0) -> Any:
        """Return the next message; for those who have no handler of ``"message"``.

        Raises
        ------
        DeadlineExceeded
            None came within so many seconds.
        UnavailableError
            None will come: the client is not connected, and does not try to be.
        UsageError
            Messages go to a handler.
        """
        timeout = seconds("timeout", timeout, service="websocket", zero=True)
        self._here()
        if self._calls.has("message"):
            raise UsageError(
                "messages go to the handlers of 'message'",
                service="websocket",
                hint="a client without such a handler can be asked for them",
            )
        try:
            return self._ears.inbox.take(timeout)
        except IndexError:
            pass
        if self.state in {"new", *_OVER}:
            raise UnavailableError(
                f"no message will come: {self.url} is {self.state}",
                service="websocket",
                hint="client.connect() (%ws connect URL)",
            )
        raise DeadlineExceeded(
            f"no message from {self.url} within {timeout:g} s", service="websocket"
        )

    def __aiter__(self) -> MessageStream:
        """Return the messages from now on, and those that nobody has had; connects if need be."""
        with contextlib.suppress(AgentnbError):  # it is told to who iterates
            self.connect(0)
        return self._ears.stream()

    def disconnect(self, timeout: float = 5.0) -> None:
        """Close the connection and make no other; `connect` starts anew.

        Parameters
        ----------
        timeout
            Seconds for the farewell and for handlers to see to what came. A handler that has not
            returned by then is left to itself.
        """
        timeout = seconds("timeout", timeout, service="websocket", zero=True)
        if self._fork.forked:
            return
        with self._lock:
            session = self._session
        until = monotonic() + timeout
        if session is not None and session.state != "closed":
            stopping = self._loop.submit(session.stop())
            if not self._calls.within():
                with contextlib.suppress(FutureTimeoutError):
                    stopping.result(max(until - monotonic(), 0.1))
        if not self._calls.within():
            self._calls.end(max(until - monotonic(), 0.1))
            self._loop.close()

    async def adisconnect(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - as aconnect
        """Close the connection, from a coroutine; as `disconnect`."""
        await asyncio.to_thread(self.disconnect, timeout)

    close = disconnect

    # What it tells

    def stats(self) -> dict[str, Any]:
        """Return how it is and what it has done.

        Returns
        -------
        dict
            ``url`` (masked), ``state``, ``seconds`` (in that state), ``connects``, ``received``,
            ``sent``, ``unsent``, ``waiting`` (messages that nobody has had yet), ``dropped``,
            ``not_json`` (messages that were not, and so were errors), ``errors``, ``last_error``
            (text or None), ``last_end`` (why the last connection ended), ``subprotocol``.
        """
        self._here()
        session = self._session
        ears = self._ears
        return {
            "url": self.url,
            "state": self.state,
            "seconds": round(monotonic() - session.since, 1) if session else 0.0,
            "connects": ears.connects,
            "received": ears.received,
            "sent": self._sent,
            "unsent": self._unsent,
            "waiting": ears.waiting,
            "dropped": ears.dropped,
            "not_json": ears.not_json,
            "errors": ears.errors,
            "last_error": str(ears.last_error) if ears.last_error else None,
            "last_end": ears.last_end,
            "subprotocol": self.subprotocol,
        }

    def ping(self) -> None:
        """Do nothing if it is connected.

        Raises
        ------
        UnavailableError, RejectedError
            It is not, and why.
        """
        if not self.connected:
            state = self.state
            error = self._ears.last_error
            if error is not None and state in {"connecting", "waiting", "refused"}:
                raise error
            raise UnavailableError(
                f"{state}: there is no connection",
                service="websocket",
                hint="client.connect() (%ws connect URL)",
            )

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return f"<WebSocketClient {self.url}: {self.state}>"
