"""JSON at a boundary: what comes back is what went in, or sending it is an error."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Json", "check_schema", "exact", "same"]


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
        import msgspec

        self._service, self._what = service, what
        self._limit, self._setting = limit, setting
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
        self._typed = msgspec.json.decode
        self._wrong = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)

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
            copy = self._decode(data)
            fits = exact(copy, value)
        else:
            copy = self.decode(data, kind)
            # Plain values may stand for a schema's: a dict for a Struct.
            fits = same(copy, value) or exact(self._decode(data), value)
        if not fits:
            raise self._would_change(value, copy)
        return data

    def decode(self, data: bytes, kind: Any = None) -> Any:
        """Return the value of JSON.

        Raises
        ------
        UsageError
            It is malformed, or not of the type asked for.
        """
        try:
            if kind is None:
                return self._decode(data)
            if hasattr(kind, "model_validate_json"):
                return kind.model_validate_json(data)
            return self._typed(data, type=kind)
        except self._wrong as error:
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
        if hasattr(value, "model_dump_json"):  # a pydantic model
            return bytes(value.model_dump_json().encode())
        try:
            return self._encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise UsageError(
                f"{self._what} is of type {type(value).__name__}, which JSON has not: {error}",
                service=self._service,
                hint="send plain values; with a schema= also what it makes of JSON",
            ) from error

    def _would_change(self, value: Any, copy: Any) -> UsageError:
        name, other = type(value).__name__, type(copy).__name__
        changed = name != other
        how = f"a {name} would come back as a {other}" if changed else "it would come back changed"
        return UsageError(
            f"{self._what} cannot be sent as it is: {how}",
            service=self._service,
            hint="convert tuples, dates, NaN and other keys than text yourself, or give a schema=",
        )


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


def check_schema(schema: Any, service: str) -> None:
    """Refuse what is no schema before the first value is checked by it.

    Raises
    ------
    UsageError
        Nothing can be checked by it.
    """
    import msgspec

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
