"""An event loop on a thread of its own, for coroutine functions given to synchronous calls."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LoopThread"]


class LoopThread:
    """Runs coroutines for callers that cannot await; started on first use.

    Examples
    --------
    >>> loop = LoopThread()
    >>> async def double(n): return 2 * n
    >>> loop.call(double, 21)
    42
    >>> loop.close()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="agentnb-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function; if it is a coroutine function, run it to its end on the loop.

        Raises
        ------
        UsageError
            A coroutine function is called from the loop itself, which would wait for itself.
        """
        result = function(*args)
        if not inspect.isawaitable(result):
            return result
        if threading.current_thread() is self._thread:
            if inspect.iscoroutine(result):
                result.close()
            raise UsageError(
                "a synchronous call was made from agentnb's own event loop",
                service="loop",
                hint="await the a-twin of the call there",
            )
        loop = self._started()
        context = contextvars.copy_context()

        async def run() -> Any:
            return await result

        future = asyncio.run_coroutine_threadsafe(_in_context(run, context), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        if not thread.is_alive():
            loop.close()


async def _in_context(function: Callable[[], Any], context: contextvars.Context) -> Any:
    return await asyncio.get_running_loop().create_task(function(), context=context)
