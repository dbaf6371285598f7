"""The composition of a type: its classes, and whether pydantic handles it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import re
import sys
import types
import typing
import uuid
from pathlib import PurePath
from typing import Any

import msgspec

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_pydantic", "name_of", "refuse_unclear", "wants_pydantic"]

# What any text, or almost any, can be read as, and what else is text in JSON.
_ANY_TEXT = (str, bytes, bytearray, PurePath)
_TEXT = (dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID, complex)


def _parts(kind: Any) -> Iterator[Any]:
    """Yield a type, the types within it, and what annotates them."""
    seen: list[Any] = []
    left = [kind]
    while left:
        one = left.pop()
        if any(one is other for other in seen):
            continue
        seen.append(one)
        yield one
        left += getattr(one, "__metadata__", ())
        left += [arg for arg in typing.get_args(one) if not isinstance(arg, str | int | bytes)]
        left += _fields(one)
        value = getattr(one, "__value__", None)  # of a type alias
        left += [] if value is None else [value]


def _fields(kind: Any) -> list[Any]:
    """Return the types of the fields of a class that has some."""
    kind = typing.get_origin(kind) or kind
    if not isinstance(kind, type):
        return []
    known = (
        dataclasses.is_dataclass(kind)
        or issubclass(kind, msgspec.Struct)
        or typing.is_typeddict(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or hasattr(kind, "__attrs_attrs__")
    )
    if not known or is_pydantic(kind):
        return []
    try:
        return list(typing.get_type_hints(kind, include_extras=True).values())
    except (NameError, TypeError):
        return []  # the codec's own error says more


def is_pydantic(kind: Any) -> bool:
    """Return whether a class or an annotation is pydantic's, or made for it."""
    module = type(kind).__module__ if not isinstance(kind, type) else ""
    return (
        hasattr(kind, "__pydantic_validator__")
        or hasattr(kind, "__get_pydantic_core_schema__")
        or module.partition(".")[0] in {"pydantic", "annotated_types"}
    )


def wants_pydantic(kind: Any) -> bool:
    """Return whether pydantic has a say in a type: by a model, or by an annotation of its own."""
    return "pydantic" in sys.modules and any(is_pydantic(one) for one in _parts(kind))


def refuse_unclear(kind: Any) -> None:
    """Refuse a union of which two members are text in JSON that does not tell them apart.

    Of the fields of a class, the class says how they are read.

    >>> refuse_unclear(uuid.UUID | None)
    >>> refuse_unclear(list[str | uuid.UUID])
    Traceback (most recent call last):
    TypeError: a text of JSON may be a str and a UUID: name one of them

    Raises
    ------
    TypeError
        There is one.
    """
    left = [kind]
    while left:
        one = left.pop()
        args = typing.get_args(one)
        if typing.get_origin(one) in {typing.Union, types.UnionType}:
            classes = [arg for arg in args if isinstance(arg, type)]
            enums = [arg for arg in classes if issubclass(arg, enum.Enum)]
            plain = [arg for arg in classes if arg not in enums]
            anything: list[type] = [arg for arg in plain if issubclass(arg, _ANY_TEXT)]
            others: list[type] = [arg for arg in plain if issubclass(arg, _TEXT)]
            # A member that is a str itself is equal to its text.
            others += [one for one in enums if not issubclass(one, str) and _has_texts(one)]
            if anything and len(anything) + len(others) > 1:
                names = " and a ".join(arg.__name__ for arg in [*anything, *others][:2])
                raise TypeError(f"a text of JSON may be a {names}: name one of them")
        if typing.get_origin(one) is not typing.Literal:
            left += args


def _has_texts(kind: type[enum.Enum]) -> bool:
    return any(isinstance(member.value, str) for member in kind)


def name_of(kind: Any) -> str:
    """Return a type's name for people.

    >>> import uuid
    >>> name_of(int), name_of(list[uuid.UUID])
    ('int', 'list[UUID]')
    """
    if isinstance(kind, type) and not typing.get_args(kind):
        return kind.__name__
    return re.sub(r"(?<![\w<>])(?:[\w<>]++\.)+", "", f"{kind!s:.500}")
