"""Plain JSON: values to bytes and back, and how exact a copy is."""

from __future__ import annotations

import marshal
import math
from typing import Any, Final

import msgspec

__all__ = [
    "MISFITS",
    "NOT_JSON",
    "change",
    "convert",
    "exact",
    "from_json",
    "has_nan",
    "same",
    "to_json",
]

NOT_JSON: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""What `to_json` raises for a value that JSON has nothing for."""
MISFITS: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)
"""What `from_json` and `convert` raise for what is malformed, or not of the type asked for."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def to_json(value: Any) -> bytes:
    """Return the JSON of a value, `NOT_JSON` if there is none.

    >>> to_json({"rate": 1.5})
    b'{"rate":1.5}'
    """
    if hasattr(value, "model_dump_json"):  # a pydantic model
        return bytes(value.model_dump_json().encode())
    return _encode(value)


def from_json(data: bytes, kind: Any = None) -> Any:
    """Return the value of JSON, as a type that `check_schema` takes; `MISFITS` if it is none.

    >>> from_json(b"[1, 2]"), from_json(b"[1, 2]", tuple[int, int])
    ([1, 2], (1, 2))
    """
    if kind is None:
        return _decode(data)
    if hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(data)
    return msgspec.json.decode(data, type=kind)


def convert(value: Any, kind: Any) -> Any:
    """Return what JSON has given as a value of a type; `MISFITS` if it is none."""
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    return msgspec.convert(value, kind)


def exact(copy: Any, value: Any) -> bool:
    """Return whether two values are equal and of the same types, however deep.

    >>> exact([1, {"a": 2}], [1, {"a": 2}]), exact([1.0], [1]), exact([1, 2], (1, 2))
    (True, False, False)
    """
    try:
        # marshal writes the plain types and refuses their subclasses, such as an Enum's members,
        # which compare as equal to what they would come back as. Version 2 shares no references.
        return marshal.dumps(copy, 2) == marshal.dumps(value, 2)
    except ValueError:
        return False


def same(copy: Any, value: Any) -> bool:
    """Return whether two values of any class are equal and of the same one."""
    try:
        return bool(copy == value) and type(copy) is type(value)
    except (TypeError, ValueError):
        return False


def change(value: Any, copy: Any) -> str:
    """Say how a copy differs from the value that it was made of.

    >>> change((1, 2), [1, 2]), change([(1, 2)], [[1, 2]])
    ('a tuple would come back as a list', 'it would come back changed')
    """
    name, other = type(value).__name__, type(copy).__name__
    return (
        f"a {name} would come back as a {other}" if name != other else "it would come back changed"
    )


def has_nan(value: Any) -> bool:
    """Return whether a value holds a NaN or an infinity, which JSON would give as null.

    >>> has_nan({"rates": [1.0, float("nan")]}), has_nan({"rates": [1.0]})
    (True, False)
    """
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(has_nan, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(has_nan, value))
    if isinstance(value, msgspec.Struct):
        return any(has_nan(getattr(value, name)) for name in value.__struct_fields__)
    if hasattr(value, "__dataclass_fields__"):
        return any(has_nan(getattr(value, name, None)) for name in value.__dataclass_fields__)
    return False
