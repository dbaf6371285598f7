"""The part of an event bus that publishes, and that looks back."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, UnavailableError, UsageError
from agentnb.core.events.attachment import Attachment
from agentnb.core.events.dead import DeadLetter, DeadLetters
from agentnb.core.events.event import Event
from agentnb.core.events.glob import matcher
from agentnb.core.events.log import EventLog
from agentnb.core.events.outbox import Letter, Outbox
from agentnb.core.events.receiving import Receiver
from agentnb.core.events.scripts import PLAIN, PUBLISH, PUBLISH_FUNCTION
from agentnb.core.events.wire import Wire
from agentnb.core.forking import ForkGuard
from agentnb.core.ranges import LONGEST, amount, seconds, text, whole
from agentnb.core.redact import brief
from agentnb.core.redis import Keys
from agentnb.core.redis.sigint import defer_sigint
from agentnb.core.trace.context import carried, check_correlation_id, context_var, current, use
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.sigint import DeferredSigint
    from agentnb.core.runtime import Runtime

__all__ = ["LOG", "OUTBOX", "PAYLOAD", "Publishing"]

LOG, OUTBOX, PAYLOAD = 20_000, 10_000, 1024 * 1024


class Publishing:
    """The part of an `EventBus` that has no handlers; parameters as there."""

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
        self.keys = Keys(prefix)
        runtime = runtime or redis.runtime
        self.log = runtime.log("events")
        self.tracer = runtime.tracer
        self.closing = False
        self.wire = Wire(whole("payload", payload, service="events"))
        self._log_key = self.keys.internal("events")
        self._marker = self.keys.internal("events-values")
        self._most = whole("log_size", log_size, service="events")
        self._outbox_size = whole("outbox_size", outbox_size, service="events")
        self._publisher = redis.publisher
        self._begin()

    def _begin(self) -> None:
        """Have an identity of one's own: a bus that was forked is another one."""
        self._fork = ForkGuard()
        own = secrets.token_hex(6)
        self.source = f"{socket.gethostname()}/{os.getpid()}/{own[:6]}"
        self._own = own
        self._numbers = itertools.count(1)
        self.event_log = EventLog(self.redis, self._log_key, self.keys.channel_name)
        self._outbox = Outbox(
            self.redis.publisher, self.event_log, limit=self._outbox_size, said=self.log
        )
        self.dead = DeadLetters(
            self.redis, self.keys.internal("events-dead"), source=self.source, log=self.log
        )
        self.receiver = Receiver(
            self.redis,
            self.keys,
            self.wire,
            self.event_log,
            self.dead,
            source=self.source,
            size=self._most + self._outbox_size,
            log=self.log,
        )
        self._last_place = "0-0"

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
            Keep it in the log. One that is not kept is missed by whoever is cut off.
        event_id
            Its id; default: a new one. Whoever is not sure that an event was published does so
            again under the same id, and subscribers see it once.

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
        event, before, after = self._made(channel, data, correlation_id, event_id)

        def send(waiting: DeferredSigint) -> Event:
            with Span(self.tracer, "publish", "events", 1, {"channel": channel}) as span:
                words = self._words(event, before, after)
                if not durable:
                    words = [words[1], before + after, words[6], words[7]]
                return self._sent(Letter(event, words, durable), span, waiting)

        # An interrupt waits until it is clear what becomes of the event.
        return defer_sigint(send)

    async def apublish(
        self,
        channel: str,
        data: Any = None,
        *,
        correlation_id: str | None = None,
        durable: bool = True,
    ) -> Event:
        """Publish an event from a coroutine; as `publish`."""
        import asyncio

        def call() -> Event:
            return self.publish(channel, data, correlation_id=correlation_id, durable=durable)

        return await asyncio.to_thread(call)

    def attachment(
        self, channel: str, data: Any = None, *, correlation_id: str | None = None
    ) -> Attachment:
        """Return an event for a Lua script of somebody else's to publish; see `Attachment`.

        Raises
        ------
        UsageError
            The data has no JSON form, or is too large.
        """
        event, before, after = self._made(channel, data, correlation_id)
        words = self._words(event, before, after)
        return Attachment(event, [self._log_key], words[1:], self.receiver.deliver)

    @property
    def publish_function(self) -> str:
        """Return `PUBLISH_FUNCTION`, for those who are handed a bus and import none."""
        return PUBLISH_FUNCTION

    def _made(
        self, channel: str, data: Any, correlation_id: str | None, event_id: str | None = None
    ) -> tuple[Event, bytes, bytes]:
        self._check(channel)
        check_correlation_id(correlation_id, "events")
        if event_id is not None:
            text("event_id", event_id, service="events")
        here = context_var.get()
        event = Event(
            event_id or f"{self._own}-{next(self._numbers):x}",
            channel,
            b"",
            time=dt.datetime.now(dt.UTC),
            source=self.source,
            traceparent=None if here is None else here.traceparent,
            correlation_id=correlation_id
            if correlation_id is not None or here is None
            else here.correlation_id,
        )
        before, after = self.wire.encode(event, data)
        return event, before, after

    def _check(self, channel: str) -> None:
        if self.closing:
            raise UsageError("this event bus is closed", service="events")
        check_channel(channel)
        if self._fork.forked:
            self._begin()

    def _words(self, event: Event, before: bytes, after: bytes) -> list[Any]:
        bare = b"" if self.keys.prefix or event.raw[:1] == b"{" else event.raw
        name = self.keys.channel(event.channel).encode("utf-8", "surrogateescape")
        return [self._log_key, name, event.id, before, after, self._most, self._marker, bare]

    def _sent(self, letter: Letter, span: Span, waiting: DeferredSigint) -> Event:
        event, durable = letter.event, letter.durable
        if self._outbox.check():
            self._outbox.add(letter)
            self.receiver.deliver(event, durable=durable)
            return event
        self.receiver.deliver(event, durable=durable)
        try:
            self._send(letter, span, waiting)
        except UnavailableError as error:
            if not getattr(error.__cause__, "unsent", False):
                letter.after = self._last_place
            self._outbox.add(letter)
        except BaseException as error:
            # Interrupted twice, it may or may not have arrived; the outbox finds out.
            if not isinstance(error, Exception):
                letter.after = self._last_place
                self._outbox.add(letter)
            raise
        if self.log.isEnabledFor(logging.DEBUG):
            data = {"channel": event.channel, "event_id": event.id, "event": brief(event.raw)}
            self.log.debug(
                "event published: %s %s %s",
                event.channel,
                event.id,
                data["event"],
                extra={"data": data},
            )
        return event

    def _send(self, letter: Letter, span: Span, waiting: DeferredSigint) -> None:
        words = letter.words

        def send(*args: Any) -> Any:
            return self._publisher.execute_within(span, waiting, *args)

        if letter.durable:
            place = PUBLISH.run_by(send, words[:1], words[1:]).decode()
            letter.event.place = self._last_place = place
        elif words[3]:
            PLAIN.run_by(send, [], words)
        else:
            send("PUBLISH", words[0], words[1])

    # Looking back

    def history(
        self,
        channel: str = "*",
        n: int = 100,
        since: dt.datetime | float | str | None = None,
    ) -> list[Event]:
        """Return the last events on a channel or pattern that the log has, oldest first.

        Parameters
        ----------
        channel
            A channel or a pattern.
        n
            How many at most.
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
        found = self.event_log.last(matcher(channel), n, since=_since(since))
        return [event for entry in found if (event := self.receiver.event(entry)) is not None]

    def dead_letters(self, n: int = 100) -> list[DeadLetter]:
        """Return the last events that were not handled, newest first, each with its error.

        Raises
        ------
        UnavailableError
            The server is away.
        """
        return self.dead.last(whole("n", n, service="events", least=0))

    def replay(self, letter: DeadLetter | str) -> int:
        """Hand a dead letter to the handler that failed at it, or publish it anew; then remove it.

        Parameters
        ----------
        letter
            The letter, or its ``place``.

        Returns
        -------
        int
            How many handlers of this process got it; 0 if it was published for others.

        Raises
        ------
        NotFoundError
            There is no such letter any more.
        UsageError
            Nobody can read it.
        """
        place = _place(letter)
        found = self.dead.get(place)
        if found is None:
            raise NotFoundError(f"there is no dead letter {place}", service="events")
        event = self.receiver.letter(found)
        handlers = [
            one
            for one in self.receiver.subscriptions()
            if one.name == found.handler and one.inbox.matches(found.channel)
        ]
        for one in handlers:
            one.inbox.put(event.copy())
        if not handlers:
            with use(carried(event.traceparent, event.correlation_id) or current()):
                self.publish(event.channel, event.data)
        self.dead.remove(place)
        return len(handlers)

    def discard(self, *letters: DeadLetter | str) -> int:
        """Remove dead letters, and return how many there were."""
        return self.dead.remove(*map(_place, letters))

    def failed(self, event: Event, handler: str, error: BaseException) -> None:
        """Make a dead letter of an event that a handler failed at."""
        message = self.wire.message(event)
        self.dead.add(event.channel, message, event_id=event.id, handler=handler, error=error)

    @property
    def pending(self) -> int:
        """How many events wait for the server."""
        return len(self._outbox)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until nothing is pending, and return whether that came about in so many seconds."""
        return self._outbox.wait(seconds("timeout", timeout, service="events", zero=True))


def _place(letter: DeadLetter | str) -> str:
    place = letter.place if isinstance(letter, DeadLetter) else letter
    return text("letter", place, service="events", hint="hub.events.dead_letters()")


def _since(since: dt.datetime | float | str | None) -> str:
    if since is None:
        return "-"
    if isinstance(since, str):
        return f"({text('since', since, service='events')}"
    moment = since.timestamp() if isinstance(since, dt.datetime) else since
    moment = max(0.0, amount("since", moment, service="events", least=-LONGEST, most=10 * LONGEST))
    return f"{int(moment * 1000)}-0"


def check_channel(channel: str) -> None:
    """Refuse a channel, or a pattern, that is no text.

    Raises
    ------
    UsageError
        It is none.
    """
    if not isinstance(channel, str) or not channel:
        raise UsageError(
            f"a channel is a text, not {channel!r}", service="events", hint="such as agent.done"
        )
    try:
        channel.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the channel is not text: {error}", service="events", hint="such as agent.done"
        ) from error
