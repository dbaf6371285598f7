"""A stream of events for ``async for``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self

from agentnb.core.signals import AsyncSignal
from agentnb.core.typevars import D

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.events.delivery import Delivery
    from agentnb.core.events.event import Event

__all__ = ["EventStream"]


class EventStream(Generic[D]):
    """The events of one subscription, for ``async for``; made by `EventBus.stream`.

    Parameters
    ----------
    delivery
        The source of the events.
    stand
        Awaits the server's confirmation of the subscription.
    threads
        The threads in which the log is read.
    """

    def __init__(
        self,
        delivery: Delivery,
        stand: Callable[[Delivery], Awaitable[None]],
        threads: CallThreads,
    ) -> None:
        self._delivery = delivery
        self._stand = stand
        self._threads = threads
        self._signal = delivery.on_wake = AsyncSignal()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event[D]:
        """Return the next event.

        Raises
        ------
        StopAsyncIteration
            The subscription was closed.
        """
        one = self._delivery
        if self._signal.attach():
            await self._stand(one)
        while True:
            self._signal.clear()
            # The log is read by a thread; what waits here is taken at once.
            event = await self._threads.call(one.take) if one.inbox.behind else one.take()
            if event is not None:
                return event
            if one.inbox.closed:
                raise StopAsyncIteration
            await self._signal.wait()

    async def aclose(self) -> None:
        """End the subscription."""
        self._delivery.close()

    def __del__(self) -> None:
        # Left by ``break``: nobody will ask for the next one.
        if not self._delivery.inbox.closed:
            self._delivery.close()
