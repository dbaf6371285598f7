"""A decorator that caches what a function returns."""

from __future__ import annotations

import functools
import inspect
import json
from contextlib import suppress
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    Self,
    TypedDict,
    TypeVar,
    overload,
)

from agentnb.core.cache.identity import ORIGINAL, Memory, changes, digest_of, name_of
from agentnb.core.codec import exact
from agentnb.core.codec.errors import UnstorableError
from agentnb.core.errors import UsageError
from agentnb.core.ranges import flag
from agentnb.core.redis.keys import escape
from agentnb.core.twins import await_method

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.cache.cache import Cache

__all__ = ["Cached", "CachedDecorator", "LoadOptions", "decorate"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

# Arguments whose JSON is longer are part of a key by a digest.
_LONGEST = 1000


class LoadOptions(TypedDict, total=False):
    """The keyword arguments of `Cache.cached`, each as `Cache.get_or_set` takes it."""

    type: Any
    tags: tuple[str, ...] | list[str]
    jitter: float
    early: float
    stale: float
    local: bool


class Cached(Protocol[P, R_co]):
    """A function whose results are cached; returned by `Cache.cached`.

    Its arguments and its result are the function's, of a coroutine function an awaitable one.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the cached result for the arguments; call the function if there is none."""

    def invalidate(self) -> int:
        """Remove all results of the function, and return the number removed."""

    async def ainvalidate(self) -> int:
        """Await `invalidate`."""

    # As a function: a method takes its object, a class method its class, others take neither.
    @overload
    def __get__(
        self: Cached[Concatenate[type[T], Q], R_co], instance: T | None, owner: type[T], /
    ) -> Cached[Q, R_co]: ...
    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Self: ...
    @overload
    def __get__(
        self: Cached[Concatenate[T, Q], R_co], instance: T, owner: type[T], /
    ) -> Cached[Q, R_co]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any], /) -> Self: ...


class CachedDecorator(Protocol):
    """The decorator that `Cache.cached` returns."""

    def __call__(self, function: Callable[P, T], /) -> Cached[P, T]:
        """Return the function, cached."""


def decorate(
    cache: Cache,
    function: Callable[..., T],
    ttl: float | None,
    key: str | Callable[..., str] | None,
    options: dict[str, Any],
) -> Callable[..., T]:
    """Return the function, cached; see `Cache.cached`."""
    if isinstance(function, staticmethod | classmethod):
        wrapped = decorate(cache, function.__func__, ttl, key, options)
        return type(function)(wrapped)
    if not callable(function):
        raise UsageError(
            f"cached() must decorate a function, got {type(function).__name__}",
            service="cache",
            hint="@hub.cache.cached(ttl=60) over a def",
        )
    _check_options(cache, options)
    if key is not None and not isinstance(key, str):
        if not callable(key):
            raise UsageError(
                f"key must be text or a function, got {key!r:.60}",
                service="cache",
                hint='cached(key="NAME") or cached(key=lambda ...: TEXT)',
            )
        name = key
        # Its keys have nothing in common; a tag finds them again.
        tag = f"cached:{name_of(function)}"
        options = options | {"tags": [*options.get("tags", ()), tag]}
        forget: Callable[[], int] = functools.partial(cache.invalidate_tags, tag)
    else:
        keys = _Keys(function, key)
        name = keys.key
        forget = functools.partial(_forget, cache, keys)
    made = _made(cache, function, name, ttl, options)
    made.invalidate = forget
    made.ainvalidate = functools.partial(await_method, cache, forget)
    setattr(made, ORIGINAL, (made, function))
    return made  # type: ignore[no-any-return]  # it is the function, wrapped


def _check_options(cache: Cache, options: dict[str, Any]) -> None:
    """Refuse options that `get_or_set` would refuse at the first call."""
    known = inspect.signature(cache.get_or_set).parameters
    unknown = [name for name in options if name not in known or name in {"key", "loader", "ttl"}]
    if unknown:
        raise UsageError(
            f"cached() has no option {unknown[0]}",
            service="cache",
            hint=f"one of {', '.join(list(known)[3:])}",
        )
    flag("local", options.get("local", False), service="cache")


