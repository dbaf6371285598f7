"""Plain JSON: values to bytes and back, and how exact a copy is.

Every value that leaves the process is kept as plain JSON without class names. A value of JSON is
written as it is; everything else takes one of these forms:

=============================================  ================================================
tuple, named tuple, set, frozenset, deque      array
dataclass, msgspec Struct, pydantic model      object (a Struct by its own options)
date, time, datetime, timedelta                ISO 8601 text; an offset is kept, a zone's name not
Decimal, UUID, path, complex, IP address       text
bytes, bytearray, memoryview                   Base64 text
enum                                           its value
numpy scalar                                   the number, truth value or text it stands for
keys that are numbers, dates, UUIDs or enums   their text, if no two become the same
=============================================  ================================================

NaN and infinity are refused, unless a declared type has a float there: then they are the texts
``NaN``, ``Infinity`` and ``-Infinity``.
"""

from __future__ import annotations

import marshal
from typing import Any, Final

import msgspec

from agentnb.core.codec.walk import NotJson, Walk

__all__ = [
    "MISFITS",
    "NOT_JSON",
    "change",
    "decode",
    "encode",
    "exact",
    "exactly",
    "same",
    "to_json",
]

NOT_JSON: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""Raised by `to_json` for a value without a JSON form; `NotJson` is one of them."""
MISFITS: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)
"""Raised when JSON is malformed, or not of the type asked for."""

_TEXT: Final = frozenset({str})
_FLAT: Final = frozenset({str, int, float, bool})
_encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder().decode
"""Return the plain value of JSON; `MISFITS` if it is malformed."""


def encode(value: Any) -> tuple[bytes, Walk | None]:
    """Return the JSON of a value, and how it was converted; None if it was plain already.

    Raises
    ------
    NotJson
        It has no JSON form; the error says where.
    """
    data = _flat(value)
    if data is not None:
        return data, None
    found = exactly(value)
    if found is not None:
        return found[0], None
    walk = Walk()  # it says why not, or finds a form
    try:
        return _encode(walk.plain(value)), walk
    except RecursionError as error:
        raise NotJson("value is nested too deeply, or holds itself") from error


def _flat(value: Any) -> bytes | None:
    """Return the JSON of a dict of texts and numbers, which is sent most often; None for others."""
    if type(value) is not dict or not _FLAT.issuperset(map(type, value.values())):
        return None
    try:
        data = _encode(value)
    except NOT_JSON:
        return None
    # A null stands for NaN as well, and a key that is no text may become one that is there.
    return data if b"null" not in data and _TEXT.issuperset(map(type, value)) else None


def exactly(value: Any) -> tuple[bytes, Any] | None:
    """Return the JSON of a value and its copy, None if JSON would change it or has no form.

    >>> exactly([1, "a"]), exactly((1, "a"))
    ((b'[1,"a"]', [1, 'a']), None)
    """
    try:
        data = _encode(value)
        copy = decode(data)
    except (*NOT_JSON, msgspec.MsgspecError):
        return None
    return (data, copy) if exact(copy, value) else None


def to_json(value: Any) -> bytes:
    """Return the JSON of a value; see the module for the forms.

    Raises
    ------
    NotJson
        It has no JSON form; the error says where.

    Examples
    --------
    >>> to_json({"rate": 1.5}), to_json((1, b"a"))
    (b'{"rate":1.5}', b'[1,"YQ=="]')
    >>> to_json({"rates": [1.0, float("nan")]})
    Traceback (most recent call last):
    agentnb.core.codec.walk.NotJson: value['rates'][1] is nan, which JSON has not
    """
    data = _flat(value)
    if data is None:
        data, walk = encode(value)
        if walk is not None:
            walk.check()
    return data


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
