"""Keywords that a public call does not have, refused with the nearest that it has.

Python's own TypeError names the class that implements the call, and no name that is near.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["known_keywords", "refuse_unknown", "unknown_keyword"]

_C = TypeVar("_C", bound="type | Callable[..., Any]")
_F = TypeVar("_F", bound="Callable[..., Any]")
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def refuse_unknown(service: str) -> Callable[[_C], _C]:
    """Refuse unknown keywords of a function, or of the public methods of a class, as its decorator.

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
    """Return a function whose calls with unknown keywords are a `UsageError`.

    One that takes any keyword is returned as it is: a wrapper takes a sixth of the time of a span.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    takes_any = code is not None and code.co_flags & inspect.CO_VARKEYWORDS
    return function if takes_any else _translating(function, name, service)


def _translating(function: _F, name: str, service: str) -> _F:
    of_itself = f"{inspect.unwrap(function).__qualname__}() got an unexpected keyword argument '"

    def translated(error: TypeError) -> Exception:
        # Python says whose keyword it is, so that an error of a call within is left as it is.
        if not str(error).startswith(of_itself):
            return error
        word = str(error).removeprefix(of_itself).partition("'")[0]
        return unknown_keyword(name, word, known_keywords(function), service)

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def acall(*args: Any, **options: Any) -> Any:
            try:
                coroutine = function(*args, **options)
            except TypeError as error:
                found = translated(error)
                if found is error:
                    raise
                raise found from None
            return await coroutine

        return cast("_F", acall)

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except TypeError as error:
            found = translated(error)
            if found is error:
                raise
            raise found from None

    return cast("_F", call)
