"""Dead letters: events whose handler failed, and messages that cannot be decoded."""

from __future__ import annotations

import datetime as dt
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError
from agentnb.core.events.log import pairs
from agentnb.core.events.wire import traceparent_of
from agentnb.core.failure import words_of
from agentnb.core.forking import new_lock
from agentnb.core.redact import brief, redact
from agentnb.core.trace import parse_traceparent

if TYPE_CHECKING:
    from agentnb.core.redis import RedisClient
    from agentnb.core.trace import ServiceLog

__all__ = ["DeadLetter", "DeadLetters"]

_KEPT = 1000
_UNSENT = 1000
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was not handled, and why.

    Parameters
    ----------
    place
        Its position among the dead letters, which identifies it.
    channel, message
        The event as it was received.
    event_id
        The event's id; empty for one without an envelope.
    handler
        The name of the handler that failed; empty for a message that cannot be decoded.
    error
        The error.
    source
        Which bus wrote it.
    """

    place: str
    channel: str
    message: bytes
    event_id: str
    handler: str
    error: str
    source: str

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that the event was published in; None where it is not known."""
        place = parse_traceparent(traceparent_of(self.message))
        return None if place is None else place.trace_id

    @property
    def time(self) -> dt.datetime:
        """When it was written, by the server's clock, in UTC."""
        return dt.datetime.fromtimestamp(int(self.place.partition("-")[0]) / 1000, dt.UTC)


class DeadLetters:
    """The stream of dead letters, the last thousand.

    Parameters
    ----------
    redis
        The client of the server.
    key
        The stream's key.
    source
        The bus that writes.
    log
        Where each is said.
    """

    def __init__(
        self,
        redis: RedisClient,
        key: str,
        *,
        source: str,
        log: ServiceLog,
    ) -> None:
        self._redis = redis
        self.key = key
        self._source = source
        self._log = log
        self._lock = new_lock()
        self._unsent: deque[dict[str, Any]] = deque(maxlen=_UNSENT)

    def add(
        self, channel: str, message: bytes, *, event_id: str, handler: str, error: BaseException
    ) -> None:
        """Write a dead letter; while the server is away, the last thousand are kept here."""
        reason = redact(words_of(error))[:_LONGEST]
        if handler:
            told = {"channel": channel, "event_id": event_id, "handler": handler, "error": reason}
            self._log.failed(
                logging.ERROR,
                "handler %s of %s failed at event %s: %s",
                *(handler, channel, event_id, reason),
                error=error,
                extra={"data": told},
            )
        else:
            told = {"channel": channel, "message": brief(message), "error": reason}
            self._log.error(
                "failed to parse event on %s: %s", channel, reason, extra={"data": told}
            )
        fields = {
            "channel": channel.encode("utf-8", "surrogateescape"),
            "message": message,
            "event": event_id.encode("utf-8", "surrogateescape"),
            "handler": handler.encode("utf-8", "replace"),
            "error": reason.encode("utf-8", "replace"),
            "source": self._source,
        }
        with self._lock:
            self._unsent.append(fields)
        self.flush()

    @property
    def unsent(self) -> int:
        """The number of letters that wait for the server."""
        return len(self._unsent)

    def flush(self) -> None:
        """Write the waiting letters, until the server refuses."""
        with self._lock:
            while self._unsent:
                fields = self._unsent[0]
                words = [word for pair in fields.items() for word in pair]
                try:
                    self._redis.execute_command("XADD", self.key, "MAXLEN", "~", _KEPT, "*", *words)
                except AgentnbError as error:
                    self._log.warning("dead letters wait for the server: %s", error)
                    return
                self._unsent.popleft()

    def size(self) -> int:
        """Return the number of dead letters."""
        return int(self._redis.untraced.execute_command("XLEN", self.key))

    def last(self, n: int) -> list[DeadLetter]:
        """Return the last letters, newest first."""
        found: Any = self._redis.untraced.execute_command(
            "XREVRANGE", self.key, "+", "-", "COUNT", n
        )
        return [_letter(place, fields) for place, fields in found]

    def get(self, place: str) -> DeadLetter | None:
        """Return the letter at a position, None if there is none."""
        found: Any = self._redis.execute_command("XRANGE", self.key, place, place)
        return _letter(*found[0]) if found else None

    def remove(self, *places: str) -> int:
        """Remove letters, and return the number removed."""
        return int(self._redis.execute_command("XDEL", self.key, *places)) if places else 0


def _letter(place: bytes, fields: Any) -> DeadLetter:
    values = pairs(fields)

    def text(name: bytes) -> str:
        return str(values.get(name, b"").decode("utf-8", "surrogateescape"))

    return DeadLetter(
        place.decode(),
        text(b"channel"),
        values.get(b"message", b""),
        text(b"event"),
        text(b"handler"),
        text(b"error"),
        text(b"source"),
    )
