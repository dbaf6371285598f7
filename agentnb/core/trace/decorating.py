"""Decorators that record each call of a function as a span."""

from __future__ import annotations

from functools import wraps
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from agentnb.core.errors import UsageError
from agentnb.core.ranges import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.spans import OpenSpan

__all__ = ["decorated", "refuse_generator"]

P = ParamSpec("P")
R = TypeVar("R")


def refuse_generator(function: object, hint: str) -> None:
    """Refuse a generator: its code runs where it is iterated, not where it is called.

    Raises
    ------
    UsageError
        It is one.
    """
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise UsageError(
            "a generator's code runs where it is iterated, not where it is called",
            service="trace",
            hint=hint,
        )


def decorated(span: OpenSpan, function: Callable[P, R]) -> Callable[P, R]:
    """Return a function each call of which is a span like one that was never entered.

    Parameters
    ----------
    span
        The span.
    function
        A function, or a coroutine function.

    Raises
    ------
    UsageError
        It cannot be called, or is a generator; or the span was entered before.

    Examples
    --------
    >>> from agentnb.core.trace import Tracer
    >>> tracer = Tracer()
    >>> @tracer.span("parse", kind="step")
    ... def parse(text):
    ...     return int(text)
    >>> parse("7") + parse("8")
    15
    >>> [span.name for span in tracer.recent()]
    ['parse', 'parse']
    """
    if not callable(function) or isclass(function):
        raise refused(
            "function", "a function", function, "trace", f'@hub.trace.span("{span.name}")'
        )
    refuse_generator(function, f'with hub.trace.span("{span.name}"): ... in the generator')
    new = span._template()  # noqa: SLF001 - one mechanism

    if iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            with new():
                return await function(*args, **kwargs)

        return cast("Callable[P, R]", awaited)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with new():
            return function(*args, **kwargs)

    return called
