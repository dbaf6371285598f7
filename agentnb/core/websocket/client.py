"""The WebSocket client: connects, reconnects by itself, sends and receives."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from agentnb.core.background import run_in_thread
from agentnb.core.closing import leave
from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.forking import ForkGuard, new_rlock
from agentnb.core.headers import credentials
from agentnb.core.keywords import refuse_unknown
from agentnb.core.loop import LoopThread
from agentnb.core.ranges import seconds, whole
from agentnb.core.runtime import Runtime
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace import current
from agentnb.core.websocket.address import address
from agentnb.core.websocket.dispatcher import MessageDispatcher
from agentnb.core.websocket.handlers import HandlerCalls
from agentnb.core.websocket.handshake import Handshake
from agentnb.core.websocket.sender import Sender
from agentnb.core.websocket.session import Options, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.websocket.arguments import Kind
    from agentnb.core.websocket.handshake import Given
    from agentnb.core.websocket.inbox import MessageStream

__all__ = ["WebSocketClient"]

H = TypeVar("H", bound="Callable[..., Any]")
_OVER = {"closed", "refused"}
_MARGIN = 1.0


_REFUSED = dict.fromkeys(
    ("connect", "aconnect", "send", "asend", "receive", "areceive"), "WebSockets are not recorded"
)


@on_tapes("websocket", "_redactor", {}, refused=_REFUSED)
@refuse_unknown("websocket")
class WebSocketClient:
    """A WebSocket that reconnects, after a pause, whenever it was cut off.

    Messages are JSON. The handlers of ``"message"`` receive them in order, on a thread of their
    own; without handlers they wait for `receive` and ``async for``. Thread-safe. Nothing is
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
        Maximum number of messages that wait for a handler or for `receive`; the oldest are
        dropped and counted.
    max_size
        Maximum size of a received message in bytes; a larger one ends the connection.
    ping
        Seconds between pings, and until an unanswered ping ends the connection.
    timeout
        Seconds for connecting, and for the other side to receive a message.
    json
        Whether messages are JSON; if not, they are str or bytes.
    runtime
        Tracer, redactor and logs; default: new ones. The redactor masks the secrets of the
        headers and the URL from then on.

    Raises
    ------
    UsageError
        The URL is not one of a WebSocket, or a number is out of its range.

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
        headers: Given = None,
        subprotocols: Iterable[str] = (),
        queue: int = 1000,
        max_size: int = 2**20,
        ping: float = 10.0,
        timeout: float = 5.0,
        json: bool = True,
        runtime: Runtime | None = None,
    ) -> None:
        for name, value in (("reconnect", reconnect), ("ping", ping), ("timeout", timeout)):
            seconds(name, value, service="websocket")
        whole("queue", queue, service="websocket")
        whole("max_size", max_size, service="websocket")
        self._address = address(url)
        self._options = Options(
            reconnect=reconnect,
            handshake=Handshake(headers, subprotocols),
            max_size=max_size,
            ping=ping,
            timeout=timeout,
            json=json,
        )
        self.json = json
        runtime = runtime or Runtime()
        self._redactor = runtime.redactor
        self._learn()
        self._queue = queue
        self._tracer = runtime.tracer
        self._log = runtime.log("websocket")
        self._handlers = HandlerCalls(queue, self.url, self._tracer, self._log)
        self._begin()

    def _begin(self) -> None:
        """Create the parts, also in a forked child, which has no connection."""
        self._fork = ForkGuard()
        self._lock = new_rlock()
        self._loop = LoopThread()
        self._session: Session | None = None
        self._dispatcher = MessageDispatcher(
            self.url, self._queue, self._handlers, json=self.json, log=self._log
        )
        self._sender = Sender(
            self.url,
            json=self.json,
            session=lambda: self._session,
            loop=self._loop,
            tracer=self._tracer,
            log=self._log,
        )

    def _check_fork(self) -> None:
        if self._fork.forked:
            self._handlers.forked()
            self._begin()

    @property
    def url(self) -> str:
        """The URL, its secrets masked."""
        return self._address.shown

    def _learn(self) -> None:
        """Mask the secrets of the last handshake's headers and of the URL."""
        for secret in (*credentials(self._options.handshake.headers), *self._address.secrets):
            self._redactor.add(secret)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server has chosen; None for none, or without a connection."""
        return None if self._session is None else self._session.subprotocol

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``connected``, ``waiting``, ``refused`` or ``closed``."""
        self._check_fork()
        return "new" if self._session is None else self._session.state

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.state == "connected"

    @overload
    def on(self, event: Kind) -> Callable[[H], H]: ...
    @overload
    def on(self, event: Kind, handler: Callable[..., Any]) -> Self: ...
    def on(self, event: Kind, handler: Callable[..., Any] | None = None) -> Any:
        """Call a function, or a coroutine function, at every event of a kind.

        Without the function it is a decorator.

        Parameters
        ----------
        event
            ``"connected"`` and ``"disconnected"``, called without arguments; ``"message"``, called
            with the message; ``"error"``, called with an `AgentnbError`, also for a handler that
            raised.
        handler
            Called on a thread that belongs to the handlers; it may call all methods.

        Raises
        ------
        UsageError
            The event is unknown, or the handler cannot be called.
        """
        self._check_fork()
        if handler is None:

            def decorate(function: H) -> H:
                self.on(event, function)
                return function

            self._handlers.check(event)
            return decorate
        self._dispatcher.add(event, handler)
        return self

    def off(self, event: Kind, handler: Callable[..., Any]) -> bool:
        """Remove a handler; return whether it was there."""
        return self._handlers.remove(event, handler)

    def connect(self, timeout: float = 10.0) -> bool:
        """Connect, and from now on reconnect whenever the connection is lost.

        Parameters
        ----------
        timeout
            Seconds to wait for the first attempt, 0 to return at once. Attempts go on in any case.

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
        session = self._opened()
        # A handler that waited here would block its own thread.
        if timeout > 0 and not self._handlers.within():
            wait({session.first}, timeout)
        return _outcome(session)

    async def aconnect(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109 - the twin of connect
        """Await `connect`."""
        timeout = seconds("timeout", timeout, service="websocket", zero=True)
        session = self._opened()
        if timeout > 0:
            await asyncio.wait({asyncio.wrap_future(session.first)}, timeout=timeout)
        return _outcome(session)

    def _opened(self) -> Session:
        """Return the session, which is started unless there is one."""
        self._check_fork()
        with self._lock:
            session = self._session
            if session is None or session.state in _OVER:
                session = self._start()
            return session

    def _start(self) -> Session:
        self._handlers.context = current()
        self._handlers.begin()
        self._dispatcher.inbox.begin()
        session = Session(
            self._address,
            self._options,
            self._dispatcher,
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

    def send(self, message: Any) -> bool:
        """Send a message.

        Waits for the other side only while more than 64 kB are on their way. Messages on their way
        are lost when the connection is cut, as with every WebSocket; they are counted and logged.

        Returns
        -------
        bool
            Whether the message was sent; False, with a warning, if there is no connection.

        Raises
        ------
        UsageError
            The message has no JSON form.
        DeadlineExceeded
            The other side received nothing for ``timeout`` seconds; the connection was cut.
        """
        self._check_fork()
        sent = self._sender.send(message)
        if sent is None:
            return False
        if not self._sender.is_full:
            return True
        try:
            return sent.result(self._options.timeout + _MARGIN)
        except DeadlineExceeded:
            raise
        except FutureTimeoutError as error:
            raise DeadlineExceeded(
                "the client's loop is stuck",
                service="websocket",
                hint="a handler or a headers= function blocks it: client.disconnect()",
            ) from error

    async def asend(self, message: Any) -> bool:
        """Await `send`, which then always waits for the other side."""
        self._check_fork()
        sent = self._sender.send(message)
        return sent is not None and await asyncio.wrap_future(sent)

    def receive(self, timeout: float = 10.0) -> Any:
        """Return the next message; for clients without a handler of ``"message"``.

        Raises
        ------
        DeadlineExceeded
            No message arrived in time.
        UnavailableError
            No message will arrive: the client is not connected, nor connecting.
        UsageError
            Messages go to a handler.
        """
        timeout = self._receiving(timeout)
        try:
            return self._dispatcher.inbox.take(timeout)
        except IndexError:
            raise self._none_came(timeout) from None

    async def areceive(self, timeout: float = 10.0) -> Any:  # noqa: ASYNC109 - the twin of receive
        """Await `receive`."""
        timeout = self._receiving(timeout)
        try:
            return await self._dispatcher.inbox.atake(timeout)
        except IndexError:
            raise self._none_came(timeout) from None

    def _receiving(self, timeout: float) -> float:
        """Return the time-out of a `receive`, if messages can be received."""
        timeout = seconds("timeout", timeout, service="websocket", zero=True)
        self._check_fork()
        if self._handlers.has("message"):
            raise UsageError(
                "messages go to the handlers of 'message'",
                service="websocket",
                hint="remove the handler: client.off('message', FUNCTION)",
            )
        return timeout

    def _none_came(self, timeout: float) -> UnavailableError:
        if self.state in {"new", *_OVER}:
            return UnavailableError(
                f"no message will arrive: {self.url} is {self.state}",
                service="websocket",
                hint="client.connect() (%ws connect URL)",
            )
        return DeadlineExceeded(
            f"no message from {self.url} within {timeout:g} s",
            service="websocket",
            hint="raise timeout=; client.stats() shows the connection (%ws list)",
        )

    def __aiter__(self) -> MessageStream:
        """Return an iterator of waiting and future messages; connects if necessary."""
        with contextlib.suppress(AgentnbError):  # the iterator raises it
            self.connect(0)
        return self._dispatcher.stream()

    def disconnect(self, timeout: float = 5.0) -> None:
        """Close the connection and stop reconnecting; `connect` starts again.

        Parameters
        ----------
        timeout
            Seconds for the closing handshake and for running handlers. A handler that has not
            returned by then is left running.
        """
        timeout = seconds("timeout", timeout, service="websocket", zero=True)
        if self._fork.forked:
            return
        with self._lock:
            session = self._session
        until = monotonic() + timeout
        if session is not None and session.state != "closed":
            stopping = self._loop.submit(session.stop())
            if not self._handlers.within():
                with contextlib.suppress(FutureTimeoutError):
                    stopping.result(max(until - monotonic(), 0.1))
        if not self._handlers.within():
            self._handlers.end(max(until - monotonic(), 0.1))
            self._loop.close()

    async def adisconnect(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - as aconnect
        """Await `disconnect`."""
        if self._handlers.within():
            self.disconnect(timeout)
            return
        # In a thread of its own: the handlers' thread is waited for.
        await asyncio.wrap_future(run_in_thread(self.disconnect, timeout, name="disconnect"))

    close = disconnect
    aclose = adisconnect

    def stats(self) -> dict[str, Any]:
        """Return the state and the counts.

        Returns
        -------
        dict
            ``url`` (masked), ``state``, ``seconds`` (in that state), ``connects``, ``received``,
            ``sent``, ``unsent``, ``waiting`` (messages that no one has received), ``dropped``,
            ``not_json`` (messages that were not, and so were errors), ``errors``, ``last_error``
            (text or None), ``last_end`` (why the last connection ended), ``subprotocol``.
        """
        self._check_fork()
        session = self._session
        dispatcher = self._dispatcher
        return {
            "url": self.url,
            "state": self.state,
            "seconds": round(monotonic() - session.since, 1) if session else 0.0,
            "connects": dispatcher.connects,
            "received": dispatcher.received,
            "sent": self._sender.sent,
            "unsent": self._sender.unsent,
            "waiting": dispatcher.waiting,
            "dropped": dispatcher.dropped,
            "not_json": dispatcher.not_json,
            "errors": dispatcher.errors,
            "last_error": str(dispatcher.last_error) if dispatcher.last_error else None,
            "last_end": dispatcher.last_end,
            "subprotocol": self.subprotocol,
        }

    def ping(self) -> None:
        """Check that the client is connected.

        Raises
        ------
        UnavailableError, RejectedError
            It is not connected; the error says why.
        """
        if not self.connected:
            state = self.state
            error = self._dispatcher.last_error
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

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.disconnect)

    def __repr__(self) -> str:
        return f"<WebSocketClient {self.url}: {self.state}>"


def _outcome(session: Session) -> bool:
    """Return whether a session is connected, or raise the error that has ended it."""
    if session.refused is not None:
        raise session.refused from session.refused.__cause__
    return session.open
