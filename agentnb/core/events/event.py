"""An event, as publishers and handlers receive it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Generic

from agentnb.core.keywords import refuse_unknown
from agentnb.core.trace import parse_traceparent
from agentnb.core.typevars import D

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Event", "place_number"]

_UNREAD: Any = object()


@refuse_unknown("events")
class Event(Generic[D]):
    """Something that happened, with CloudEvents' names.

    A handler with a schema is given an ``Event[SCHEMA]``, whose data is of that type.

    Attributes
    ----------
    id
        Unique; the same wherever the event is seen. Empty for what a program published that
        knows nothing of envelopes.
    channel
        The channel that it was published on.
    data
        The published value as plain JSON; each handler has a copy of its own. Where the
        subscription has a schema, a value of that.
    time
        When it was published, by the clock of its source, in UTC.
    source
        The bus that published it: host, process and a number.
    traceparent
        The W3C trace context of the publisher; None outside of every trace.
    correlation_id
        Free text of the publisher's, or None.
    pending
        Whether the event waits to be sent, because the server is away; handlers in its own
        process receive it at once.
    place
        Its position in the log, ``"<milliseconds>-<number>"``; None for an event that is pending
        or was published with ``durable=False``.
    gap
        Whether the event stands for missed events that the log no longer has; ``data`` has the
        positions around them.

    Examples
    --------
    >>> event = Event("1", "agent.done", b'{"task": 7}', time=0.0)
    >>> event.channel, event.data, event.time.year
    ('agent.done', {'task': 7}, 1970)
    """

    __slots__ = (
        "_data",
        "_decode",
        "_raw",
        "_time",
        "channel",
        "correlation_id",
        "gap",
        "id",
        "pending",
        "place",
        "source",
        "traceparent",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 - CloudEvents' name
        channel: str,
        raw: bytes,
        *,
        time: float | dt.datetime | None = None,
        source: str = "",
        traceparent: str | None = None,
        correlation_id: str | None = None,
        decode: Callable[[bytes], Any] | None = None,
    ) -> None:
        self.id = id
        self.channel = channel
        self.source = source
        self.traceparent = traceparent
        self.correlation_id = correlation_id
        self.pending = False
        self.place: str | None = None
        self.gap = False
        self._time = time
        self._raw = raw
        self._data = _UNREAD
        self._decode = decode

    @property
    def data(self) -> D:
        """The published value, decoded on first access."""
        if self._data is _UNREAD:
            self._data = (self._decode or _plain)(self._raw)
        data: D = self._data
        return data

    @data.setter
    def data(self, value: D) -> None:
        self._data = value

    @property
    def raw(self) -> bytes:
        """The JSON that was published; where it came from another process, with its envelope."""
        return self._raw

    @property
    def time(self) -> dt.datetime:
        """When it was published, in UTC."""
        found = self._time
        if isinstance(found, dt.datetime):
            return found
        return dt.datetime.fromtimestamp(found or 0.0, dt.UTC)

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that it was published in, 32 hexadecimal digits, or None."""
        place = parse_traceparent(self.traceparent)
        return None if place is None else place.trace_id

    def copy(self) -> Event:
        """Return the same event with data of its own, for another handler."""
        twin = object.__new__(Event)
        twin.id = self.id
        twin.channel = self.channel
        twin.source = self.source
        twin.traceparent = self.traceparent
        twin.correlation_id = self.correlation_id
        twin.pending = self.pending
        twin.place = self.place
        twin.gap = self.gap
        twin._time = self._time
        twin._raw = self._raw
        twin._data = _UNREAD
        twin._decode = self._decode
        return twin

    def envelope(self) -> dict[str, Any]:
        """Return all of it as plain values, as a panel or a log shows it."""
        return {
            "id": self.id,
            "channel": self.channel,
            "time": self.time.isoformat(timespec="milliseconds"),
            "source": self.source,
            "traceparent": self.traceparent,
            "correlation_id": self.correlation_id,
            "place": self.place,
            **({"pending": True} if self.pending else {}),
            **({"gap": True} if self.gap else {}),
            "data": self.data,
        }

    def __repr__(self) -> str:
        words = [repr(self.channel), repr(self.data)]
        if self.trace_id is not None:
            words.append(f"trace {self.trace_id[:8]}")
        if self.pending:
            words.append("pending=True")
        if self.gap:
            words.append("gap=True")
        return f"Event({', '.join(words)})"


def _plain(raw: bytes) -> Any:
    import msgspec

    return msgspec.json.decode(raw)


def place_number(place: str) -> int:
    """Return a position in the log as a number, for comparison.

    >>> place_number("5-1") < place_number("5-2") < place_number("6-0")
    True
    """
    ms, _, number = place.partition("-")
    return (int(ms) << 64) + int(number or 0)
