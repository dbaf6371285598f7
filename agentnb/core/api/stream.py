"""Replies that are read as they come: bytes, lines, or server-sent events."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agentnb.core.api.body import charset_of, invalid
from agentnb.core.api.flow import named_error
from agentnb.core.api.lines import Event, EventDecoder, LineDecoder, TooLong
from agentnb.core.api.request import TransportFailure
from agentnb.core.api.unpack import Unpackable, Unpacker
from agentnb.core.errors import AgentnbError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from agentnb.core.api.context import ClientContext
    from agentnb.core.api.options import ResolvedOptions
    from agentnb.core.api.request import Reply, Started
    from agentnb.core.trace import Span

__all__ = ["AsyncStreamReply", "StreamReply"]

T_co = TypeVar("T_co", covariant=True)
_EVENTS = "text/event-stream"


class _Decoder(Protocol[T_co]):
    def feed(self, data: bytes) -> Iterator[T_co]: ...
    def end(self) -> Iterator[T_co]: ...


class _Bytes:
    """Gives bytes as they come."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> Iterator[bytes]:
        yield from ()


class _StreamState:
    """The state of a streamed reply: limits, counts, errors, the end.

    Attributes
    ----------
    status, headers, url, method, attempts
        As `Reply` has them.
    size
        Bytes that have come so far, unpacked.
    items
        Events, lines or pieces that have been given so far.
    first_byte_ms
        Milliseconds from the call to the first byte of the body; None before it.
    """

    def __init__(
        self, context: ClientContext, reply: Reply, resolved: ResolvedOptions, span: Span
    ) -> None:
        started: Started = reply.data
        self.status, self.headers, self.url = reply.status, reply.headers, reply.url
        self.method, self.attempts = reply.method, reply.attempts
        self.size = self.items = 0
        self.first_byte_ms: float | None = None
        self._context, self._resolved, self._span = context, resolved, span
        self._started = started
        self._content = started.content
        self._unpacker: Unpacker | None = None
        self._events: EventDecoder | None = None
        self._iterator: Any = None
        self._kind = ""
        self._over = False
        self._failure: AgentnbError | None = None

    @property
    def last_event_id(self) -> str:
        """The last id that the server has sent, for ``Last-Event-ID``; empty for none."""
        return self._events.last_id if self._events is not None else ""

    @property
    def retry_ms(self) -> int | None:
        """Milliseconds that the server asks to wait before the stream is asked for again."""
        return self._events.retry_ms if self._events is not None else None

    def _iterate(self, kind: str, make: Callable[[], _Decoder[Any]]) -> Any:
        """Return the one iterator of the stream, made by the first call.

        Raises
        ------
        UsageError
            The stream is read in another way already.
        """
        if self._iterator is None:
            decoder = make()
            self._kind, self._iterator = kind, self._read(decoder)
        elif self._kind != kind:
            raise UsageError(
                f"this stream is read by {self._kind}() already",
                service="api",
                hint=f"go on with {self._kind}(), or make another call",
            )
        return self._iterator

    def _read(self, decoder: _Decoder[Any]) -> Any:
        raise NotImplementedError

    def _line_decoder(self) -> LineDecoder:
        charset = charset_of(self.headers)
        try:
            plain = "\r\n".encode(charset) == b"\r\n"
        except LookupError:
            plain = False
        if not plain:
            raise self._invalid(
                f"its text is {charset}, which is not cut into lines",
                hint="bytes() reads it as it is",
            )
        return LineDecoder(self._resolved.max_event, charset)

    def _event_decoder(self) -> EventDecoder:
        kind = self.headers.get("content-type", _EVENTS)
        if kind.partition(";")[0].strip().lower() != _EVENTS:
            raise self._invalid(
                f"its body is no {_EVENTS} but {kind}",
                hint="lines() or bytes() reads it as it is",
            )
        self._events = EventDecoder(self._resolved.max_event)
        return self._events

    def _pieces(self, part: bytes) -> Iterator[bytes]:
        """Yield the unpacked pieces of a part, and count them."""
        if self.first_byte_ms is None:
            self.first_byte_ms = (perf_counter() - self._started.since) * 1000
        if self._unpacker is None:
            self._unpacker = Unpacker(self.headers)
        for piece in self._unpacker.feed(part):
            self.size += len(piece)
            limit = self._resolved.max_bytes
            if self.size > limit:
                raise self._invalid(
                    f"its body may have {limit:,} bytes and is larger than that",
                    hint="ask for less, or give max_bytes=",
                )
            yield piece

    def _ended(self) -> None:
        """Check that the body is whole."""
        if self._unpacker is not None:
            self._unpacker.end()

    def _fed(self, decoder: _Decoder[T_co], part: bytes) -> Iterator[T_co]:
        """Yield the items that a part of the body completes."""
        for piece in self._pieces(part):
            for item in decoder.feed(piece):
                self.items += 1
                yield item
                self._check_open()

    def _rest(self, decoder: _Decoder[T_co]) -> Iterator[T_co]:
        """Yield the items that the end of the body completes."""
        self._check_open()
        self._ended()
        for item in decoder.end():
            self.items += 1
            yield item

    def _check_open(self) -> None:
        if self._over:
            raise UsageError(
                f"the stream of {self._started.doing} is closed",
                service="api",
                hint="read it within the with block",
            )

    def _invalid(self, why: str, hint: str | None = None) -> AgentnbError:
        error = named_error(invalid(why, self.status, self.headers, hint=hint), self._started.doing)
        error.hide(self._started.mask)
        return error

    def _error(self, error: Exception) -> Exception:
        """Return the error to raise for a failure while reading."""
        if self._over:
            error = UsageError(
                f"the stream of {self._started.doing} was closed while it was read",
                service="api",
                hint="read it within the with block",
            )
        elif isinstance(error, TransportFailure):
            error = error.error
        elif isinstance(error, TooLong):
            return self._invalid(str(error), hint="give it more by max_event= (bytes)")
        elif isinstance(error, Unpackable):
            return self._invalid(str(error))
        if isinstance(error, AgentnbError):
            error.hide(self._started.mask)
        return error

    def _failed(self, error: Exception) -> Exception:
        """Keep the cause of a broken stream, and return the error to raise."""
        made = self._error(error)
        if isinstance(made, AgentnbError) and not self._over:
            self._failure = made
        return made

    def _finish(self) -> bool:
        """Count and log how it ended; return False if that was done before."""
        if self._over:
            return False
        self._over = True
        context, failure = self._context, self._failure
        fields = {"status": self.status, "bytes": self.size, self._kind or "items": self.items}
        span = self._span
        span.attributes = {**(span.attributes or {}), **fields}
        if self.first_byte_ms is not None:
            span.attributes["first_byte_ms"] = round(self.first_byte_ms, 1)
        if failure is not None:
            context.count.failed(failure)
            context.log.error(
                "API stream error: %s failed: %s: %s",
                self._started.doing,
                type(failure).__name__,
                failure.message,
                extra={"data": fields | {"error": failure.message}},
            )
            span.outcome = type(failure).__name__
        else:
            context.count.done(self.status, (perf_counter() - self._started.since) * 1000)
            context.log.debug("API stream ended: %s", self._started.doing, extra={"data": fields})
        if self._events is not None and self._events.unfinished:
            context.log.warning(
                "API stream ended within an event, which is dropped: %s", self._started.doing
            )
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._started.doing}: {self.status}>"


