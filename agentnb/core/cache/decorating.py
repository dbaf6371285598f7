"""A decorator that caches what a function returns."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.codec import exact
from agentnb.core.errors import UsageError
from agentnb.core.redis.keys import escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from agentnb.core.cache.cache import Cache

__all__ = ["decorate"]

T = TypeVar("T")


def decorate(
    cache: Cache,
    function: Callable[..., T],
    ttl: float | None,
    key: str | Callable[..., str] | None,
    options: dict[str, Any],
) -> Callable[..., T]:
    """Return the function, cached; see `Cache.cached`."""
    start = key if isinstance(key, str) else _name_of(function)
    if callable(key):
        name = key
        # Its keys have nothing in common; a tag finds them again.
        tag = f"cached:{start}"
        options = options | {"tags": [*options.get("tags", ()), tag]}
        forget = functools.partial(cache.invalidate_tags, tag)
    else:
        name = _namer(function, start)
        forget = functools.partial(cache.invalidate, f"{escape(start)}:*")

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            load = functools.partial(function, *args, **kwargs)
            return await cache.aget_or_set(name(*args, **kwargs), load, ttl, **options)

        made: Any = acall
    else:

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            load = functools.partial(function, *args, **kwargs)
            return cache.get_or_set(name(*args, **kwargs), load, ttl, **options)

        made = call
    made.invalidate = forget
    return made  # type: ignore[no-any-return]  # it is the function, wrapped


def _name_of(function: Callable[..., Any]) -> str:
    name = f"{function.__module__}.{function.__qualname__}"
    code = getattr(function, "__code__", None)
    if function.__module__ != "__main__" or code is None:
        return name
    # Every notebook is __main__: two functions of one name, or one that was changed, are told
    # apart by what they do.
    digest = hashlib.sha256()
    _add(digest.update, code)
    return f"{name}@{digest.hexdigest()[:8]}"


def _add(update: Callable[[bytes], object], code: CodeType) -> None:
    update(code.co_code + repr(code.co_names).encode("utf-8", "replace"))
    for constant in code.co_consts:
        if inspect.iscode(constant):
            _add(update, constant)
        elif isinstance(constant, frozenset):  # its order differs from process to process
            update(repr(sorted(map(repr, constant))).encode("utf-8", "replace"))
        else:
            update(repr(constant).encode("utf-8", "replace"))


def _namer(function: Callable[..., Any], start: str) -> Callable[..., str]:
    signature = inspect.signature(function)
    rest = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL
    ]

    def name(*args: Any, **kwargs: Any) -> str:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        arguments = dict(given.arguments)
        for one in rest:
            arguments[one] = list(arguments[one])
        return f"{start}:{_text(arguments, start)}"

    return name


def _text(arguments: dict[str, Any], name: str) -> str:
    why: Exception | str = "JSON would change them"
    try:
        text = json.dumps(arguments, allow_nan=False)
        # (1, 2) and [1, 2], or {1: 2} and {"1": 2}, must not share a key.
        if exact(json.loads(text), arguments):
            return json.dumps(arguments, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        why = error
    raise UsageError(
        f"the arguments of {name} do not make a key: {why}",
        service="cache",
        hint="cached(key=...) takes a function of the arguments that makes one",
    )
