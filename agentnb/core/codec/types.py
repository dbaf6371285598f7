"""What a type is made of: its classes, and whether pydantic has a say in it."""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from typing import Any

import msgspec

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_pydantic", "name_of", "wants_pydantic"]


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


def name_of(kind: Any) -> str:
    """Return a type's name for people.

    >>> import uuid
    >>> name_of(int), name_of(list[uuid.UUID])
    ('int', 'list[UUID]')
    """
    if isinstance(kind, type) and not typing.get_args(kind):
        return kind.__name__
    return re.sub(r"(?:[\w<>]+\.)+", "", str(kind))
