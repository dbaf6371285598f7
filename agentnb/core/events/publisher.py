"""Publishes events: to this process at once, to the server, and to the outbox in an outage."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UnavailableError
from agentnb.core.events.attachment import Attachment
from agentnb.core.events.event import Event
from agentnb.core.events.outbox import Letter
from agentnb.core.events.scripts import PLAIN, PUBLISH
from agentnb.core.ranges import text
from agentnb.core.redact import brief
from agentnb.core.redis.sigint import defer_sigint
from agentnb.core.trace.context import ambient, check_correlation_id, context_var
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.events.outbox import Outbox
    from agentnb.core.events.wire import Wire
    from agentnb.core.redis import Keys, RedisClient
    from agentnb.core.redis.sigint import DeferredSigint
    from agentnb.core.trace import Tracer

__all__ = ["Publisher"]


class Publisher:
    """The part of an `EventBus` that publishes.

    Parameters
    ----------
    redis
        The client to publish with.
    keys, wire
        Make the names on the server and the messages.
    outbox
        Keeps events while the server is away.
    source, id_prefix
        The identity of the bus, and the start of its events' ids.
    log_size
        Approximate number of events that the log keeps.
    deliver
        Hands an event to the subscribers in this process.
    tracer, log
        Record spans and log lines.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        keys: Keys,
        wire: Wire,
        outbox: Outbox,
        source: str,
        id_prefix: str,
        log_size: int,
        deliver: Callable[..., None],
        tracer: Tracer,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._outbox = outbox
        self._redis = redis
        self._keys = keys
        self._wire = wire
        self._source = source
        self._id_prefix = id_prefix
        self._numbers = itertools.count(1)
        self._log_key = keys.internal("events")
        self._log_size = log_size
        self._marker = keys.internal("events-values")
        self._deliver = deliver
        self._tracer = tracer
        self._log = log
        self._last_place = "0-0"

    def publish(
        self,
        channel: str,
        data: Any,
        *,
        correlation_id: str | None,
        durable: bool,
        event_id: str | None,
    ) -> Event:
        """Publish an event; see `EventBus.publish`."""
        check_correlation_id(correlation_id, "events")
        # The event is made in the span, which so is the parent of those that handle it.
        with Span(self._tracer, "publish", "events", 1, {"channel": channel}) as span:
            if correlation_id is not None:
                span.correlation_id = correlation_id
            event, before, after = self._made(channel, data, correlation_id, event_id)
            span.note(event=event.id)
            arguments = self._arguments(event, before, after)
            if not durable:
                arguments = [arguments[1], before + after, arguments[6], arguments[7]]
            letter = Letter(event, arguments, durable)
            # An interrupt waits until the event is sent or in the outbox.
            return defer_sigint(lambda sigint: self._publish(letter, span, sigint))

    def attachment(self, channel: str, data: Any, correlation_id: str | None) -> Attachment:
        """Return an event for another Lua script to publish; see `EventBus.attachment`."""
        event, before, after = self._made(channel, data, correlation_id)
        arguments = self._arguments(event, before, after)
        return Attachment(event, [self._log_key], arguments[1:], self._deliver)

    def _made(
        self, channel: str, data: Any, correlation_id: str | None, event_id: str | None = None
    ) -> tuple[Event, bytes, bytes]:
        check_correlation_id(correlation_id, "events")
        if event_id is not None:
            text("event_id", event_id, service="events")
        context = context_var.get() or ambient()
        event = Event(
            event_id or f"{self._id_prefix}-{next(self._numbers):x}",
            channel,
            b"",
            time=dt.datetime.now(dt.UTC),
            source=self._source,
            traceparent=None if context is None else context.traceparent,
            correlation_id=correlation_id
            if correlation_id is not None or context is None
            else context.correlation_id,
        )
        before, after = self._wire.encode(event, data)
        return event, before, after

    def _arguments(self, event: Event, before: bytes, after: bytes) -> list[Any]:
        bare = b"" if self._keys.prefix or event.raw[:1] == b"{" else event.raw
        name = self._keys.channel(event.channel).encode("utf-8", "surrogateescape")
        return [self._log_key, name, event.id, before, after, self._log_size, self._marker, bare]

    def _publish(self, letter: Letter, span: Span, sigint: DeferredSigint) -> Event:
        event, durable = letter.event, letter.durable
        if self._outbox.check():
            self._outbox.add(letter)
            self._deliver(event, durable=durable)
            return event
        self._deliver(event, durable=durable)
        try:
            self._send(letter, span, sigint)
        except UnavailableError as error:
            if not getattr(error.__cause__, "unsent", False):
                letter.after = self._last_place
            self._outbox.add(letter)
        except BaseException as error:
            # Interrupted twice: the event may have arrived, and the outbox looks it up.
            if not isinstance(error, Exception):
                letter.after = self._last_place
                self._outbox.add(letter)
            raise
        if self._log.isEnabledFor(logging.DEBUG):
            fields = {"channel": event.channel, "event_id": event.id, "event": brief(event.raw)}
            self._log.debug(
                "event published: %s %s %s",
                event.channel,
                event.id,
                fields["event"],
                extra={"data": fields},
            )
        return event

    def _send(self, letter: Letter, span: Span, sigint: DeferredSigint) -> None:
        arguments = letter.arguments

        def send(*args: Any) -> Any:
            return self._redis.execute_within(span, sigint, *args)

        if letter.durable:
            place = PUBLISH.run_by(send, arguments[:1], arguments[1:]).decode()
            letter.event.place = self._last_place = place
        elif arguments[3]:
            PLAIN.run_by(send, [], arguments)
        else:
            send("PUBLISH", arguments[0], arguments[1])
