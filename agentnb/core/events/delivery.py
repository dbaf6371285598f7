"""Deliver the events of one subscription, on a thread of its own."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.codec import convert
from agentnb.core.errors import AgentnbError
from agentnb.core.events.subscription import Subscription
from agentnb.core.trace import carried, use

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.events.event import Event
    from agentnb.core.events.inbox import Inbox
    from agentnb.core.trace import Tracer

__all__ = ["Delivery", "Handling"]

# Seconds after which an idle thread ends; the next event starts another.
_IDLE = 10.0


@dataclass(frozen=True, slots=True)
class Handling:
    """The parts of a bus that deliveries use.

    Parameters
    ----------
    tracer
        Records a span for each handled event.
    call
        Calls a handler, which may be a coroutine function.
    failed
        Records a dead letter: the event, the handler's name, the error.
    unsubscribe
        Removes a subscription from the bus.
    log
        Logger of delays.
    """

    tracer: Tracer
    call: Callable[..., Any]
    failed: Callable[[Event, str, BaseException], None]
    unsubscribe: Callable[[Subscription], object]
    log: logging.LoggerAdapter[logging.Logger]


class Delivery:
    """Hands the events of one subscription to its handler; the part behind a `Subscription`.

    Parameters
    ----------
    handling
        The parts of the bus.
    inbox
        The events that wait.
    handler
        The handler; None for a stream, which calls `take`.
    name
        The handler's name.
    schema
        The type that ``event.data`` is converted to.
    replay
        Number of earlier events to deliver first.
    """

    def __init__(
        self,
        handling: Handling,
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
        self._handling = handling
        self._schema = schema
        self._since: float | None = None
        self._thread = BackgroundThread(
            self._work, name=f"events-{name}", log=handling.log, linger=_IDLE
        )
        self.on_wake: Callable[[], None] | None = None
        inbox.wake = self.wake
        self.subscription = Subscription(self)

    @property
    def busy_for(self) -> float:
        """Seconds for which the handler has run; 0 if it does not run."""
        since = self._since
        return 0.0 if since is None else monotonic() - since

    @property
    def state(self) -> str:
        """The state, in a few words."""
        if self.inbox.closed:
            return "closed"
        if not self.inbox.ready.is_set():
            return "waits for the server"
        if (seconds := self.busy_for) > 1:
            return f"busy for {seconds:,.0f} s"
        return "catching up" if self.inbox.behind else "listening"

    def wake(self) -> None:
        """Wake the thread, or start it; called with the inbox's lock held."""
        if self.on_wake is not None:
            self.on_wake()
        elif not self.inbox.closed and self.handler is not None:
            self._thread.wake()

    def _work(self) -> float | None:
        """Handle waiting events; return the seconds until a retry if the server is away."""
        while True:
            self._since = monotonic()  # an event either waits or is handled, at any moment
            try:
                event = self.inbox.take()
            except AgentnbError as error:
                self._since = None
                self._handling.log.info("%s cannot catch up yet: %s", self.name, error)
                return 1.0
            if event is None:
                self._since = None
                return None
            self._handle(event)

    def shaped(self, event: Event) -> Event:
        """Return the event with its data converted to the schema, if there is one.

        Raises
        ------
        ValueError
            The data does not fit the schema.
        """
        if self._schema is not None and not event.gap:
            event.data = convert(event.data, self._schema)
        return event

    def take(self) -> Event | None:
        """Return the next event that fits the schema, None if none waits."""
        while (event := self.inbox.take()) is not None:
            try:
                shaped = self.shaped(event)
            except ValueError as error:
                self.failed += 1
                with use(carried(event.traceparent, event.correlation_id)):
                    self._handling.failed(event, self.name, error)
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
            with self._handling.tracer.span(
                "handle",
                service="events",
                kind="work",
                channel=event.channel,
                event=event.id,
                handler=self.name,
            ):
                self.shaped(event)
                self._handling.call(self.handler, event)
            self.handled += 1
        except BaseException as error:  # noqa: BLE001 - it is the handler's, and becomes a dead letter
            self.failed += 1
            self._handling.failed(event, self.name, error)
        finally:
            self._since = None

    def close(self) -> None:
        """End the subscription and drop waiting events; a running handler may finish."""
        self._handling.unsubscribe(self.subscription)

    def end(self) -> None:
        """Close the inbox and stop the thread, after the bus has removed the subscription."""
        self._thread.stop(0.0)
        self.inbox.close()

    def join(self, timeout: float) -> bool:
        """Wait for the handler; return whether it has returned, or calls this itself."""
        return self._thread.stop(timeout)
