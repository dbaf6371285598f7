"""One handler on one pattern: its thread, its counts, its failures."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.background import BackgroundThread
from agentnb.core.codec import convert
from agentnb.core.errors import AgentnbError
from agentnb.core.trace import carried, use

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.events.bus import EventBus
    from agentnb.core.events.event import Event
    from agentnb.core.events.inbox import Inbox

__all__ = ["Subscription"]

# A thread with nothing to do goes; the next event starts another.
_IDLE = 10.0


class Subscription:
    """A handler on a pattern; made by `EventBus.subscribe`, and over with its `close`.

    Its events are handled one after the other, on a thread of its own: one that is slow, fails
    or hangs delays no other.

    Attributes
    ----------
    pattern
        The channels.
    name
        The handler's name, for lists and messages.
    handled, failed
        How many events its handler has returned from, and failed at; those are dead letters.
    dropped
        How many events were dropped because too many waited.
    gaps
        How often events were missed that the log no longer had.
    """

    def __init__(
        self,
        bus: EventBus,
        inbox: Inbox,
        handler: Callable[[Event], Any] | None,
        *,
        name: str,
        schema: Any = None,
        replay: int = 0,
    ) -> None:
        self.pattern = inbox.pattern
        self.name = name
        self.handler = handler
        self.replay = replay
        self.inbox = inbox
        self.handled = self.failed = 0
        self._bus = bus
        self._schema = schema
        self._since: float | None = None
        self._thread = BackgroundThread(
            self._work, name=f"events-{name}", log=bus.log, linger=_IDLE
        )
        self.on_wake: Callable[[], None] | None = None
        inbox.wake = self.wake

    @property
    def waiting(self) -> int:
        """How many events wait for the handler."""
        return len(self.inbox)

    @property
    def dropped(self) -> int:
        """How many events were dropped because too many waited."""
        return self.inbox.dropped

    @property
    def gaps(self) -> int:
        """How often events were missed that the log no longer had."""
        return self.inbox.gaps

    @property
    def busy_for(self) -> float:
        """Seconds for which the handler has been at the same event; 0 if at none."""
        since = self._since
        return 0.0 if since is None else monotonic() - since

    @property
    def state(self) -> str:
        """How it is, in a few words."""
        if self.inbox.closed:
            return "closed"
        if not self.inbox.ready.is_set():
            return "waits for the server"
        if (seconds := self.busy_for) > 1:
            return f"busy for {seconds:,.0f} s"
        return "catching up" if self.inbox.behind else "listening"

    def wake(self) -> None:
        """Let the thread look; called with the inbox's lock held."""
        if self.on_wake is not None:
            self.on_wake()
        elif not self.inbox.closed and self.handler is not None:
            self._thread.wake()

    def _work(self) -> float | None:
        """Handle what waits; return the seconds until the next try if the server is away."""
        while True:
            try:
                event = self.inbox.take()
            except AgentnbError as error:
                self._bus.log.info("%s cannot catch up yet: %s", self.name, error)
                return 1.0
            if event is None:
                return None
            self._handle(event)

    def shaped(self, event: Event) -> Event:
        """Return an event whose data is of the schema, where there is one.

        Raises
        ------
        ValueError
            It does not fit.
        """
        if self._schema is not None and not event.gap:
            event.data = convert(event.data, self._schema)
        return event

    def take(self) -> Event | None:
        """Return the next event that fits the schema, or None if there is none now."""
        while (event := self.inbox.take()) is not None:
            try:
                shaped = self.shaped(event)
            except ValueError as error:
                self.failed += 1
                with use(carried(event.traceparent, event.correlation_id)):
                    self._bus.failed(event, self.name, error)
            else:
                self.handled += 1
                return shaped
        return None

    def _handle(self, event: Event) -> None:
        with use(carried(event.traceparent, event.correlation_id)):
            self._handle_in_its_trace(event)

    def _handle_in_its_trace(self, event: Event) -> None:
        self._since = monotonic()
        try:
            self.shaped(event)
            with self._bus.tracer.span(
                "handle", service="events", channel=event.channel, handler=self.name
            ):
                self._bus.loop.call(self.handler, event)  # type: ignore[arg-type]  # there is one
            self.handled += 1
        except BaseException as error:  # noqa: BLE001 - it is the handler's, and becomes a dead letter
            if not self._bus.closing:
                self.failed += 1
                self._bus.failed(event, self.name, error)
        finally:
            self._since = None

    def close(self) -> None:
        """Take no further event, and let go of those that wait; a handler that runs may end."""
        self._bus.unsubscribe(self)

    def end(self) -> None:
        """Close the inbox and stop the thread; the bus has forgotten it."""
        self._thread.stop(0.0)
        self.inbox.close()

    def join(self, timeout: float) -> bool:
        """Return whether the handler has returned within so many seconds, or calls this itself."""
        return self._thread.stop(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        counts = f"{self.handled:,} handled, {self.failed:,} failed, {self.dropped:,} dropped"
        return f"<Subscription {self.pattern!r} to {self.name}: {self.state}, {counts}>"
