"""The event bus: publish, subscribe, look back."""

from __future__ import annotations

import logging
import queue as queues
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.codec import check_schema
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.events.glob import matcher
from agentnb.core.events.inbox import Inbox
from agentnb.core.events.publishing import LOG, OUTBOX, PAYLOAD, Publishing
from agentnb.core.events.stream import EventStream
from agentnb.core.events.subscription import Subscription
from agentnb.core.loop import LoopThread
from agentnb.core.ranges import seconds, whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.events.event import Event
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime

__all__ = ["EventBus"]

_CLOSE_SECONDS = 5.0


class EventBus(Publishing):
    """Events, between threads, processes and machines that share a Redis or Valkey.

    An event goes to the subscribers of this process at once and to all others by way of the
    server, which also keeps the last ones in a log: whoever was cut off reads there what was
    missed. Events of one source arrive in the order in which it published them. Thread-safe.

    Parameters
    ----------
    redis
        The client of the server.
    prefix
        Separates those who share a server; with an empty one channels are bare names and
        objects travel as themselves, as other programs publish and read them.
    log_size
        How many events the log keeps, about.
    outbox_size
        How many events wait here while the server is away.
    payload
        Bytes that an event's data may have, as JSON.
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
        super().__init__(
            redis,
            prefix=prefix,
            log_size=log_size,
            outbox_size=outbox_size,
            payload=payload,
            runtime=runtime,
        )
        self.loop = LoopThread()

    def subscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any],
        *,
        replay: int = 0,
        queue: int = 1000,
        overflow: str = "drop_oldest",
        schema: Any = None,
        name: str | None = None,
    ) -> Subscription:
        """Call a handler for each event on the channels of a pattern.

        It returns once the subscription stands. While the server is away it does so after the
        client's time-out; the subscription then stands as soon as the server is back.

        Parameters
        ----------
        pattern
            A channel, or a pattern as of PSUBSCRIBE: ``agent.*``.
        handler
            A function or a coroutine function, given one event after the other. What it raises
            makes the event a dead letter, and nothing else. Where events were missed that the
            log no longer has, it is given one event whose ``gap`` is true.
        replay
            How many events of before it is given first, from the log.
        queue
            How many events may wait for it.
        overflow
            What happens when more do: ``"drop_oldest"`` or ``"drop_newest"``, which are
            counted, or ``"reread"``: a durable subscription, which drops nothing but reads it
            from the log once it has time. That one gets events of its own process from the
            server, too, in the order of the log.
        schema
            A msgspec Struct, a dataclass, a TypedDict or a pydantic model that ``event.data``
            is made of; data that does not fit is a dead letter.
        name
            What lists call it; default: the handler's name.

        Raises
        ------
        UsageError
            An argument cannot be used.
        ConfigError, RejectedError
            The server refuses this client.
        """
        if not callable(handler):
            raise UsageError(
                f"a handler is a function, not a {type(handler).__name__}",
                service="events",
                hint="subscribe(channel, lambda event: ...)",
            )
        made = self._subscription(
            pattern, handler, replay, queue, overflow, schema=schema, name=name
        )
        try:
            self._stand(made)
        except BaseException:
            self.unsubscribe(made)
            raise
        return made

    def _subscription(
        self,
        pattern: str,
        handler: Callable[[Event], Any] | None,
        replay: int,
        queue: int,
        overflow: str,
        *,
        schema: Any = None,
        name: str | None = None,
    ) -> Subscription:
        self._check(pattern)
        check_schema(schema, "events")
        replay = whole("replay", replay, service="events", least=0)
        inbox = Inbox(
            pattern,
            matcher(pattern),
            limit=queue,
            overflow=overflow,
            log=self.event_log,
            read=self.receiver.read,
        )
        name = name or getattr(handler, "__qualname__", None) or type(handler).__name__
        made = Subscription(self, inbox, handler, name=name, schema=schema, replay=replay)
        self.receiver.add(made)
        if self.log.isEnabledFor(logging.DEBUG):
            self.log.debug(
                "subscribed to channel: %s", pattern, extra={"data": {"channel": pattern}}
            )
        return made

    def _stand(self, made: Subscription) -> None:
        """Wait until a subscription stands, or it is clear that it does not yet."""
        until = monotonic() + self.redis.timeout
        while not made.inbox.ready.wait(0.05):
            error = self.receiver.error
            if isinstance(error, ConfigError | RejectedError):
                raise error
            if error is not None or monotonic() >= until:
                self.log.warning("%s waits for the server", made.name)
                return

    def unsubscribe(self, channel: str | Subscription) -> int:
        """Remove a subscription, or all those to a channel or pattern; return how many.

        What waits for their handlers is let go; a handler that runs ends by itself.
        """
        removed = self.receiver.remove(channel)
        for one in removed:
            one.end()
        if removed and self.log.isEnabledFor(logging.DEBUG):
            pattern = removed[0].pattern
            self.log.debug(
                "unsubscribed from channel: %s", pattern, extra={"data": {"channel": pattern}}
            )
        return len(removed)

    def subscriptions(self) -> list[Subscription]:
        """Return the subscriptions of this bus, oldest first."""
        return self.receiver.subscriptions()

    def wait_for(self, channel: str, timeout: float = 30.0) -> Event:
        """Return the next event on a channel, or on the channels of a pattern.

        Parameters
        ----------
        timeout
            Seconds to wait.

        Raises
        ------
        DeadlineExceeded
            None came.
        UsageError
            The timeout is out of its range; or called in an asynchronous handler, which would
            keep the others waiting.
        """
        self.loop.check()
        timeout = seconds("timeout", timeout, service="events", zero=True)
        found: queues.SimpleQueue[Event] = queues.SimpleQueue()
        with self.subscribe(channel, found.put, queue=1, overflow="drop_newest", name="wait_for"):
            try:
                return found.get(timeout=timeout)
            except queues.Empty:
                raise _none_came(channel, timeout) from None

    async def await_for(self, channel: str, timeout: float = 30.0) -> Event:  # noqa: ASYNC109 - the twin of wait_for
        """Return the next event on a channel, from a coroutine; as `wait_for`."""
        import asyncio

        timeout = seconds("timeout", timeout, service="events", zero=True)
        stream = self.stream(channel)
        try:
            return await asyncio.wait_for(anext(stream), timeout)
        except TimeoutError:
            raise _none_came(channel, timeout) from None
        finally:
            await stream.aclose()

    def stream(
        self,
        pattern: str,
        *,
        replay: int = 0,
        queue: int = 1000,
        overflow: str = "drop_oldest",
        schema: Any = None,
    ) -> EventStream:
        """Return the events of a pattern, to be had with ``async for``; parameters as `subscribe`.

        The subscription is made by this call, and ends with the loop (``break`` too, as soon as
        the stream is collected or its ``aclose`` awaited).
        """
        made = self._subscription(
            pattern, None, replay, queue, overflow, schema=schema, name="stream"
        )
        return EventStream(made, self._stand)

    @staticmethod
    def matcher(pattern: str) -> Callable[[str], bool]:
        """Return what tells whether a channel is of a pattern, for those who import no events."""
        return matcher(pattern)

    def table(self) -> Table:
        """Return the subscriptions of this bus with their counts."""
        rows = [
            (s.pattern, s.name, s.state, s.handled, s.failed, s.dropped, s.waiting, s.gaps)
            for s in self.subscriptions()
        ]
        columns = ("pattern", "handler", "state", "handled", "failed", "dropped", "waiting", "gaps")
        waits = f"{self.pending:,} events wait for the server" if self.pending else ""
        return Table(columns, rows, note=waits, empty="no handlers yet: %%events on CHANNEL")

    def ping(self) -> None:
        """Do nothing if events arrive here.

        Raises
        ------
        UnavailableError
            There is no connection that they could arrive on, or some wait to be sent.
        """
        if self.receiver.listens and not self.receiver.connected:
            raise self.receiver.error or UnavailableError(
                "events do not arrive: there is no connection", service="events"
            )
        if self.pending:
            raise UnavailableError(
                f"{self.pending:,} events wait for {self.redis.target}", service="events"
            )

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Send what waits, end every subscription, and wait for handlers that run.

        Parameters
        ----------
        timeout
            Seconds for all of it. A handler that has not returned by then is named in the log
            and left to itself.

        Raises
        ------
        UnavailableError
            Events that waited for the server could not be sent; all else is closed.
        """
        timeout = seconds("timeout", timeout, service="events", zero=True)
        if self.closing:
            return
        until = monotonic() + timeout
        self.closing = True
        ours = not self._fork.forked
        left = self._outbox.close(timeout / 2) if ours else 0
        subscriptions = self.subscriptions() if ours else []
        for one in subscriptions:
            self.unsubscribe(one)
        self.receiver.close(max(until - monotonic(), 0.1))
        for one in subscriptions:
            if not one.join(max(until - monotonic(), 0.0)):
                self.log.warning(
                    "%s still handles an event on %s, for %.1f s; it is left to itself",
                    one.name,
                    one.pattern,
                    one.busy_for,
                )
        self.loop.close()
        if left:
            raise UnavailableError(
                f"{left:,} events were never sent: {self.redis.target} is away", service="events"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EventBus({self.source!r}, {len(self.subscriptions())} subscriptions)"


def _none_came(channel: str, seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"no event on {channel} within {seconds:g} s", service="events")
