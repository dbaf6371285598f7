"""Keywords that a public call does not have, and flags that are neither True nor False, refused.

Python's own TypeError names the class that implements the call, and no name that is near. Python
takes any value for a flag: the text ``"no"`` would be true.
"""

from __future__ import annotations

import inspect
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.ranges import flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["known_keywords", "refuse_unknown", "unknown_keyword"]

_C = TypeVar("_C", bound="type | Callable[..., Any]")
_F = TypeVar("_F", bound="Callable[..., Any]")
_FLAGS = {"bool": False, bool: False, "bool | None": True}
"""The types of a flag, as text or not, and whether it may be None."""
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def refuse_unknown(service: str) -> Callable[[_C], _C]:
    """Refuse unknown keywords of a function, or of the public methods of a class, as its decorator.

    A parameter whose type is ``bool`` is refused where it is given as anything else.

    Parameters
    ----------
    service
        The service of the error.

    Examples
    --------
    >>> @refuse_unknown("queue")
    ... class Jobs:
    ...     def add(self, data: object, *, priority: int = 0) -> None:
    ...         '''Add a job.'''
    >>> try:
    ...     Jobs().add(1, prioritty=2)
    ... except UsageError as error:
    ...     print(error.message, error.hint, sep="; ")
    add has no option prioritty; did you mean priority?
    >>> @refuse_unknown("queue")
    ... def remove(*, force: bool = False) -> None:
    ...     '''Remove a job.'''
    >>> try:
    ...     remove(force="no")
    ... except UsageError as error:
    ...     print(error.message)
    force must be True or False, got 'no'
    """

    def checked(cls: _C) -> _C:
        if not isinstance(cls, type):
            return _checked(cls, cls.__name__, service)
        for name, function in list(vars(cls).items()):
            if name.startswith("_") and name not in {"__init__", "__call__"}:
                continue
            shown = cls.__name__ if name == "__init__" else name
            if inspect.isfunction(function):
                setattr(cls, name, _checked(function, shown, service))
            elif isinstance(function, staticmethod):
                setattr(cls, name, staticmethod(_checked(function.__func__, shown, service)))
        return cls

    return checked


def known_keywords(function: Callable[..., Any]) -> list[str]:
    """Return the names of the keywords of a function.

    >>> known_keywords(sorted)
    ['key', 'reverse']
    """
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.kind in _NAMED and one.name != "self"]


def unknown_keyword(
    call: str, word: str, known: Iterable[str], service: str, hint: str = ""
) -> UsageError:
    """Return the error of a keyword that a call does not have.

    >>> error = unknown_keyword("connect", "databse_url", ["database_url", "home"], "settings")
    >>> error.message, error.hint
    ('connect has no option databse_url', 'did you mean database_url?')
    """
    near = did_you_mean(word, known, "options") or "it has none"
    return UsageError(
        f"{call} has no option {word}",
        service=service,
        hint=f"{near}; {hint}" if hint else near,
    )


def _checked(function: _F, name: str, service: str) -> _F:
    """Return a function whose calls with unknown keywords or other flags are a `UsageError`.

    One that takes any keyword and has no flag is returned as it is: a wrapper takes a sixth of the
    time of a span.
    """
    flags = _flags(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    takes_any = code is not None and code.co_flags & inspect.CO_VARKEYWORDS
    return function if takes_any and not flags else _translating(function, name, service, flags)


def _flags(function: Callable[..., Any]) -> list[tuple[str, int, bool]]:
    """Return the flags, their positions among the arguments, and whether each may be None."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    if code is None:
        return []
    positions = {name: number for number, name in enumerate(code.co_varnames[: code.co_argcount])}
    return [
        (name, positions.get(name, sys.maxsize), _FLAGS[kind])
        for name, kind in inner.__annotations__.items()
        if name != "return" and kind in _FLAGS
    ]


def _judge(
    flags: list[tuple[str, int, bool]],
    args: tuple[Any, ...],
    options: dict[str, Any],
    service: str,
) -> None:
    for name, position, optional in flags:
        given = args[position] if position < len(args) else options.get(name, True)
        if given is not True and given is not False and not (optional and given is None):
            flag(name, given, service=service, optional=optional)


def _translated(
    error: TypeError, function: Callable[..., Any], name: str, service: str
) -> Exception:
    """Return the error of a call with an unknown keyword; another error as it is."""
    # Python says whose keyword it is, so that an error of a call within is left as it is.
    of_itself = f"{inspect.unwrap(function).__qualname__}() got an unexpected keyword argument '"
    if not str(error).startswith(of_itself):
        return error
    word = str(error).removeprefix(of_itself).partition("'")[0]
    return unknown_keyword(name, word, known_keywords(function), service)


def _translating(function: _F, name: str, service: str, flags: list[tuple[str, int, bool]]) -> _F:
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def acall(*args: Any, **options: Any) -> Any:
            if flags:
                _judge(flags, args, options, service)
            try:
                coroutine = function(*args, **options)
            except TypeError as error:
                found = _translated(error, function, name, service)
                if found is error:
                    raise
                raise found from None
            return await coroutine

        return cast("_F", acall)

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if flags:
            _judge(flags, args, options, service)
        try:
            return function(*args, **options)
        except TypeError as error:
            found = _translated(error, function, name, service)
            if found is error:
                raise
            raise found from None

    return cast("_F", call)
