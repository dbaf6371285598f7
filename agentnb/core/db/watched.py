"""Work of a driver in a thread, so that a deadline and Ctrl-C are heard while it runs."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, TypeVar

from agentnb.core.background import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from agentnb.core.db.backend import Watch

__all__ = ["POLL", "in_thread"]

T = TypeVar("T")

POLL = 0.05
"""Seconds between two looks at the watch."""


def in_thread(
    function: Callable[[], T],
    watch: Watch | None,
    *,
    name: str,
    give_up: Callable[[Future[T]], object],
) -> T:
    """Run a function in a thread, and return its result.

    Parameters
    ----------
    function
        The work.
    watch
        The time that it may take; None for any.
    name
        The name of the thread.
    give_up
        Called with what runs when the time is over, or the caller is interrupted.

    Raises
    ------
    DeadlineExceeded
        The time was over.
    """
    future = run_in_thread(function, name=name)
    try:
        while not wait({future}, POLL).done:
            if watch is not None and watch.over:
                raise watch.error()  # noqa: TRY301 - given up like on Ctrl-C
    except BaseException:
        give_up(future)
        raise
    return future.result()
