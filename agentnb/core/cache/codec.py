"""Values to bytes and back: JSON, frames as Arrow, never a pickle.

What comes back is what went in, or storing it is an error: a tuple that would return as a
list, a NaN that would return as null. The plain form is the one that other programs write
and read: a JSON value, or a bare string.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import msgspec

from agentnb.core.cache.frames import KINDS, decode_frame, encode_frame, kind_of
from agentnb.core.codec import MISFITS, NOT_JSON, change, convert, exact, from_json, same, to_json
from agentnb.core.errors import UsageError

__all__ = ["Codec"]

# No JSON text begins with this byte, and no text of a person's does.
_MARK = b"\x01"
_ZIPPED, _BYTES = b"Z", b"B"
_WORTH_ZIPPING = 4096
# How JSON, and what some readers take for it, begins.
_JSON_BEGINS = frozenset('{["-0123456789tfnNI \t\r\n')
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError)
LIMIT = 512 * 1024 * 1024


class Codec:
    """Encodes and decodes the values of a cache.

    Parameters
    ----------
    plain
        Write what every other program can read: nothing compressed.
    limit
        Bytes at most; a Redis string holds 512 MB.

    Examples
    --------
    >>> codec = Codec()
    >>> codec.encode({"rate": 1.5})
    b'{"rate":1.5}'
    >>> codec.decode(codec.encode("123")), codec.decode(b"bare text")
    ('123', 'bare text')
    """

    def __init__(self, *, plain: bool = False, limit: int = LIMIT) -> None:
        self._plain = plain
        self._limit = limit

    def encode(self, value: Any, kind: Any = None) -> bytes:
        """Return the bytes of a value.

        Parameters
        ----------
        value
            What JSON has, bytes, or a pandas, polars or Arrow table; with ``kind`` also
            what that type makes of JSON.
        kind
            The type that `decode` will be given.

        Raises
        ------
        UsageError
            The value would not come back equal, or it is too large.
        """
        return self.encode_and_decode(value, kind)[0]

    def encode_and_decode(self, value: Any, kind: Any = None) -> tuple[bytes, Any]:
        """Return the bytes of a value, and the copy that `decode` makes of them."""
        frame = kind_of(value)
        if frame is not None:
            data, copy = encode_frame(value, frame)
            data = _MARK + frame + data
        elif type(value) is bytes:
            self._check_size(len(value))
            data, copy = _MARK + _BYTES + value, value
        else:
            data, copy = self._json_and_copy(value, kind)
        self._check_size(len(data))
        return data, copy

    def _json_and_copy(self, value: Any, kind: Any) -> tuple[bytes, Any]:
        if type(value) is str:
            self._check_size(len(value))  # before it is copied
        data = self._json(value)
        # Checked before it is compressed, so that it can be read again with the same room.
        self._check_size(len(data))
        copy = self._checked_copy(data, value, kind)
        if type(value) is str and kind is None and self._is_bare(value):
            data = value.encode()
        if not self._plain and len(data) >= _WORTH_ZIPPING:
            zipped = zlib.compress(data, 1)
            if len(zipped) < len(data):
                data = _MARK + _ZIPPED + zipped
        return data, copy

    def _checked_copy(self, data: bytes, value: Any, kind: Any) -> Any:
        if kind is None:
            copy = from_json(data)
            if exact(copy, value):
                return copy
            raise _would_change(value, copy)
        try:
            copy = self._loaded(data, kind)
        except UsageError as error:
            raise UsageError(
                f"the value is not of the type that type= says: {error.__cause__ or error.message}",
                service="cache",
            ) from error
        if same(copy, value):
            return copy
        raise _would_change(value, copy)

    def decode(self, data: bytes, kind: Any = None) -> Any:
        """Return the value of bytes that `encode`, or another program, has written.

        Raises
        ------
        UsageError
            The bytes are not of the type asked for, or damaged.
        """
        if data[:1] != _MARK:
            return self._loaded(data, kind)
        mark, body = data[1:2], data[2:]
        if mark not in KINDS and mark not in {_ZIPPED, _BYTES}:
            return self._loaded(data, kind)  # a stranger's, who begins with this byte, too
        try:
            if mark == _ZIPPED:
                return self._loaded(zlib.decompress(body), kind)
            value = body if mark == _BYTES else decode_frame(body, mark)
        except UsageError:
            raise
        except Exception as error:
            # zlib's and three libraries' errors, which share no base.
            raise UsageError(
                f"what is stored cannot be read: {error}",
                service="cache",
                hint="delete the key; another program may have written to it",
            ) from error
        if isinstance(kind, type) and not isinstance(value, kind):
            raise _not_of(kind, f"it is a {KINDS.get(mark, 'bytes')}")
        return value

    def unpacked(self, data: bytes, most: int) -> tuple[bytes, bool]:
        """Return data as it was before it was compressed, if it was, and whether that is all.

        Parameters
        ----------
        most
            Bytes at most: what is small when compressed may be anything but.
        """
        if data[:2] != _MARK + _ZIPPED:
            return data, True
        unzip = zlib.decompressobj()
        try:
            plain = unzip.decompress(data[2:], most)
        except zlib.error:
            return data, True  # `decode` says what is wrong with it
        return plain, unzip.eof

    def glance(self, data: bytes, *, whole: bool) -> str:
        """Return the beginning of a value as text, from the beginning of its bytes.

        >>> Codec().glance(b'{"rate":1.5}', whole=True)
        '{"rate":1.5}'
        """
        if data[:1] == _MARK:
            kinds = {_ZIPPED: "compressed", _BYTES: "bytes"} | KINDS
            return f"<{kinds.get(data[1:2], 'unknown')}>"
        return data.decode("utf-8", "replace") + ("" if whole else "…")

    def _json(self, value: Any) -> bytes:
        try:
            return to_json(value)
        except NOT_JSON as error:
            raise UsageError(
                f"a value of type {type(value).__name__} cannot be stored: {error}",
                service="cache",
                hint="store plain values, bytes or a frame; with type= also what JSON makes of it",
            ) from error

    def _loaded(self, data: bytes, kind: Any) -> Any:
        if kind is None:
            try:
                return from_json(data)
            except _MALFORMED:
                return data.decode("utf-8", "surrogateescape")
        try:
            return self._typed(data, kind)
        except MISFITS as error:
            raise _not_of(kind, str(error)) from error

    def _typed(self, data: bytes, kind: Any) -> Any:
        try:
            return from_json(data, kind)
        except _MALFORMED:
            text = self._loaded(data, None)
            # Text without quotes may begin as JSON does, such as a date.
            if not isinstance(text, str) or data[:1] == b'"':
                raise
            return convert(text, kind)

    def _is_bare(self, text: str) -> bool:
        """Return whether a text can stand without quotes: nobody takes it for a JSON value."""
        if not text or text[0] == "\x01":
            return False
        if text[0] not in _JSON_BEGINS:
            return True
        try:
            json.loads(text)  # which takes all that JavaScript takes, such as 1e999
        except (ValueError, RecursionError):
            return True
        return False

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise UsageError(
                f"the value takes {size:,} bytes; the cache holds {self._limit:,} at most",
                service="cache",
                hint="store it as a file and cache its path, or cache its parts",
            )


def _not_of(kind: Any, why: str) -> UsageError:
    return UsageError(
        f"what is stored is not of the type asked for ({getattr(kind, '__name__', kind)}): {why}",
        service="cache",
        hint="ask for another type, or delete the key",
    )


def _would_change(value: Any, copy: Any) -> UsageError:
    return UsageError(
        f"the value cannot be stored as it is: {change(value, copy)}",
        service="cache",
        hint="convert tuples, dates, NaN and other keys than text yourself, or say type= "
        "what to decode to",
    )
