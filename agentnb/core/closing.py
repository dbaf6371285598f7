"""Close at the end of a block so that an error of the block is the one that is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["aclosed", "aleave", "close_all", "leave"]

T = TypeVar("T")


def leave(error: BaseException | None, close: Callable[[], object]) -> None:
    """Close at the end of a ``with`` block, which ended with an error or with none.

    An error of closing is raised if the block had none. Otherwise it is logged, and is a note on
    the error of the block: that one says what happened.

    Examples
    --------
    >>> def close():
    ...     raise OSError("the disk is full")
    >>> error = KeyError("the real error")
    >>> leave(error, close)
    >>> error.__notes__
    ['closing failed as well: OSError: the disk is full']
    """
    try:
        close()
    except Exception as worse:
        if error is None:
            raise
        _note(error, worse)


async def aleave(error: BaseException | None, close: Callable[[], Awaitable[object]]) -> None:
    """Close at the end of an ``async with`` block; see `leave`."""
    try:
        await close()
    except Exception as worse:
        if error is None:
            raise
        _note(error, worse)


async def aclosed(close: Callable[[], T]) -> T:
    """Await a function that closes, in a thread of its own; return what it returns.

    The threads of awaited calls may all be held by what is to be closed. A caller that is
    cancelled waits for the end.
    """
    import asyncio

    from agentnb.core.background import run_in_thread
    from agentnb.core.callthreads import to_end

    return await to_end(asyncio.wrap_future(run_in_thread(close, name="close")))


def close_all(closes: Iterable[Callable[[], object]]) -> None:
    """Call all of these, then raise the first error; the others are notes on it.

    It is raised in the context of the error that is being handled, such as that of a
    ``try``/``finally`` around the caller.
    """
    first: BaseException | None = None
    for close in closes:
        try:
            close()
        except BaseException as error:  # noqa: BLE001 - raised below, once all are closed
            if first is None or isinstance(first, Exception) > isinstance(error, Exception):
                first, error = error, first
            if error is not None:
                _note(first, error)
    if first is not None:
        try:
            raise first
        finally:
            del first  # its traceback holds this frame


def _note(error: BaseException, worse: BaseException) -> None:
    import logging

    from agentnb.core.failure import words_of
    from agentnb.core.redact import redact

    text = redact(words_of(worse))
    error.add_note(f"closing failed as well: {text}")
    service = getattr(worse, "service", None) or "hub"
    logging.getLogger(f"agentnb.{service}").warning("closing failed: %s", text)
