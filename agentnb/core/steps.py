"""Steps that a generator asks for, done by one of two drivers: one waits, one awaits.

What a call decides is written once, as a generator that yields what is to be done and is sent what
came of it; only the doing has a synchronous and an asynchronous form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["adrive", "drive"]

S = TypeVar("S")
T = TypeVar("T")


def drive(flow: Generator[S, Any, T], do: Callable[[S], Any]) -> T:
    """Do what the steps ask for, and return what they return.

    >>> def steps():
    ...     half = yield 42
    ...     return f"half is {half}"
    >>> drive(steps(), lambda step: step / 2)
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
            except BaseException as error:  # noqa: BLE001 - the steps decide what becomes of it
                failure = error
    finally:
        flow.close()
        reply = failure = None  # an exception that its own frame refers to is not collected


async def adrive(flow: Generator[S, Any, T], do: Callable[[S], Awaitable[Any]]) -> T:
    """Await what the steps ask for, and return what they return."""
    reply: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                step = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # as in drive
            reply = failure = None
            try:
                reply = await do(step)
            except BaseException as error:  # noqa: BLE001 - as in drive
                failure = error
    finally:
        flow.close()
        reply = failure = None
