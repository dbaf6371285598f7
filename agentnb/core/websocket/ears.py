"""What a client hears: told to handlers, to those who iterate, or kept for whoever asks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, RejectedError
from agentnb.core.trace import stamp
from agentnb.core.websocket.inbox import Inbox, MessageStream

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.websocket.calls import Calls

__all__ = ["Ears"]

_SNIPPET = 60


class Ears:
    """Takes what a session says, on its loop, and counts.

    Parameters
    ----------
    url
        The client's, masked.
    limit
        How many messages may wait, in each of the places where they do.
    json
        Whether messages are JSON.
    calls
        The handlers.
    log
        Where it is told.
    """

    def __init__(
        self,
        url: str,
        limit: int,
        calls: Calls,
        *,
        json: bool,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.inbox = Inbox(limit)
        self.connects = self.received = self.errors = self.not_json = 0
        self.last_error: AgentnbError | None = None
        self.last_end = ""
        self._url, self._limit, self._calls, self._log = url, limit, calls, log
        self._lock = threading.Lock()
        self._streams: list[Inbox] = []
        self._dropped = 0
        self._decode = _decoder() if json else None

    @property
    def waiting(self) -> int:
        """How many messages nobody has had yet."""
        streams = sum(map(len, self._streams))
        return len(self.inbox) + len(self._calls) + streams

    @property
    def dropped(self) -> int:
        """How many had to make room."""
        streams = sum(one.dropped for one in self._streams)
        return self.inbox.dropped + self._calls.dropped + self._dropped + streams

    def connected(self) -> None:
        """Tell of a connection."""
        self.connects += 1
        self._log.info("WebSocket connected: %s", self._url, extra=self._told(url=self._url))
        self._calls.put("connected")

    def came(self, message: bytes | str) -> None:
        """Take a message."""
        self.received += 1
        value: Any = message
        if self._decode is not None:
            try:
                value = self._decode(message)
            except (ValueError, RecursionError) as error:
                self.not_json += 1
                made = _not_json(self._url, message, error)
                return self.trouble(made, "failed to parse WebSocket message")
        # So that nobody who is just being added misses one, or has them out of order.
        with self._lock:
            streams = self._streams  # one may leave as soon as it has its message
            for stream in streams:
                stream.put(value)
            if self._calls.has("message"):
                self._calls.put("message", value)
            elif not streams:
                self.inbox.put(value)
        return None

    def disconnected(self, why: str) -> None:
        """Tell of the end of a connection."""
        self.last_end = why
        extra = self._told(url=self._url, reason=why)
        self._log.info("WebSocket disconnected: %s (%s)", self._url, why, extra=extra)
        self._calls.put("disconnected")

    def trouble(self, error: AgentnbError, event: str = "WebSocket error") -> None:
        """Tell of an error."""
        self.errors += 1
        self.last_error = error
        extra = self._told(url=self._url, error=error.message)
        self._log.error("%s: %s", event, error.message, extra=extra)
        self._calls.put("error", error)

    def _told(self, **data: str) -> dict[str, object]:
        """Return what a log line is stamped with: its data, and the trace of who connected."""
        return {"data": data, **stamp(self._calls.context)}

    def ended(self, error: AgentnbError | None) -> None:
        """Tell those who wait that nothing will come."""
        with self._lock:
            for inbox in (self.inbox, *self._streams):
                inbox.end(error)

    def add(self, kind: str, handler: Callable[..., Any]) -> None:
        """Add a handler; what waited for one goes to it."""
        with self._lock:
            self._calls.add(kind, handler)
            if kind == "message":
                for message in self.inbox.take_all():
                    self._calls.put("message", message)

    def stream(self) -> MessageStream:
        """Return what goes to somebody who iterates, from what nobody has had on."""
        with self._lock:
            made = Inbox(self._limit)
            for message in self.inbox.take_all():
                made.put(message)
            self._streams = [*self._streams, made]
            if self.inbox.ended:
                made.end(self.inbox.error)
        return MessageStream(made, self._leave)

    def _leave(self, inbox: Inbox) -> None:
        # Also called when a stream is collected, at any moment: without the lock.
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
        hint="json=False takes messages as they come",
    )
    made.__cause__ = error
    return made
