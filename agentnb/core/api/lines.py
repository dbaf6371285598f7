"""Decoders of streamed bodies: bytes in, lines or events out, wherever the bytes were cut."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Event", "EventDecoder", "LineDecoder", "TooLong"]

_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


class TooLong(Exception):  # noqa: N818 - never leaves the package
    """A line or an event is longer than it may be."""

    def __init__(self, kind: str, limit: int) -> None:
        super().__init__(f"{kind} of more than {limit:,} bytes came")


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a ``text/event-stream``.

    Attributes
    ----------
    data
        Its text; several ``data`` lines are joined by line breaks.
    event
        Its type; ``"message"`` where the server names none.
    id
        The last id that the server has sent, with this event or before it; empty for none.

    Examples
    --------
    >>> Event('{"token": "one"}').json()
    {'token': 'one'}
    """

    data: str
    event: str = "message"
    id: str = ""

    def json(self, schema: Any = None) -> Any:
        """Return the data, which is JSON, as a value.

        Parameters
        ----------
        schema
            The type to read it as: a Struct, a dataclass, a TypedDict, a pydantic model.

        Raises
        ------
        InvalidResponse
            The data is not JSON, or not the schema's.
        """
        from agentnb.core.api.body import event_value

        return event_value(self.data, schema)


class LineDecoder:
    r"""Cuts bytes into lines of text, which end with LF, CR or CRLF.

    A line is given as soon as its end has come, so the LF of a CRLF may follow later. Bytes that
    are not of the charset become U+FFFD, and a byte order mark at the start is dropped.

    Parameters
    ----------
    limit
        The largest line, in bytes.
    charset
        That of the text, in which a line break is one byte as in ASCII.

    Examples
    --------
    >>> lines = LineDecoder(1000)
    >>> [*lines.feed(b"one\r"), *lines.feed(b"\ntwo\nth"), *lines.end()]
    ['one', 'two', 'th']
    """

    kind = "a line"

    def __init__(self, limit: int, charset: str = "utf-8") -> None:
        self._limit, self._charset = limit, charset
        self._parts: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the lines that these bytes complete.

        Raises
        ------
        TooLong
            A line is longer than the limit.
        """
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        at = 0
        for found in _END.finditer(data):
            self._add(data[at : found.start()])
            at = found.end()
            self._after_cr = at == len(data) and data.endswith(b"\r")
            yield self._line()
        self._add(data[at:])

    def end(self) -> Iterator[str]:
        """Yield the last line, if the body does not end with a line break."""
        if self._size:
            yield self._line()

    def _add(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._size += len(part)
            if self._size > self._limit:
                raise TooLong(self.kind, self._limit)

    def _line(self) -> str:
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        return line.decode(self._charset, "replace")


class EventDecoder:
    r"""Reads server-sent events.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

    Parameters
    ----------
    limit
        The largest line and the largest data of an event, in bytes.

    Attributes
    ----------
    last_id
        The id to send as ``Last-Event-ID`` when the stream is asked for again.
    retry_ms
        Milliseconds that the server asks to wait before that; None if it has not said.
    unfinished
        Whether the body ended within an event, which the standard drops.

    Examples
    --------
    >>> events = EventDecoder(1000)
    >>> list(events.feed(b"event: token\ndata: one\ndata: two\n\n: a comment\n\n"))
    [Event(data='one\ntwo', event='token', id='')]
    """

    kind = "an event"

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines = LineDecoder(limit)
        self._data: list[str] = []
        self._size = 0
        self._type = self._id = ""
        self.last_id = ""
        self.retry_ms: int | None = None
        self.unfinished = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that these bytes complete.

        Raises
        ------
        TooLong
            A line or an event is longer than the limit.
        """
        for line in self._lines.feed(data):
            if line:
                self._field(line)
            elif (event := self._dispatched()) is not None:
                yield event

    def end(self) -> Iterator[Event]:
        """Note whether an event was cut off; it is not given."""
        self.unfinished = bool(self._data) or any(self._lines.end())
        yield from ()

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._size += len(value.encode()) + 1
            if self._size > self._limit:
                raise TooLong(self.kind, self._limit)
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_ms = int(value[:12])

    def _dispatched(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._size, self._type = [], 0, ""
        self.last_id = self._id
        if not data:
            return None
        return Event("\n".join(data), kind or "message", self.last_id)
