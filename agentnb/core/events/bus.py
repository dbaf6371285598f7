"""The event bus: publish, subscribe, read the history."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import queue as queues
import secrets
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from agentnb.core.callables import check_takes
from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import leave
from agentnb.core.codec import check_schema
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.events.checks import check_channel, place_of, since_position
from agentnb.core.events.dead import DeadLetters
from agentnb.core.events.delivery import Delivery, Handling
from agentnb.core.events.glob import matcher
from agentnb.core.events.inbox import Inbox
from agentnb.core.events.inspect import EventInspector
from agentnb.core.events.log import EventLog
from agentnb.core.events.outbox import Outbox
from agentnb.core.events.publisher import Publisher
from agentnb.core.events.receiving import Receiver
from agentnb.core.events.scripts import PUBLISH_FUNCTION
from agentnb.core.events.stream import EventStream
from agentnb.core.events.taped import EVENT
from agentnb.core.events.wire import Wire
from agentnb.core.forking import ForkGuard
from agentnb.core.keywords import refuse_unknown
from agentnb.core.loop import LoopThread
from agentnb.core.ranges import seconds, whole
from agentnb.core.redis import Keys
from agentnb.core.signals import AsyncSignal
from agentnb.core.table import Table
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace.context import carried, current, use
from agentnb.core.twins import on_loop, twin

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from typing_extensions import TypeForm

    from agentnb.core.events.arguments import Overflow, StreamOptions, SubscribeOptions
    from agentnb.core.events.attachment import Attachment
    from agentnb.core.events.dead import DeadLetter
    from agentnb.core.events.event import Event
    from agentnb.core.events.subscription import Subscription
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime
    from agentnb.core.trace import Span

__all__ = ["EventBus"]

S = TypeVar("S")

LOG, OUTBOX, PAYLOAD = 20_000, 10_000, 1024 * 1024
_CLOSE_SECONDS = 5.0
_STAND_SECONDS = 0.05  # between two looks at the connection of a new subscription
_FLUSH_SECONDS = 0.05  # between two looks at the outbox
_CALLS = 8  # awaited calls that run at once


@on_tapes("events", "_redactor", {"publish": lambda _: EVENT})
@refuse_unknown("events")
class EventBus:
    """Events, between threads, processes and machines that share a Redis or Valkey.

    An event goes to the subscribers of this process at once and to all others by way of the
    server, which also keeps the last ones in a log: a subscriber that lost its connection reads
    the events it missed from there, in order, once each. Events of one source arrive in the order
    in which it published them. Thread-safe.

    Parameters
    ----------
    redis
        The client of the server.
    prefix
        Separates those who share a server; with an empty one channels are bare names and
        objects travel as themselves, as other programs publish and read them.
    log_size
        Approximate number of events that the log keeps.
    outbox_size
        Maximum number of events that wait in this process while the server is away.
    payload
        Maximum size of an event's data as JSON, in bytes.
    runtime
        Tracer, redactor and logs; default: those of `redis`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from agentnb.core.redis import RedisClient
    >>> with tempfile.TemporaryDirectory() as home, RedisClient(home=Path(home)) as redis:
    ...     with EventBus(redis) as bus:
    ...         event = bus.publish("agent.task.completed", {"task_id": "task-456"})
    ...         event.pending, bus.history("agent.*")[0].data
    (False, {'task_id': 'task-456'})
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        prefix: str = "agentnb",
        log_size: int = LOG,
        outbox_size: int = OUTBOX,
        payload: int = PAYLOAD,
        runtime: Runtime | None = None,
    ) -> None:
        self.redis = redis
        runtime = runtime or redis.runtime
        self._keys = Keys(prefix)
        self._log = runtime.log("events")
        self._tracer = runtime.tracer
        self._redactor = runtime.redactor
        self._loop = LoopThread()
        self._call_threads = CallThreads("events", _CALLS)
        self._closing = False
        self._wire = Wire(whole("payload", payload, service="events"))
        self._log_size = whole("log_size", log_size, service="events")
        self._outbox_size = whole("outbox_size", outbox_size, service="events")
        self._begin()

    def _begin(self) -> None:
        """Create the parts and a new identity, also in a forked child."""
        self._fork = ForkGuard()
        id_prefix = secrets.token_hex(6)
        self.source = f"{socket.gethostname()}/{os.getpid()}/{id_prefix[:6]}"
        # Each public method has one span; the commands below it are part of it.
        redis = self.redis.untraced
        self._event_log = EventLog(redis, self._keys.internal("events"), self._keys.channel_name)
        self._dead = DeadLetters(
            redis, self._keys.internal("events-dead"), source=self.source, log=self._log
        )
        self._receiver = Receiver(
            redis,
            self._keys,
            self._wire,
            self._event_log,
            self._dead,
            source=self.source,
            size=self._log_size + self._outbox_size,
            log=self._log,
        )
        publisher = self.redis.publisher.untraced
        self._outbox = Outbox(publisher, self._event_log, limit=self._outbox_size, logger=self._log)
        self._publisher = Publisher(
            publisher,
            keys=self._keys,
            wire=self._wire,
            outbox=self._outbox,
            source=self.source,
            id_prefix=id_prefix,
            log_size=self._log_size,
            deliver=self._receiver.deliver,
            tracer=self._tracer,
            log=self._log,
        )
        self._handling = Handling(
            tracer=self._tracer,
            call=self._loop.call,
            failed=self._handler_failed,
            unsubscribe=self.unsubscribe,
            log=self._log,
        )

    def _check(self, channel: str) -> None:
        if self._closing:
            raise UsageError(
                "this event bus is closed",
                service="events",
                hint="open another: agentnb.connect().events, or EventBus(redis)",
            )
        check_channel(channel)
        if self._fork.forked:
            self._begin()

    # Publishing

    def publish(
        self,
        channel: str,
        data: Any = None,
        *,
        correlation_id: str | None = None,
        durable: bool = True,
        event_id: str | None = None,
    ) -> Event:
        """Publish an event.

        Parameters
        ----------
        channel
            Where; any text. Dots are a custom, and what patterns such as ``agent.*`` go by.
        data
            Any value with a JSON form, see `agentnb.core.codec.plain`.
        correlation_id
            Free text; default: that of the running trace.
        durable
            Keep the event in the log. A subscriber that is cut off misses events that are not kept.
        event_id
            Its id; default: a new one. Publishing again under the same id is safe: subscribers see
            the event once.

        Returns
        -------
        Event
            It says ``pending`` if the server is away: it then waits in this process, and is
            sent under the same id once the server is back.

        Raises
        ------
        UsageError
            The data has no JSON form, or is too large; nothing was published.
        UnavailableError
            The server is away and the outbox is full; nothing was published.
        RejectedError
            The server was reached and refused it; subscribers of this process have it.
        """
        self._check(channel)
        return self._publisher.publish(
            channel, data, correlation_id=correlation_id, durable=durable, event_id=event_id
        )

    async def apublish(
        self,
        channel: str,
        data: Any = None,
        *,
        correlation_id: str | None = None,
        durable: bool = True,
        event_id: str | None = None,
    ) -> Event:
        """Publish an event from a coroutine; as `publish`."""
        return await self._call_threads.call(
            self.publish,
            channel,
            data,
            correlation_id=correlation_id,
            durable=durable,
            event_id=event_id,
        )

    def attachment(
        self, channel: str, data: Any = None, *, correlation_id: str | None = None
    ) -> Attachment:
        """Return an event for another Lua script to publish; see `Attachment`.

        Raises
        ------
        UsageError
            The data has no JSON form, or is too large.
        """
        self._check(channel)
        return self._publisher.attachment(channel, data, correlation_id)

    @property
    def publish_function(self) -> str:
        """The Lua source of the function that publishes an attachment."""
        return PUBLISH_FUNCTION

    @property
    def pending(self) -> int:
        """The number of events that wait for the server."""
        return len(self._outbox)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until no event is pending, and return whether that is so within the timeout."""
        timeout = seconds("timeout", timeout, service="events", zero=True)
        return self._outbox.wait(timeout)

    async def aflush(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109 - the twin of flush
        """Await `flush`."""
        until = monotonic() + seconds("timeout", timeout, service="events", zero=True)
        while not self._outbox.wait(0):
            left = until - monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(left, _FLUSH_SECONDS))
        return True

    # Subscribing

    @overload
    def subscribe(
        self,
        pattern: str,
        handler: Callable[[Event[S]], Any],
        *,
        schema: TypeForm[S],
        **options: Unpack[SubscribeOptions],
    ) -> Subscription: ...
    @overload
    def subscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any],
        *,
        schema: None = ...,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription: ...
    def subscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any],
        *,
        replay: int = 0,
        queue: int = 1000,
        overflow: Overflow = "drop_oldest",
        schema: Any = None,
        name: str | None = None,
    ) -> Subscription:
        """Call a handler for each event on the channels of a pattern.

        Returns once the server has confirmed the subscription. While the server is away it
        returns after the client's timeout, and subscribes as soon as the server is back.

        Parameters
        ----------
        pattern
            A channel, or a pattern as of PSUBSCRIBE: ``agent.*``.
        handler
            A function or a coroutine function, called with one event after the other. An
            exception makes the event a dead letter. If events were missed that the log no longer
            has, the handler receives one event whose ``gap`` is true.
        replay
            Number of earlier events that it receives first, from the log.
        queue
            Maximum number of events that wait for it.
        overflow
            Policy for further events: ``"drop_oldest"`` or ``"drop_newest"``, which are counted,
            or ``"reread"``, a durable subscription that drops nothing and reads the events from
            the log later. It receives events of its own process from the server, too, in the
            order of the log.
        schema
            A msgspec Struct, a dataclass, a TypedDict or a pydantic model that ``event.data``
            is converted to; data that does not fit is a dead letter.
        name
            Its name in lists; default: the handler's name.

        Raises
        ------
        UsageError
            An argument cannot be used.
        ConfigError, RejectedError
            The server refuses this client.
        """
        name = _handler_name(handler, name)
        delivery = self._delivery(
            pattern, handler, replay, queue, overflow, schema=schema, name=name
        )
        try:
            self._stand(delivery)
        except BaseException:
            delivery.close()
            raise
        return delivery.subscription

    @overload
    async def asubscribe(
        self,
        pattern: str,
        handler: Callable[[Event[S]], Any],
        *,
        schema: TypeForm[S],
        **options: Unpack[SubscribeOptions],
    ) -> Subscription: ...
    @overload
    async def asubscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any],
        *,
        schema: None = ...,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription: ...
    async def asubscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any],
        *,
        replay: int = 0,
        queue: int = 1000,
        overflow: Overflow = "drop_oldest",
        schema: Any = None,
        name: str | None = None,
    ) -> Subscription:
        """Await `subscribe`; a coroutine function runs on the caller's loop."""
        name = _handler_name(handler, name)
        delivery = self._delivery(
            pattern, on_loop(handler), replay, queue, overflow, schema=schema, name=name
        )
        try:
            await self._astand(delivery)
        except BaseException:
            delivery.close()
            raise
        return delivery.subscription

    def _delivery(
        self,
        pattern: str,
        handler: Callable[[Event], Any] | None,
        replay: int,
        queue: int,
        overflow: str,
        *,
        schema: Any = None,
        name: str,
    ) -> Delivery:
        self._check(pattern)
        check_schema(schema, "events")
        replay = whole("replay", replay, service="events", least=0)
        inbox = Inbox(
            pattern,
            matcher(pattern),
            limit=queue,
            overflow=overflow,
            log=self._event_log,
            read=self._receiver.read,
        )
        delivery = Delivery(self._handling, inbox, handler, name=name, schema=schema, replay=replay)
        self._receiver.add(delivery)
        if self._log.isEnabledFor(logging.DEBUG):
            self._log.debug(
                "subscribed to channel: %s", pattern, extra={"data": {"channel": pattern}}
            )
        return delivery

    def _stand(self, delivery: Delivery, seconds: float = math.inf) -> None:
        """Wait until the server confirms a subscription, or an outage or the timeout."""
        until = monotonic() + min(seconds, self.redis.timeout)
        while not delivery.inbox.ready.wait(_STAND_SECONDS):
            if self._waits_for_server(delivery, until):
                return

    async def _astand(self, delivery: Delivery) -> None:
        """Await the confirmation of a subscription; see `_stand`."""
        until = monotonic() + self.redis.timeout
        signal = delivery.inbox.on_ready = AsyncSignal()
        signal.attach()
        while not delivery.inbox.ready.is_set():
            try:
                async with asyncio.timeout(_STAND_SECONDS):
                    await signal.wait()
            except TimeoutError:
                if self._waits_for_server(delivery, until):
                    return

    def _waits_for_server(self, delivery: Delivery, until: float) -> bool:
        """Return whether a subscription stands only once the server is back."""
        error = self._receiver.error
        if isinstance(error, ConfigError | RejectedError):
            raise error
        if error is None and monotonic() < until:
            return False
        self._log.warning("%s waits for the server", delivery.name)
        return True

    def unsubscribe(self, channel: str | Subscription) -> int:
        """Remove a subscription, or all those to a channel or pattern; return the number.

        Waiting events are dropped; a running handler finishes.
        """
        removed = self._receiver.remove(channel)
        for one in removed:
            one.end()
        if removed and self._log.isEnabledFor(logging.DEBUG):
            pattern = removed[0].pattern
            self._log.debug(
                "unsubscribed from channel: %s", pattern, extra={"data": {"channel": pattern}}
            )
        return len(removed)

    def subscriptions(self) -> list[Subscription]:
        """Return the subscriptions of this bus, oldest first."""
        return [one.subscription for one in self._receiver.deliveries()]

    def wait_for(self, channel: str, timeout: float = 30.0) -> Event:
        """Return the next event on a channel, or on the channels of a pattern.

        Parameters
        ----------
        timeout
            Seconds to wait.

        Raises
        ------
        DeadlineExceeded
            No event arrived in time.
        UsageError
            The timeout is out of its range; or it was called in an asynchronous handler,
            where it would block the others.
        """
        self._loop.check()
        timeout = seconds("timeout", timeout, service="events", zero=True)
        until = monotonic() + timeout
        received: queues.SimpleQueue[Event] = queues.SimpleQueue()
        delivery = self._delivery(channel, received.put, 0, 1, "drop_newest", name="wait_for")
        with self._waiting(channel), delivery.subscription:
            self._stand(delivery, timeout)
            try:
                return received.get(timeout=max(until - monotonic(), 0.0))
            except queues.Empty:
                raise _none_came(channel, timeout) from None

    async def await_for(self, channel: str, timeout: float = 30.0) -> Event:  # noqa: ASYNC109 - the twin of wait_for
        """Return the next event on a channel, from a coroutine; as `wait_for`."""
        timeout = seconds("timeout", timeout, service="events", zero=True)
        stream = self.stream(channel)
        with self._waiting(channel):
            try:
                return await asyncio.wait_for(anext(stream), timeout)
            except DeadlineExceeded:
                raise
            except TimeoutError:
                raise _none_came(channel, timeout) from None
            finally:
                await stream.aclose()

    def _waiting(self, channel: str) -> Span:
        return self._tracer.span("wait_for", service="events", kind="wait", channel=channel)

    @overload
    def stream(
        self, pattern: str, *, schema: TypeForm[S], **options: Unpack[StreamOptions]
    ) -> EventStream[S]: ...
    @overload
    def stream(
        self, pattern: str, *, schema: None = ..., **options: Unpack[StreamOptions]
    ) -> EventStream: ...
    def stream(
        self,
        pattern: str,
        *,
        replay: int = 0,
        queue: int = 1000,
        overflow: Overflow = "drop_oldest",
        schema: Any = None,
    ) -> EventStream:
        """Return the events of a pattern for ``async for``; parameters as in `subscribe`.

        The call subscribes; the subscription ends with the loop, also by ``break``, once the
        stream is collected or its ``aclose`` awaited.
        """
        delivery = self._delivery(
            pattern, None, replay, queue, overflow, schema=schema, name="stream"
        )
        return EventStream(delivery, self._astand, self._call_threads)

    @staticmethod
    def matcher(pattern: str) -> Callable[[str], bool]:
        """Return a function that tells whether a channel matches a pattern."""
        return matcher(pattern)

    def table(self) -> Table:
        """Return the subscriptions of this bus with their counts."""
        rows = [
            (s.pattern, s.name, s.state, s.handled, s.failed, s.dropped, s.waiting, s.gaps)
            for s in self.subscriptions()
        ]
        columns = ("pattern", "handler", "state", "handled", "failed", "dropped", "waiting", "gaps")
        waits = f"{self.pending:,} events wait for the server" if self.pending else ""
        return Table(
            columns,
            rows,
            note=waits,
            empty="no handlers yet: hub.events.subscribe(CHANNEL, function) (%%events on CHANNEL)",
        )

    # History and dead letters

    def history(
        self,
        channel: str = "*",
        n: int = 100,
        since: dt.datetime | float | str | None = None,
    ) -> list[Event]:
        """Return the last events of the log on a channel or pattern, oldest first.

        Parameters
        ----------
        channel
            A channel or a pattern.
        n
            Maximum number of events.
        since
            Only those after a time (a datetime, or seconds since the epoch), by the server's
            clock, or after an event's ``place``.

        Raises
        ------
        UnavailableError
            The server is away.
        """
        check_channel(channel)
        n = whole("n", n, service="events", least=0)
        matches, after = matcher(channel), since_position(since)
        with self._tracer.span("history", service="events", channel=channel):
            entries = self._event_log.last(matches, n, since=after)
        return [event for entry in entries if (event := self._receiver.event(entry)) is not None]

    def dead_letters(self, n: int = 100) -> list[DeadLetter]:
        """Return the last dead letters, newest first, each with its error.

        Raises
        ------
        UnavailableError
            The server is away.
        """
        n = whole("n", n, service="events", least=0)
        with self._tracer.span("dead_letters", service="events"):
            return self._dead.last(n)

    def replay(self, letter: DeadLetter | str) -> int:
        """Hand a dead letter to its handler again, or publish it anew; then remove it.

        Parameters
        ----------
        letter
            The letter, or its ``place``.

        Returns
        -------
        int
            The number of handlers in this process that received it; 0 if it was published anew.

        Raises
        ------
        NotFoundError
            There is no such letter.
        UsageError
            Its message cannot be decoded.
        """
        place = place_of(letter)
        with self._tracer.span("replay", service="events", letter=place):
            return self._replay(place)

    def _replay(self, place: str) -> int:
        dead = self._dead.get(place)
        if dead is None:
            raise NotFoundError(
                f"there is no dead letter {place}",
                service="events",
                hint="hub.events.dead_letters() lists them (%events dead)",
            )
        event = self._receiver.letter(dead)
        handlers = [
            one
            for one in self._receiver.deliveries()
            if one.name == dead.handler and one.inbox.matches(dead.channel)
        ]
        for one in handlers:
            one.inbox.put(event.copy())
        if not handlers:
            with use(carried(event.traceparent, event.correlation_id) or current()):
                self.publish(event.channel, event.data)
        self._dead.remove(place)
        return len(handlers)

    def discard(self, *letters: DeadLetter | str) -> int:
        """Remove dead letters, and return the number removed."""
        places = [place_of(one) for one in letters]
        with self._tracer.span("discard", service="events", letters=len(places)):
            return self._dead.remove(*places)

    ahistory, adead_letters = twin(history), twin(dead_letters)
    areplay, adiscard = twin(replay), twin(discard)

    def _handler_failed(self, event: Event, handler: str, error: BaseException) -> None:
        """Record a dead letter of an event whose handler failed."""
        if not self._closing:
            message = self._wire.message(event)
            self._dead.add(event.channel, message, event_id=event.id, handler=handler, error=error)

    @property
    def inspect(self) -> EventInspector:
        """The sizes of the log and of the dead letters, for panels and magics."""
        return EventInspector(self._event_log, self._dead)

    def ping(self) -> None:
        """Check that events arrive and leave.

        Raises
        ------
        UnavailableError
            The connection that events arrive on is lost, or events wait to be sent.
        """
        if self._receiver.listens and not self._receiver.connected:
            raise self._receiver.error or UnavailableError(
                "events do not arrive: there is no connection",
                service="events",
                hint="it reconnects by itself: hub.events.table() (%events list)",
            )
        if self.pending:
            raise UnavailableError(
                f"{self.pending:,} events wait for {self.redis.target}",
                service="events",
                hint="they are sent once the server is back; hub.events.flush() waits for it",
            )

    aping = twin(ping)

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Send pending events, end every subscription, and wait for running handlers.

        Parameters
        ----------
        timeout
            Seconds for all of this. A handler that is still running is named in the log and left
            running.

        Raises
        ------
        UnavailableError
            Pending events could not be sent; everything else is closed.
        """
        timeout = seconds("timeout", timeout, service="events", zero=True)
        if self._closing:
            return
        until = monotonic() + timeout
        self._closing = True
        ours = not self._fork.forked
        left = self._outbox.close(timeout / 2) if ours else 0
        deliveries = self._receiver.deliveries() if ours else []
        for one in deliveries:
            one.close()
        self._receiver.close(max(until - monotonic(), 0.1))
        for one in deliveries:
            if not one.join(max(until - monotonic(), 0.0)):
                self._log.warning(
                    "%s still handles an event on %s, for %.1f s; it is left running",
                    one.name,
                    one.pattern,
                    one.busy_for,
                )
        self._call_threads.close()
        self._loop.close()
        if left:
            lost = "1 event was" if left == 1 else f"{left:,} events were"
            raise UnavailableError(
                f"{lost} never sent: {self.redis.target} is away",
                service="events",
                hint="hub.events.flush() before close() waits for the server; publish them again "
                "once it is back",
            )

    aclose = twin(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"EventBus({self.source!r}, {len(self.subscriptions())} subscriptions)"


def _handler_name(handler: Any, name: str | None) -> str:
    """Return the name of a handler for lists, if it can be called."""
    if not callable(handler):
        raise UsageError(
            f"handler must be a function, got {type(handler).__name__}",
            service="events",
            hint="subscribe(channel, lambda event: ...)",
        )
    check_takes(
        handler,
        "event",
        name="the handler",
        service="events",
        hint="subscribe(channel, lambda event: ...)",
    )
    return name or getattr(handler, "__qualname__", None) or type(handler).__name__


def _none_came(channel: str, seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"no event on {channel} within {seconds:g} s",
        service="events",
        hint="raise timeout=, or check the channel: hub.events.history(channel)",
    )
