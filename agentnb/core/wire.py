"""JSON at a boundary: what comes back is what went in, or sending it is an error."""

from __future__ import annotations

import marshal
import math
from typing import Any, Final

import msgspec

from agentnb.core.errors import UsageError

__all__ = [
    "MISFITS",
    "NOT_JSON",
    "Json",
    "change",
    "check_schema",
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


class Json:
    """Encodes and decodes the values of one service.

    Parameters
    ----------
    service
        Its name, for errors.
    what
        What the values are there, for errors: ``"the job's data"``.
    limit
        Bytes that a value may take.
    setting
        The setting that says so.

    Examples
    --------
    >>> json = Json("queue", "the job's data", limit=1000, setting="AGENTNB_QUEUE_PAYLOAD")
    >>> json.encode({"rate": 1.5})
    b'{"rate":1.5}'
    >>> json.decode(b'{"rate":1.5}')
    {'rate': 1.5}
    """

    def __init__(self, service: str, what: str, *, limit: int, setting: str) -> None:
        self._service, self._what = service, what
        self._limit, self._setting = limit, setting

    def encode(self, value: Any, kind: Any = None) -> bytes:
        """Return the JSON of a value.

        Parameters
        ----------
        value
            What JSON has; with ``kind`` also what that type makes of JSON.
        kind
            The type that `decode` will be given.

        Raises
        ------
        UsageError
            The value would not come back equal, is not of that type, or is too large.
        """
        data = self.raw(value)
        if len(data) > self._limit:
            raise UsageError(
                f"{self._what} takes {len(data):,} bytes; {self._limit:,} are allowed",
                service=self._service,
                hint=f"send a path or a key to it, or raise {self._setting} (bytes)",
            )
        if kind is None:
            copy = _decode(data)
            fits = exact(copy, value)
        else:
            copy = self.decode(data, kind)
            # Plain values may stand for a schema's: a dict for a Struct.
            fits = same(copy, value) or exact(_decode(data), value)
        if not fits:
            raise UsageError(
                f"{self._what} cannot be sent as it is: {change(value, copy)}",
                service=self._service,
                hint="convert tuples, dates, NaN and other keys than text yourself, "
                "or give a schema=",
            )
        return data

    def decode(self, data: bytes, kind: Any = None) -> Any:
        """Return the value of JSON.

        Raises
        ------
        UsageError
            It is malformed, or not of the type asked for.
        """
        try:
            return from_json(data, kind)
        except MISFITS as error:
            name = "JSON" if kind is None else getattr(kind, "__name__", kind)
            raise UsageError(
                f"{self._what} is not {name}: {error}",
                service=self._service,
                hint="send what the schema wants" if kind is not None else None,
            ) from error

    def raw(self, value: Any) -> bytes:
        """Return the JSON of a value, whether or not it would come back equal.

        Raises
        ------
        UsageError
            JSON has nothing for it.
        """
        try:
            return to_json(value)
        except NOT_JSON as error:
            raise UsageError(
                f"{self._what} is of type {type(value).__name__}, which JSON has not: {error}",
                service=self._service,
                hint="send plain values; with a schema= also what it makes of JSON",
            ) from error


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


def check_schema(schema: Any, service: str) -> None:
    """Refuse what is no schema before the first value is checked by it.

    Raises
    ------
    UsageError
        Nothing can be checked by it.
    """
    if schema is None or hasattr(schema, "model_validate_json"):
        return
    try:
        msgspec.json.Decoder(schema)
    except TypeError as error:
        raise UsageError(
            f"{schema!r} is not a schema: {error}",
            service=service,
            hint="a msgspec Struct, a dataclass, a TypedDict or a pydantic model",
        ) from error
