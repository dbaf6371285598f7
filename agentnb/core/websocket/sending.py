"""What a client is made of, and how it sends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import DeadlineExceeded, UsageError
from agentnb.core.forking import ForkGuard
from agentnb.core.headers import credentials
from agentnb.core.loop import LoopThread
from agentnb.core.runtime import Runtime
from agentnb.core.websocket.address import address
from agentnb.core.websocket.calls import Calls
from agentnb.core.websocket.ears import Ears
from agentnb.core.websocket.handshake import Handshake
from agentnb.core.websocket.session import Options, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.websocket.handshake import Given

__all__ = ["Sending"]

_MARGIN = 1.0
_ON_ITS_WAY = 64 * 1024


class Sending:
    """The half of a client that sends; see `WebSocketClient`."""

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
        numbers = (reconnect, queue, max_size, ping, timeout)
        if not all(isinstance(n, int | float) and 0 < n < float("inf") for n in numbers):
            raise UsageError(
                "durations, sizes and counts of a client are numbers above 0", service="websocket"
            )
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
        self._codec: Any = None
        self._calls = Calls(queue, self.url, self._tracer, self._log)
        self._begin()

    def _begin(self) -> None:
        """Have a life of one's own: a client that was forked has no connection."""
        self._fork = ForkGuard()
        self._lock = threading.RLock()
        self._loop = LoopThread()
        self._session: Session | None = None
        self._sent = self._unsent = self._on_its_way = 0
        self._ears = Ears(self.url, self._queue, self._calls, json=self.json, log=self._log)

    def _here(self) -> None:
        if self._fork.forked:
            self._calls.forked()
            self._begin()

    @property
    def url(self) -> str:
        """The URL, its secrets masked."""
        return self._address.shown

    def secrets(self) -> list[str]:
        """Return what must be shown nowhere: of the last handshake's headers, and of the URL."""
        return [*credentials(self._options.handshake.headers), *self._address.secrets]

    def _learn(self) -> None:
        """Have the hub mask the secrets."""
        for secret in self.secrets():
            self._redactor.add(secret)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server has chosen; None for none, or without a connection."""
        return None if self._session is None else self._session.subprotocol

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``connected``, ``waiting``, ``refused`` or ``closed``."""
        self._here()
        return "new" if self._session is None else self._session.state

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.state == "connected"

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
            The message has no JSON form.
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
        self._log.warning("WebSocket not connected, message not sent: %s", self.url)

    def _encoded(self, message: Any) -> tuple[bytes, bool]:
        if self.json:
            return self._json_codec().encode(message), True
        if isinstance(message, str):
            try:
                return message.encode(), True
            except UnicodeEncodeError as error:
                raise UsageError(
                    "the message cannot be sent: it is text that is not Unicode",
                    service="websocket",
                    hint="bytes are sent as they are",
                ) from error
        if isinstance(message, bytes | bytearray | memoryview):
            return bytes(message), False
        raise UsageError(
            f"with json=False a message is str or bytes, not {type(message).__name__}",
            service="websocket",
        )

    def _json_codec(self) -> Any:
        if self._codec is None:
            import sys

            from agentnb.core.codec import Json

            self._codec = Json("websocket", "the message", limit=sys.maxsize, setting="max_size=")
        return self._codec
