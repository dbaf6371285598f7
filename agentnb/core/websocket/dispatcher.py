"""Dispatch a connection's events to handlers, to iterators, or to the inbox of `receive`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, RejectedError
from agentnb.core.forking import new_lock
from agentnb.core.trace import stamp
from agentnb.core.websocket.inbox import Inbox, MessageStream

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.websocket.handlers import HandlerCalls

__all__ = ["MessageDispatcher"]

_SNIPPET = 60


class MessageDispatcher:
    """Receives the events of a session, on its loop; counts and dispatches them.

    Parameters
    ----------
    url
        The client's URL, masked.
    limit
        Maximum number of waiting messages, in each inbox.
    json
        Whether messages are JSON.
    handlers
        Calls the handlers.
    log
        Logger of connections and errors.
    """

    def __init__(
        self,
        url: str,
        limit: int,
        handlers: HandlerCalls,
        *,
        json: bool,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.inbox = Inbox(limit)
        self.connects = self.received = self.errors = self.not_json = 0
        self.last_error: AgentnbError | None = None
        self.last_end = ""
        self._url, self._limit, self._handlers, self._log = url, limit, handlers, log
        self._lock = new_lock()
        self._streams: list[Inbox] = []
        self._dropped = 0
        self._decode = _decoder() if json else None

    @property
    def waiting(self) -> int:
        """The number of messages that no one has received."""
        streams = sum(map(len, self._streams))
        return len(self.inbox) + len(self._handlers) + streams

    @property
    def dropped(self) -> int:
        """The number of dropped messages."""
        streams = sum(one.dropped for one in self._streams)
        return self.inbox.dropped + self._handlers.dropped + self._dropped + streams

    def on_connected(self) -> None:
        """Count, log and dispatch a connection."""
        self.connects += 1
        self._log.info("WebSocket connected: %s", self._url, extra=self._stamp(url=self._url))
        self._handlers.put("connected")

    def on_message(self, message: bytes | str) -> None:
        """Decode and dispatch a message."""
        self.received += 1
        value: Any = message
        if self._decode is not None:
            try:
                value = self._decode(message)
            except (ValueError, RecursionError) as error:
                self.not_json += 1
                made = _not_json(self._url, message, error)
                return self.on_error(made, "failed to parse WebSocket message")
        # Locked, so that a handler or iterator that is being added receives all, in order.
        with self._lock:
            streams = self._streams  # an iterator may leave as soon as it has its message
            for stream in streams:
                stream.put(value)
            if self._handlers.has("message"):
                self._handlers.put("message", value)
            elif not streams:
                self.inbox.put(value)
        return None

    def on_disconnected(self, why: str) -> None:
        """Log and dispatch the end of a connection."""
        self.last_end = why
        extra = self._stamp(url=self._url, reason=why)
        self._log.info("WebSocket disconnected: %s (%s)", self._url, why, extra=extra)
        self._handlers.put("disconnected")

    def on_error(self, error: AgentnbError, event: str = "WebSocket error") -> None:
        """Count, log and dispatch an error."""
        self.errors += 1
        self.last_error = error
        extra = self._stamp(url=self._url, error=error.message)
        self._log.error("%s: %s", event, error.message, extra=extra)
        self._handlers.put("error", error)

    def _stamp(self, **data: str) -> dict[str, object]:
        """Return the extra fields of a log line: its data, and the trace of `connect`."""
        return {"data": data, **stamp(self._handlers.context)}

    def on_ended(self, error: AgentnbError | None) -> None:
        """End all inboxes: no further message will arrive."""
        with self._lock:
            for inbox in (self.inbox, *self._streams):
                inbox.end(error)

    def add(self, kind: str, handler: Callable[..., Any]) -> None:
        """Add a handler; it receives the messages that waited."""
        with self._lock:
            self._handlers.add(kind, handler)
            if kind == "message":
                for message in self.inbox.take_all():
                    self._handlers.put("message", message)

    def stream(self) -> MessageStream:
        """Return an iterator of messages, beginning with those that waited."""
        with self._lock:
            inbox = Inbox(self._limit)
            for message in self.inbox.take_all():
                inbox.put(message)
            self._streams = [*self._streams, inbox]
            if self.inbox.ended:
                inbox.end(self.inbox.error)
        return MessageStream(inbox, self._leave)

    def _leave(self, inbox: Inbox) -> None:
        # Also called by the garbage collector, at any moment: without the lock.
        streams = self._streams
        if any(one is inbox for one in streams):
            self._streams = [one for one in streams if one is not inbox]
            self._dropped += inbox.dropped


def _decoder() -> Callable[[bytes | str], Any]:
    import msgspec

    decode: Callable[[bytes | str], Any] = msgspec.json.Decoder().decode
    return decode


def _not_json(url: str, message: bytes | str, error: Exception) -> AgentnbError:
    text = message if isinstance(message, str) else message[:_SNIPPET].decode(errors="replace")
    made = RejectedError(
        f"a message from {url} is not JSON: {error}; it begins {text[:_SNIPPET]!r}",
        service="websocket",
        hint="connect with json=False to receive text or bytes",
    )
    made.__cause__ = error
    return made
