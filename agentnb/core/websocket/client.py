"""The client: connects, comes back by itself, sends, and tells who listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.loop import LoopThread
from agentnb.core.trace import Tracer, current
from agentnb.core.websocket.address import address
from agentnb.core.websocket.calls import Calls
from agentnb.core.websocket.ears import Ears
from agentnb.core.websocket.session import Options, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.websocket.inbox import MessageStream

__all__ = ["WebSocketClient"]

H = TypeVar("H", bound="Callable[..., Any]")
_logger = logging.getLogger("agentnb.websocket")
_OVER = {"closed", "refused"}
_MARGIN = 1.0
_ON_ITS_WAY = 64 * 1024


class WebSocketClient:
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
        Sent with each handshake, such as ``{"Authorization": "Bearer ..."}``.
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
    tracer
        Where connecting, sending and handling are spans.
    hub_id
        The hub whose log file takes what this client logs; default: any.

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

    def __init__(
        self,
        url: str,
        *,
        reconnect: float = 5.0,
        headers: Mapping[str, str] | None = None,
        queue: int = 1000,
        max_size: int = 2**20,
        ping: float = 10.0,
        timeout: float = 5.0,
        json: bool = True,
        tracer: Tracer | None = None,
        hub_id: str | None = None,
    ) -> None:
        numbers = (reconnect, queue, max_size, ping, timeout)
        if not all(0 < number < float("inf") for number in numbers):
            raise UsageError(
                "durations, sizes and counts of a client are numbers above 0", service="websocket"
            )
        self._address = address(url)
        self._options = Options(
            reconnect=reconnect,
            headers=dict(headers or {}),
            max_size=max_size,
            ping=ping,
            timeout=timeout,
            json=json,
        )
        self._json = json
        self._queue = queue
        self._tracer = tracer or Tracer()
        self._log = logging.LoggerAdapter(_logger, {"hub": hub_id} if hub_id else {})
        self._codec: Any = None
        self._calls = Calls(queue, self.url, self._tracer, self._log)
        self._begin()

    def _begin(self) -> None:
        """Have a life of one's own: a client that was forked has no connection."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._loop = LoopThread()
        self._session: Session | None = None
        self._sent = self._unsent = self._on_its_way = 0
        self._ears = Ears(self.url, self._queue, self._calls, json=self._json, log=self._log)

    def _here(self) -> None:
        if self._pid != os.getpid():
            self._calls.forked()
            self._begin()

    # What it is told to do

    @property
    def url(self) -> str:
        """The URL, its secrets masked."""
        return self._address.shown

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``connected``, ``waiting``, ``refused`` or ``closed``."""
        self._here()
        return "new" if self._session is None else self._session.state

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.state == "connected"

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
            The server refuses this client, 401 or 403; no further attempt is made.
        ConfigError
            Its certificate is not trusted; as above.
        """
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
            self._address, self._options, self._ears, context=current(), tracer=self._tracer
        )
        self._session = session
        self._loop.submit(session.run())
        return session

    async def aconnect(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - the twin of connect
        """Connect, from a coroutine; as `connect`."""
        return await asyncio.to_thread(self.connect, timeout)

    def send(self, message: Any) -> bool:
        """Send a message.

        It waits for the other side only once more than 64 kB are on their way. What is on its way
        when the connection is cut is lost, as with every WebSocket; it is counted and logged.

        Returns
        -------
        bool
            Whether it was sent; False, with a warning, if there is no connection.

        Raises
        ------
        UsageError
            The message is not what JSON has.
        DeadlineExceeded
            The other side took nothing for ``timeout``; the connection was cut.
        """
        data, text = self._encoded(message)
        sent = self._send(data, text=text)
        if sent is None:
            return False
        if self._on_its_way <= _ON_ITS_WAY:
            return True
        try:
            return sent.result(self._options.timeout + _MARGIN)
        except FutureTimeoutError as error:
            raise DeadlineExceeded("the client's loop is stuck", service="websocket") from error

    async def asend(self, message: Any) -> bool:
        """Send a message, from a coroutine; as `send`, and it always waits."""
        data, text = self._encoded(message)
        sent = self._send(data, text=text)
        return sent is not None and await asyncio.wrap_future(sent)

    def _send(self, data: bytes, *, text: bool) -> Future[bool] | None:
        self._here()
        session = self._session
        if session is None or not session.open:
            self._not_sent()
            return None
        sent: Future[bool] = Future()
        size = len(data)
        with self._lock:
            self._on_its_way += size
        sent.add_done_callback(lambda done: self._over(done, size))
        with self._tracer.span("send", service="websocket", bytes=size):
            self._loop.soon(session.send, data, text, sent)
        return sent

    def _over(self, sent: Future[bool], size: int) -> None:
        """Count what became of a message; called on the loop."""
        with self._lock:
            self._on_its_way -= size
        if sent.cancelled() or sent.exception() is not None or not sent.result():
            self._not_sent()
        else:
            self._sent += 1

    def _not_sent(self) -> None:
        self._unsent += 1
        self._log.warning("%s is not connected, a message was not sent", self.url)

    def _encoded(self, message: Any) -> tuple[bytes, bool]:
        if self._json:
            return self._json_codec().encode(message), True
        if isinstance(message, str):
            return message.encode(), True
        if isinstance(message, bytes | bytearray | memoryview):
            return bytes(message), False
        raise UsageError(
            f"with json=False a message is str or bytes, not {type(message).__name__}",
            service="websocket",
        )

    def _json_codec(self) -> Any:
        if self._codec is None:
            import sys

            from agentnb.core.wire import Json

            self._codec = Json("websocket", "the message", limit=sys.maxsize, setting="max_size=")
        return self._codec

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
                hint="client.connect()",
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
        if self._pid != os.getpid():
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
            ``errors``, ``last_error`` (text or None), ``last_end`` (why the last connection
            ended).
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
            "errors": ears.errors,
            "last_error": str(ears.last_error) if ears.last_error else None,
            "last_end": ears.last_end,
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
                f"{state}: there is no connection", service="websocket", hint="client.connect()"
            )

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return f"<WebSocketClient {self.url}: {self.state}>"
