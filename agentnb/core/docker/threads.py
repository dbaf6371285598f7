"""Calls that wait for the engine, awaited: each in a thread of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from agentnb.core.background import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["awaited"]

T = TypeVar("T")
_AGAIN = 0.5


async def awaited(work: Callable[[], T], undo: Callable[[], object] | None = None) -> T:
    """Await a function that runs in a thread.

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
    return asyncio.wrap_future(run_in_thread(work, name="docker"))


def _dropped(task: asyncio.Future[T]) -> None:
    """Mark the error of an abandoned call as retrieved."""
    if not task.cancelled():
        task.exception()
