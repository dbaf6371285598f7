"""A subscription, as `EventBus.subscribe` returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from agentnb.core.closing import leave
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.events.delivery import Delivery
    from agentnb.core.events.event import Event

__all__ = ["Subscription"]


@refuse_unknown("events")
class Subscription:
    """A handler on a pattern; returned by `EventBus.subscribe`, ended by its `close`.

    Its events are handled one after the other, on a thread of its own: a handler that is slow,
    fails or hangs delays no other.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    @property
    def pattern(self) -> str:
        """The channel, or the pattern of channels."""
        return self._delivery.pattern

    @property
    def name(self) -> str:
        """The handler's name, for lists and messages."""
        return self._delivery.name

    @property
    def handler(self) -> Callable[[Event], Any] | None:
        """The handler; None for a stream."""
        return self._delivery.handler

    @property
    def handled(self) -> int:
        """The number of events that the handler returned from."""
        return self._delivery.handled

    @property
    def failed(self) -> int:
        """The number of events that the handler failed at; they are dead letters."""
        return self._delivery.failed

    @property
    def waiting(self) -> int:
        """The number of events that wait for the handler."""
        return len(self._delivery.inbox)

    @property
    def dropped(self) -> int:
        """The number of events dropped since the queue was full."""
        return self._delivery.inbox.dropped

    @property
    def gaps(self) -> int:
        """The number of times that events were missed and no longer in the log."""
        return self._delivery.inbox.gaps

    @property
    def busy_for(self) -> float:
        """Seconds for which the handler has run; 0 if it does not run."""
        return self._delivery.busy_for

    @property
    def state(self) -> str:
        """The state, in a few words."""
        return self._delivery.state

    def close(self) -> None:
        """End the subscription and drop waiting events; a running handler may finish."""
        self._delivery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        counts = f"{self.handled:,} handled, {self.failed:,} failed, {self.dropped:,} dropped"
        return f"<Subscription {self.pattern!r} to {self.name}: {self.state}, {counts}>"
