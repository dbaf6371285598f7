"""The type that a function's result is declared to have."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from typing import Any

from agentnb.core.codec.typed import TypeCodec, check_schema, codec_of
from agentnb.core.errors import UsageError

__all__ = ["annotation_of", "declared"]

_AWAITABLES = ("Awaitable", "Coroutine")


def declared(function: Any, returns: Any, service: str, subject: str = "") -> TypeCodec | None:
    """Return the codec of the type that a function's result has; None where none is declared.

    Parameters
    ----------
    function
        The function. Its return annotation counts where ``returns`` is None; a union of types
        that JSON has with others does not.
    returns
        The type, or None.
    service
        Whose function it is, for errors.
    subject
        The origin of the value, for errors: ``"step 'ask'"``.

    Raises
    ------
    UsageError
        No JSON can be read as the type.
    """
    kind = annotation_of(function) if returns is None else returns
    if kind is None or kind is Any or kind is object:
        return None
    if returns is None and _may_fit(kind):
        return None
    try:
        check_schema(kind, service, "returns", subject)
    except UsageError as error:
        if returns is None:
            error.hint = "return a part of it that JSON has, such as lambda: f(...).name"
        raise
    return codec_of(kind)


def _may_fit(kind: Any) -> bool:
    """Return whether a union is no type of JSON, but one of its members is."""
    if typing.get_origin(kind) not in {typing.Union, types.UnionType} or _is_type(kind):
        return False
    return any(_is_type(one) for one in typing.get_args(kind) if one is not type(None))


def _is_type(kind: Any) -> bool:
    try:
        codec_of(kind)
    except TypeError:
        return False
    return True


def annotation_of(function: Any) -> Any:
    """Return a function's return type; None where there is none that says something.

    ``Any``, ``None``, abstract types, type variables and what cannot be resolved say nothing.

    >>> def ask() -> "list[int]": ...
    >>> annotation_of(ask), annotation_of(len)
    (list[int], None)
    """
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isclass(function):
        return None if _says_nothing(function) else function
    found = _annotated(function)
    return None if found is None or _says_nothing(found) else found


def _annotated(function: Any) -> Any:
    if not inspect.isroutine(function):
        function = getattr(type(function), "__call__", function)  # noqa: B004 - an object's own
    try:
        function = inspect.unwrap(function)
        own = getattr(function, "__func__", function)
        given = _annotations(own)["return"]
        holder = types.SimpleNamespace(__annotations__={"return": given})
        around = inspect.getclosurevars(own).nonlocals
        found = typing.get_type_hints(holder, own.__globals__, dict(around), include_extras=True)
        found = found["return"]
    except Exception:  # noqa: BLE001 - an annotation is anybody's code
        return None
    origin = getattr(typing.get_origin(found), "__name__", "")
    return typing.get_args(found)[-1] if origin in _AWAITABLES and typing.get_args(found) else found


def _annotations(function: Any) -> Any:
    if sys.version_info >= (3, 14):
        import annotationlib

        # One name that is missing hides no other annotation.
        forward = annotationlib.Format.FORWARDREF
        return annotationlib.get_annotations(function, format=forward)
    return function.__annotations__


def _says_nothing(kind: Any) -> bool:
    if kind is Any or kind is object or kind is None or kind is type(None):
        return True
    if isinstance(kind, typing.TypeVar) or kind is typing.Self:
        return True
    origin = typing.get_origin(kind) or kind
    abstract = inspect.isabstract(origin) or getattr(origin, "_is_protocol", False)
    return bool(abstract) and not _is_type(kind)
