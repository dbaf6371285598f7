"""The transactions that are open on SQLite files in this process, and the threads that opened them.

SQLite has one writer: a thread that waits for a second one while its own transaction is open waits
for itself.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentnb.core.callthreads import current_call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_open_here", "opened"]

_OPEN: dict[object, tuple[str, int, Any]] = {}


@contextmanager
def opened(path: Path | None) -> Iterator[None]:
    """Note that this thread has a transaction open on a file; None for another database."""
    if path is None:
        yield
        return
    token = object()
    _OPEN[token] = (str(path.resolve()), *_caller())
    try:
        yield
    finally:
        del _OPEN[token]


def is_open_here(path: Path | None, *, awaits: bool = False) -> bool:
    """Return whether this thread has a transaction open on a file.

    Parameters
    ----------
    path
        The file; None for another database.
    awaits
        Whether the caller would await the end of the transaction, and so hold up only those of
        its own asyncio task.
    """
    if not _OPEN or path is None:
        return False
    file, (here, current) = str(path.resolve()), _caller()
    awaits = awaits or current_call() is not None
    return any(
        (name, thread) == (file, here) and (not awaits or task is current)
        for name, thread, task in list(_OPEN.values())
    )


def _caller() -> tuple[int, Any]:
    """Return the thread and the asyncio task of the caller; an awaited call runs in any thread."""
    call = current_call()
    return (threading.get_ident(), _task()) if call is None else (call.thread, call.task)


def _task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
