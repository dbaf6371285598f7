"""Awaited twins of synchronous methods: `aadd` beside `add`.

A class whose methods wait has a `CallThreads` as ``_call_threads``, and a twin for each of them:

>>> import asyncio
>>> from agentnb.core.callthreads import CallThreads
>>> class Counter:
...     def __init__(self) -> None:
...         self._call_threads = CallThreads("counter", limit=4)
...     def add(self, one: int, other: int = 1) -> int:
...         '''Return the sum of two numbers.'''
...         return one + other
...     aadd = twin(add)
>>> asyncio.run(Counter().aadd(1, other=2))
3
>>> Counter.aadd.__name__, Counter.aadd.__doc__.splitlines()[0]
('aadd', 'Await `add`.')

Its parameters, types and errors are those of the method. Overloads are lost, as any decorator
loses them: an overloaded method has a twin that is written by hand and calls `await_method`.
"""

from __future__ import annotations

from functools import partial
from inspect import unwrap
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from agentnb.core.delegate import delegate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from agentnb.core.callthreads import CallThreads

    Undo = Callable[[Any, tuple[Any, ...], dict[str, Any]], Callable[[], object]]
    # Returns what undoes a call, of its object, arguments, and keywords, which it may complete.

__all__ = ["HasCallThreads", "await_method", "iterate", "on_loop", "twin"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="HasCallThreads")
T = TypeVar("T")

_SHORTEST = 0.001
_YEARS = 1e9
_AT_ONCE = 0.99
"""The part of its time-out that a call has left which found a free thread."""
_DOC = """Await `{name}`.

Its parameters, result and errors are those of `{name}`. It runs in a thread of the service, so
that the event loop is not blocked; a `timeout` counts from the call.
"""


class HasCallThreads(Protocol):
    """A class whose methods have awaited twins."""

    @property
    def _call_threads(self) -> CallThreads:
        """The threads in which awaited methods run."""


@overload
def twin(
    method: Callable[Concatenate[S, P], R],
    *,
    callbacks: tuple[str, ...] = (),
    undo: Undo | None = None,
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]: ...
@overload
def twin(
    method: delegate[Any, P, R], *, callbacks: tuple[str, ...] = (), undo: Undo | None = None
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]: ...
def twin(
    method: Callable[Concatenate[Any, P], R] | delegate[Any, P, R],
    *,
    callbacks: tuple[str, ...] = (),
    undo: Undo | None = None,
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Return the awaited twin of a method, to be named ``a`` and the method's name.

    Parameters
    ----------
    method
        A function of the class, or the `delegate` of a part's.
    callbacks
        Its keywords that take functions: a coroutine function runs on the caller's event loop.
    undo
        Makes what undoes a call whose caller is cancelled; see `CallThreads.run`.
    """
    function = method.method if isinstance(method, delegate) else method
    name = function.__name__

    async def awaited(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if isinstance(method, delegate):
            bound = method.__get__(self, type(self))
        else:
            bound = getattr(self, name)  # so that a subclass may replace the method
        if not callbacks and undo is None:
            return await await_method(self, bound, *args, **kwargs)
        given, options = list(args), dict(kwargs)
        for callback in callbacks:
            position = _position(bound, len(given), callback)
            if position is not None:
                given[position] = on_loop(given[position])
            elif callback in options:
                options[callback] = on_loop(options[callback])
        undone = None if undo is None else undo(self, args, options)
        return await _run(self, bound, tuple(given), options, undone)

    awaited.__name__ = f"a{name}"
    awaited.__qualname__ = f"{function.__qualname__.removesuffix(name)}a{name}"
    awaited.__doc__ = _DOC.format(name=name)
    awaited.__module__ = function.__module__
    awaited.__annotations__ = function.__annotations__
    # Where `inspect.signature` and `typing.get_type_hints` look.
    awaited.__wrapped__ = function  # type: ignore[attr-defined]
    return awaited


async def await_method(
    owner: HasCallThreads, bound: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Await a method in the threads of its owner.

    The seconds that the call waits for a thread are taken off a ``timeout`` in its arguments.
    A call that waits for longer fails as `CallThreads.late` says.

    Parameters
    ----------
    owner
        The object that has the threads.
    bound, args, kwargs
        The bound method and its arguments.
    """
    return await _run(owner, bound, args, kwargs, None)


async def _run(
    owner: HasCallThreads,
    bound: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    undo: Callable[[], object] | None,
) -> R:
    threads = owner._call_threads  # noqa: SLF001 - this is what it is there for
    position = _position(bound, len(args), "timeout")
    timeout: Any = kwargs.get("timeout") if position is None else args[position]
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < _YEARS:
        return await threads.run(partial(bound, *args, **kwargs), undo=undo)
    until = monotonic() + timeout

    def call() -> R:
        left = until - monotonic()
        if left >= timeout * _AT_ONCE or not threads.shortens:
            return bound(*args, **kwargs)
        left = max(left, _SHORTEST)
        if position is None:
            return bound(*args, **{**kwargs, "timeout": left})
        return bound(*args[:position], left, *args[position + 1 :], **kwargs)

    late = partial(threads.late, timeout)
    return await threads.run(call, until=until, late=late, undo=undo)


def _position(bound: Callable[..., Any], given: int, name: str) -> int | None:
    """Return the place of a parameter among the positional arguments that are given, if it is."""
    code = getattr(unwrap(bound), "__code__", None)
    if not given or code is None or name not in code.co_varnames[: code.co_argcount]:
        return None
    position: int = code.co_varnames.index(name) - 1  # without self
    return position if position < given else None


def on_loop(function: Any) -> Any:
    """Return a function for a thread that runs a coroutine function on this event loop.

    A function that is not a coroutine function is returned as it is.

    Parameters
    ----------
    function
        The function that the caller of an awaited twin has given.

    Examples
    --------
    >>> import asyncio
    >>> async def double(number):
    ...     return 2 * number
    >>> async def main():
    ...     return await asyncio.to_thread(on_loop(double), 21)
    >>> asyncio.run(main())
    42
    """
    import asyncio
    import inspect

    if not inspect.iscoroutinefunction(function):
        return function
    loop = asyncio.get_running_loop()

    def call(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), loop).result()

    return call


async def iterate(threads: CallThreads, found: Iterator[T]) -> AsyncIterator[T]:
    """Yield what a synchronous iterator yields, each item awaited; it is closed in the end.

    Parameters
    ----------
    threads
        Threads for this iterator alone, which end with it.
    found
        The iterator.
    """
    import asyncio

    from agentnb.core.callthreads import to_end

    ended: Any = object()
    try:
        while (item := await threads.run(partial(next, found, ended))) is not ended:
            yield item
    finally:
        try:
            if (close := getattr(found, "close", None)) is not None:
                await to_end(asyncio.ensure_future(threads.run(close)))
        finally:
            threads.close()