class StreamReply(_StreamState):
    """A reply whose body is read as it comes; made by `APIClient.stream`.

    It is read once, by one of `events`, `lines` and `bytes`; a loop that was left is gone on with
    by calling the same method again.
    """

    def events(self) -> Iterator[Event]:
        """Yield server-sent events.

        Raises
        ------
        InvalidResponse
            The body is no ``text/event-stream``, or is too large.
        UnavailableError
            The connection broke, or nothing came for `idle` seconds.
        DeadlineExceeded
            The call took longer than `timeout`.
        UsageError
            The stream is closed, or is read in another way already.
        """
        return self._iterate("events", self._event_decoder)  # type: ignore[no-any-return]  # of this kind

    def lines(self) -> Iterator[str]:
        """Yield lines of text without their line breaks, as JSON lines have them. See `events`."""
        return self._iterate("lines", self._line_decoder)  # type: ignore[no-any-return]  # of this kind

    def bytes(self) -> Iterator[bytes]:
        """Yield bytes in pieces as they come. See `events`."""
        return self._iterate("bytes", _Bytes)  # type: ignore[no-any-return]  # of this kind

    def _read(self, decoder: _Decoder[T_co]) -> Iterator[T_co]:
        self._check_open()
        try:
            for part in self._content:
                yield from self._fed(decoder, part)
            yield from self._rest(decoder)
        except Exception as error:  # noqa: BLE001 - a connection that another thread closed raises anything
            raised = self._failed(error)
            self.close()
            raise raised from (None if raised is error else error)
        self.close()

    def close(self) -> None:
        """Close the connection, unless all has been read; from any thread. Idempotent."""
        if self._finish():
            self._content.close()


class AsyncStreamReply(_StreamState):
    """The awaited twin of `StreamReply`; made by `APIClient.astream`."""

    def events(self) -> AsyncIterator[Event]:
        """Yield server-sent events; see `StreamReply.events`."""
        return self._iterate("events", self._event_decoder)  # type: ignore[no-any-return]  # of this kind

    def lines(self) -> AsyncIterator[str]:
        """Yield lines of text; see `StreamReply.lines`."""
        return self._iterate("lines", self._line_decoder)  # type: ignore[no-any-return]  # of this kind

    def bytes(self) -> AsyncIterator[bytes]:
        """Yield bytes; see `StreamReply.bytes`."""
        return self._iterate("bytes", _Bytes)  # type: ignore[no-any-return]  # of this kind

    async def _read(self, decoder: _Decoder[T_co]) -> AsyncIterator[T_co]:
        self._check_open()
        try:
            async for part in self._content:
                for item in self._fed(decoder, part):
                    yield item
            for item in self._rest(decoder):
                yield item
        except Exception as error:  # noqa: BLE001 - a connection that another thread closed raises anything
            raised = self._failed(error)
            await self.aclose()
            raise raised from (None if raised is error else error)
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, unless all has been read. Idempotent."""
        if self._finish():
            await self._content.aclose()
