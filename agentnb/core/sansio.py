"""Run a generator that decides what to do and leaves the doing to its caller.

The decisions of a call are written once, as a generator that yields steps and is sent their
results. `run` does the steps synchronously, `arun` awaits them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["arun", "run"]

S = TypeVar("S")
T = TypeVar("T")


def run(flow: Generator[S, Any, T], do: Callable[[S], Any]) -> T:
    """Do the steps of a generator and return its result.

    >>> def steps():
    ...     half = yield 42
    ...     return f"half is {half}"
    >>> run(steps(), lambda step: step / 2)
    'half is 21.0'
    """
    reply: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                step = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # the generator's own type says so
            reply = failure = None
            try:
                reply = do(step)
            except BaseException as error:  # noqa: BLE001 - the generator handles it
                failure = error
    finally:
        flow.close()
        reply = failure = None  # an exception that its own frame refers to is not collected


async def arun(flow: Generator[S, Any, T], do: Callable[[S], Awaitable[Any]]) -> T:
    """Await the steps of a generator and return its result."""
    reply: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                step = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # as in run
            reply = failure = None
            try:
                reply = await do(step)
            except BaseException as error:  # noqa: BLE001 - as in run
                failure = error
    finally:
        flow.close()
        reply = failure = None
