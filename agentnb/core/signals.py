"""A signal that any thread sends and one event loop awaits."""

from __future__ import annotations

import asyncio
import contextlib

__all__ = ["AsyncSignal"]


class AsyncSignal:
    """Wakes a coroutine from any thread.

    The coroutine calls `clear`, looks for work and, if there is none, awaits `wait`: a signal
    that is sent in between ends the wait at once.

    Examples
    --------
    >>> async def wait():
    ...     signal = AsyncSignal()
    ...     first = signal.attach()
    ...     await asyncio.to_thread(signal)
    ...     await signal.wait()
    ...     return first, signal.attach()
    >>> asyncio.run(wait())
    (True, False)
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flag = asyncio.Event()

    def __call__(self) -> None:
        """Send the signal; one that is sent before `attach` has no effect."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._flag.set)

    def attach(self) -> bool:
        """Attach the signal to the running loop, and return whether this is the first time."""
        first = self._loop is None
        if first:
            self._loop = asyncio.get_running_loop()
        return first

    def clear(self) -> None:
        """Forget the signals so far."""
        self._flag.clear()

    async def wait(self) -> None:
        """Wait for a signal."""
        await self._flag.wait()