def _made(
    cache: Cache,
    function: Callable[..., Any],
    name: Callable[..., str],
    ttl: float | None,
    options: dict[str, Any],
) -> Any:
    if _is_async(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            load = functools.partial(function, *args, **kwargs)
            return await cache.aget_or_set(name(*args, **kwargs), load, ttl, **options)

        return acall

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        load = functools.partial(function, *args, **kwargs)
        return cache.get_or_set(name(*args, **kwargs), load, ttl, **options)

    return call


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(type(function), "__call__", None)  # noqa: B004 - of an object that is callable
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _forget(cache: Cache, keys: _Keys) -> int:
    return sum(cache.invalidate(f"{escape(start)}:*") for start in keys.starts())


class _Keys:
    """The keys of one cached function: a start for the function, a text for the arguments.

    Parameters
    ----------
    function
        The function.
    start
        The start that the user has given, None for one that tells the function apart.

    Raises
    ------
    UsageError
        The function cannot be told apart from every other.
    """

    def __init__(self, function: Callable[..., Any], start: str | None) -> None:
        self._function = function
        self._name = name_of(function)
        self._fixed = start
        self._memory = Memory()
        self._signature: inspect.Signature = _UNKNOWN
        with suppress(TypeError, ValueError):  # some builtins tell nothing of their parameters
            self._signature = inspect.signature(function)
        kinds = {one.name: one.kind for one in self._signature.parameters.values()}
        self._rest = [name for name, kind in kinds.items() if kind is _POSITIONAL]
        self._named = [name for name, kind in kinds.items() if kind is _KEYWORD]
        if start is None and not changes(function):
            self._fixed = self._start()
        self._starts = {self._start()}

    def starts(self) -> set[str]:
        """Return the starts of all keys that this process has made, and of those of now."""
        return self._starts | {self._start()}

    def key(self, *args: Any, **kwargs: Any) -> str:
        """Return the key of a call."""
        given = self._signature.bind(*args, **kwargs)
        given.apply_defaults()
        arguments = dict(given.arguments)
        for one in self._rest:
            arguments[one] = list(arguments[one])
        for one in self._named:
            arguments[one] = dict(sorted(arguments[one].items()))
        start = self._start()
        self._starts.add(start)
        return f"{start}:{self._text(arguments)}"

    def _start(self) -> str:
        if self._fixed is not None:
            return self._fixed
        try:
            return f"{self._name}@{digest_of(self._function, memory=self._memory)}"
        except UnstorableError as error:
            raise UsageError(
                f"{self._name} cannot be told apart from another of its name: {error}",
                service="cache",
                hint='cached(key="NAME") where all may share its values, or '
                "cached(key=lambda ...: TEXT) with all that they depend on",
            ) from error

    def _text(self, arguments: dict[str, Any]) -> str:
        """Return arguments as a text that no other arguments share."""
        try:
            text = json.dumps(arguments, allow_nan=False)
            # (1, 2) and [1, 2], or {1: 2} and {"1": 2}, must not share a key.
            if len(text) <= _LONGEST and exact(json.loads(text), arguments):
                return json.dumps(
                    arguments, separators=(",", ":"), sort_keys=True, ensure_ascii=False
                )
        except (TypeError, ValueError, RecursionError):
            pass  # no JSON: a digest
        try:
            return f"#{digest_of(arguments, whole=True)}"
        except UnstorableError as error:
            raise UsageError(
                f"the arguments of {self._name} do not make a key: {error}",
                service="cache",
                hint="cached(key=...) takes a function of the arguments that makes one",
            ) from error


def _unknown(*args: Any, **kwargs: Any) -> None:
    """Take any arguments."""


_UNKNOWN = inspect.signature(_unknown)
_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_KEYWORD = inspect.Parameter.VAR_KEYWORD
