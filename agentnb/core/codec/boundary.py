"""The values of one service: encoded, measured and checked where they cross its boundary."""

from __future__ import annotations

from typing import Any

import msgspec

from agentnb.core.codec.plain import MISFITS, NOT_JSON, change, exact, from_json, same, to_json
from agentnb.core.errors import UsageError

__all__ = ["Json"]

_decode = msgspec.json.Decoder().decode


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
