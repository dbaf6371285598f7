"""An event loop in a thread, for coroutine functions that are given to synchronous calls."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.errors import UsageError
from agentnb.core.forking import ForkGuard, new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

__all__ = ["LoopThread"]

T = TypeVar("T")

_JOIN_SECONDS = 5.0


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
        self._lock = new_lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._fork = ForkGuard()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A forked child inherits the loop, yet not the thread that runs it.
            if self._loop is None or self._fork.forked:
                self._fork.reset()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="agentnb-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function; if it is a coroutine function, run it to its end on the loop.

        Raises
        ------
        UsageError
            A coroutine function is called on the loop itself, which would wait for itself.
        """
        result = function(*args)
        if not inspect.isawaitable(result):
            return result
        try:
            self.check()
        except UsageError:
            if inspect.iscoroutine(result):
                result.close()
            raise
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

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop, and return the future of its outcome."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._started())

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the loop soon; it must not block."""
        self._started().call_soon_threadsafe(function, *args)

    def check(self) -> None:
        """Refuse a synchronous call that is made on the loop itself, which would block it.

        Raises
        ------
        UsageError
            The caller runs on the loop.
        """
        if threading.current_thread() is self._thread:
            raise UsageError(
                "a synchronous call was made from agentnb's own event loop",
                service="loop",
                hint="await the a-twin of the call there",
            )

    def close(self) -> None:
        """Cancel the running coroutines, stop the loop and its thread; a later call starts anew.

        Called on the loop itself, it does not wait for the thread.
        """
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._fork.forked:
            return
        ending = asyncio.run_coroutine_threadsafe(_cancel_others(), loop)
        ending.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        if thread is not threading.current_thread():
            with suppress(RuntimeError):  # its start was interrupted: it ends by itself
                thread.join(_JOIN_SECONDS)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        while not _ran(loop):
            pass
    finally:
        loop.close()


def _ran(loop: asyncio.AbstractEventLoop) -> bool:
    """Run a loop, and return whether it was stopped.

    A coroutine that raises SystemExit or KeyboardInterrupt ends the loop, which others need. The
    caller of the coroutine still gets its error.
    """
    try:
        loop.run_forever()
    except (SystemExit, KeyboardInterrupt):
        return False
    return True


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    # A coroutine that will not end must not keep the loop: its thread is a daemon.
    if others:
        await asyncio.wait(others, timeout=_JOIN_SECONDS)
    await asyncio.get_running_loop().shutdown_asyncgens()


async def _in_context(function: Callable[[], Any], context: contextvars.Context) -> Any:
    return await asyncio.get_running_loop().create_task(function(), context=context)
