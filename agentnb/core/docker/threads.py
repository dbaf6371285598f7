"""Calls that wait for the engine, awaited: each in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["awaited"]

T = TypeVar("T")
_AGAIN = 0.5


async def awaited(work: Callable[[], T], undo: Callable[[], object] | None = None) -> T:
    """Return what a function returns that runs in a thread.

    Parameters
    ----------
    work
        The function. It has the caller's context, such as the trace.
    undo
        Called, in a thread as well, when the caller is cancelled: it makes `work` end, whose end
        is then waited for, and is called again after it. None to leave `work` to itself.
    """
    task = asyncio.ensure_future(_in_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if undo is None:
            task.add_done_callback(_dropped)
            raise
        while not task.done():
            await _in_thread(undo)
            await asyncio.wait({task}, timeout=_AGAIN)
        if task.exception() is None:
            await _in_thread(undo)
        raise


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    # Not the loop's own threads: those are few, and a container may run for minutes.
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return  # cancelled before it began; from now on it cannot be
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, name="agentnb-docker", daemon=True).start()
    return asyncio.wrap_future(future)


def _dropped(task: asyncio.Future[T]) -> None:
    """Take note of an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
