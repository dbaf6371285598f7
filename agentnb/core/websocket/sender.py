"""Encodes and sends the messages of a client, and counts them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.trace import Tracer
    from agentnb.core.websocket.session import Session

__all__ = ["Sender"]

_BUFFERED = 64 * 1024


class Sender:
    """The part of a client that sends.

    Parameters
    ----------
    url
        The client's URL, masked.
    json
        Whether messages are JSON.
    session
        Returns the client's session, None before `connect`.
    loop
        The loop of the session.
    tracer, log
        Record a span for each message, and log those that were not sent.
    """

    def __init__(
        self,
        url: str,
        *,
        json: bool,
        session: Callable[[], Session | None],
        loop: LoopThread,
        tracer: Tracer,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.sent = self.unsent = 0
        self._url = url
        self._json = json
        self._session = session
        self._loop = loop
        self._tracer = tracer
        self._log = log
        self._lock = new_lock()
        self._buffered = 0
        self._codec: Any = None

    @property
    def is_full(self) -> bool:
        """Whether more than 64 kB are on their way."""
        return self._buffered > _BUFFERED

    def send(self, message: Any) -> Future[bool] | None:
        """Hand a message to the session.

        Returns
        -------
        Future or None
            Whether the message was sent; None, with a warning, if there is no connection.

        Raises
        ------
        UsageError
            The message has no JSON form.
        """
        return self.send_encoded(*self._encoded(message))

    def send_encoded(self, data: bytes, text: bool) -> Future[bool] | None:  # noqa: FBT001 - as the session takes it
        """Hand bytes to the session, as a text message or a binary one."""
        session = self._session()
        if session is None or not session.open:
            self._not_sent()
            return None
        sent: Future[bool] = Future()
        size = len(data)
        with self._lock:
            self._buffered += size
        sent.add_done_callback(lambda done: self._done(done, size))
        with self._tracer.span("send", service="websocket", url=self._url, bytes=size):
            self._loop.soon(session.send, data, text, sent)
        return sent

    def _done(self, sent: Future[bool], size: int) -> None:
        """Count the outcome of a message; called on the loop."""
        with self._lock:
            self._buffered -= size
        if sent.cancelled() or sent.exception() is not None or not sent.result():
            self._not_sent()
        else:
            self.sent += 1

    def _not_sent(self) -> None:
        self.unsent += 1
        self._log.warning("WebSocket not connected, message not sent: %s", self._url)

    def _encoded(self, message: Any) -> tuple[bytes, bool]:
        """Return a message as bytes, and whether it is text."""
        if self._json:
            return self._json_codec().encode(message), True
        if isinstance(message, str):
            try:
                return message.encode(), True
            except UnicodeEncodeError as error:
                raise UsageError(
                    "the message cannot be sent: it is text that is not Unicode",
                    service="websocket",
                    hint="send bytes instead",
                ) from error
        if isinstance(message, bytes | bytearray | memoryview):
            return bytes(message), False
        raise UsageError(
            f"message must be str or bytes with json=False, got {type(message).__name__}",
            service="websocket",
            hint="send str(value), or connect with json=True",
        )

    def _json_codec(self) -> Any:
        if self._codec is None:
            import sys

            from agentnb.core.codec import Json

            self._codec = Json("websocket", "the message", limit=sys.maxsize, setting="max_size=")
        return self._codec
