"""The event loop of an awaiting test, for coroutines that a thread of the engine's runs."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.callthreads import CallThreads
from agentnb.core.loop import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CallerLoop", "in_thread"]

T = TypeVar("T")
_threads = CallThreads("testing", limit=8)


class CallerLoop(LoopThread):
    """Runs coroutines on the loop that the caller awaits on, so that both may share objects."""

    def __init__(self) -> None:
        super().__init__()
        self._own = asyncio.get_running_loop()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function; a coroutine function is run to its end on the caller's loop."""
        result = function(*args)
        if not inspect.isawaitable(result):
            return result
        context = contextvars.copy_context()

        async def run() -> Any:
            return await result

        async def start() -> Any:
            return await asyncio.get_running_loop().create_task(run(), context=context)

        future = asyncio.run_coroutine_threadsafe(start(), self._own)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def in_thread(function: Callable[[LoopThread], T]) -> T:
    """Await a function that is given the caller's loop, and runs in a thread."""
    loop = CallerLoop()
    return await _threads.call(function, loop)
