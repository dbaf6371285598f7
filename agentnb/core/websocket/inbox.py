"""Messages that wait to be received: the latest ones, up to a limit."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.forking import new_condition, new_lock
from agentnb.core.signals import AsyncSignal

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.errors import AgentnbError

__all__ = ["Inbox", "MessageStream"]


class Inbox:
    """A bounded queue of messages; the oldest are dropped and counted.

    Parameters
    ----------
    limit
        Maximum number of waiting messages.
    """

    def __init__(self, limit: int) -> None:
        self._messages: deque[Any] = deque()
        self._limit = limit
        self._some = new_condition(new_lock())
        self.ended = False
        self.error: AgentnbError | None = None
        """Why no further message will come, if it is an error."""
        self.dropped = 0
        self._signals: set[AsyncSignal] = set()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Any) -> None:
        """Add a message."""
        with self._some:
            if len(self._messages) >= self._limit:
                self._messages.popleft()
                self.dropped += 1
            self._messages.append(message)
            self._some.notify()
            self._send_signals()

    def _send_signals(self) -> None:
        for signal in self._signals:
            signal()

    def attach(self, signal: AsyncSignal) -> None:
        """Send a signal whenever a message arrives, and at the end, until `detach`."""
        with self._some:
            self._signals.add(signal)

    def detach(self, signal: AsyncSignal) -> None:
        """Send a signal no longer."""
        with self._some:
            self._signals.discard(signal)

    def take(self, timeout: float = 0.0) -> Any:
        """Return the next message.

        Raises
        ------
        IndexError
            No message arrived in time, or no further one will.
        """
        with self._some:
            if not self._messages and timeout > 0:
                self._some.wait_for(lambda: self._messages or self.ended, timeout)
            return self._messages.popleft()

    async def atake(self, timeout: float) -> Any:  # noqa: ASYNC109 - as take
        """Await the next message; see `take`."""
        signal = AsyncSignal()
        signal.attach()
        self.attach(signal)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    signal.clear()
                    over = self.ended
                    try:
                        return self.take()
                    except IndexError:
                        if over:
                            raise
                    await signal.wait()
        except TimeoutError:
            raise IndexError from None
        finally:
            self.detach(signal)

    def take_all(self) -> list[Any]:
        """Remove and return all waiting messages."""
        with self._some:
            found = list(self._messages)
            self._messages.clear()
            return found

    def begin(self) -> None:
        """Open the inbox."""
        with self._some:
            self.ended, self.error = False, None

    def end(self, error: AgentnbError | None = None) -> None:
        """Close the inbox: no further message will arrive; an error says why."""
        with self._some:
            self.ended, self.error = True, error
            self._some.notify_all()
            self._send_signals()


class MessageStream:
    """The messages of a client, for ``async for``; made by the client.

    Parameters
    ----------
    inbox
        The inbox that messages arrive in.
    left
        Called with the inbox once the iteration has ended.
    """

    def __init__(self, inbox: Inbox, left: Callable[[Inbox], object]) -> None:
        self._inbox = inbox
        # Not a method of this stream, since the inbox must not keep the stream alive.
        self._signal = AsyncSignal()
        inbox.attach(self._signal)
        self._left = left

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Return the next message.

        Raises
        ------
        StopAsyncIteration
            The client was disconnected.
        AgentnbError
            The server refuses the client for good.
        """
        inbox, signal = self._inbox, self._signal
        signal.attach()
        while True:
            signal.clear()
            over = inbox.ended
            try:
                return inbox.take()
            except IndexError:
                if over:
                    self._left(inbox)
                    if inbox.error is not None:
                        raise inbox.error from inbox.error.__cause__
                    raise StopAsyncIteration from None
            await signal.wait()

    async def aclose(self) -> None:
        """End the iteration."""
        self._left(self._inbox)

    def __del__(self) -> None:
        # The loop was left by ``break``.
        self._left(self._inbox)
