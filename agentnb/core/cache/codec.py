"""Values to bytes and back: JSON where it is exact, else tagged; frames as Arrow; no pickle.

A value comes back equal and of its type, or storing it is an error. JSON and bare strings
are the form that other programs write and read; a tuple, a NaN or an array, which JSON would
change, takes the tagged form of `agentnb.core.codec.tagged`.
"""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec import MISFITS, NOT_JSON, change, convert, exactly, from_json, same, to_json
from agentnb.core.codec.errors import ClassMissingError, UnreadableError, UnstorableError
from agentnb.core.codec.frames import KINDS, decode_frame, encode_frame, has_frequency, kind_of
from agentnb.core.errors import AgentnbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.cache.files import Pointer, ValueFiles

__all__ = ["Codec"]

# No JSON text begins with this byte, and no text of a person's does.
_MARK = b"\x01"
_ZIPPED, _BYTES = b"Z", b"B"
# A tagged value: its mark, the length of its label, the label, the value; perhaps compressed.
_TAGGED, _TAGGED_ZIPPED = b"V", b"W"
# The value is in a file: its pointer.
_FILED = b"F"
_FILED_ARRAY = b"agentnb array 1\n"
_LARGEST = 1024 * 1024  # bytes, for the server's memory
_OTHERS = {_ZIPPED: "compressed", _BYTES: "bytes", _TAGGED: "value", _TAGGED_ZIPPED: "value"}
_LONGEST_LABEL = 60
_WORTH_ZIPPING = 4096
# From this size on, a sample tells whether compression pays.
_LARGE, _DENSE = 65536, 0.7
# What JSON may give back as it was.
_OF_JSON = frozenset({type(None), bool, int, float, str, list, dict})
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
    files
        Where large values are kept; None to keep them as they are.

    Examples
    --------
    >>> codec = Codec()
    >>> codec.encode({"rate": 1.5})
    b'{"rate":1.5}'
    >>> codec.decode(codec.encode("123")), codec.decode(b"bare text")
    ('123', 'bare text')
    """

    def __init__(
        self, *, plain: bool = False, limit: int = LIMIT, files: ValueFiles | None = None
    ) -> None:
        self._plain = plain
        self._limit = limit
        self._files = files

    def encode(self, value: Any, kind: Any = None) -> bytes:
        """Return the bytes of a value.

        Parameters
        ----------
        value
            Plain values, frames, arrays, and what is made of them; with ``kind`` also what
            that type makes of JSON.
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
        filed = self._filed_array(value) if kind is None else None
        if filed is not None:
            return filed
        if type(value) is bytes:
            self._check_size(len(value))
            copy = self._checked(kind, lambda: _as_kind(value, kind))
            if type(copy) is not bytes:
                raise _would_change(value, copy)
            data = _MARK + _BYTES + value
        elif kind is None:
            found = self._exact_json(value) if type(value) in _OF_JSON else None
            data, copy = found or self._tagged(value)
        else:
            data, copy = self._typed_and_copy(value, kind)
        self._check_size(len(data))
        return self._filed(data), copy

    def _filed_array(self, value: Any) -> tuple[bytes, Any] | None:
        """Return what stands for a large array, and a copy; None for other values.

        Its bytes are in the file as they are in memory, so that they are only read.
        """
        if self._files is None or type(value).__module__ != "numpy":
            return None
        if not _LARGEST <= value.nbytes <= self._limit:
            return None
        from agentnb.core.codec.arrays import dump_raw, load_raw

        try:
            raw = dump_raw(value)
        except UnstorableError:
            return None
        if raw is None:
            return None
        data = _FILED_ARRAY + raw
        pointer = self._files.put(data)
        if pointer is None:
            return None
        label = _label(value)
        head = _MARK + _TAGGED + bytes([len(label)]) + label
        pointer = pointer._replace(head=_FILED_ARRAY + head)
        return _MARK + _FILED + pointer.write(), load_raw(bytearray(data), len(_FILED_ARRAY))

    def _filed(self, data: bytes) -> bytes:
        """Return data, or what stands for them where they are kept in a file."""
        if self._files is None or len(data) < _LARGEST:
            return data
        pointer = self._files.put(data)
        return data if pointer is None else _MARK + _FILED + pointer.write()

    def pointer(self, data: bytes) -> Pointer | None:
        """Return the pointer that data are, None for data that are the value itself."""
        if data[:2] != _MARK + _FILED:
            return None
        from agentnb.core.cache.files import Pointer

        return Pointer.read(data[2:])

    def _exact_json(self, value: Any) -> tuple[bytes, Any] | None:
        """Return the JSON of a value and its copy, None if JSON would change it."""
        if type(value) is str:
            self._check_size(len(value))  # before it is copied
        found = exactly(value)
        if found is None:
            return None
        data, copy = found
        # Checked before it is compressed, so that it can be read again with the same room.
        self._check_size(len(data))
        if type(value) is str and self._is_bare(value):
            data = value.encode()
        return self._zipped(data, _ZIPPED, data), copy

    def _typed_and_copy(self, value: Any, kind: Any) -> tuple[bytes, Any]:
        with suppress(*NOT_JSON):
            data = to_json(value)
            self._check_size(len(data))
            with suppress(*MISFITS):
                copy = from_json(data, kind)
                if same(copy, value):
                    return self._zipped(data, _ZIPPED, data), copy
        tagged, plain = self._tagged(value)
        copy = self._checked(kind, lambda: _as_kind(plain, kind))
        # Exact already, unless the type has made something else of it.
        if copy is not plain and not same(copy, value):
            raise _would_change(value, copy)
        return tagged, copy

    def _checked(self, kind: Any, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except UsageError as error:
            raise UsageError(
                f"the value is not of the type that type= says: {error.__cause__ or error.message}",
                service="cache",
                hint=f"pass a {getattr(kind, '__name__', kind)}, or leave type= out",
            ) from error

    def _tagged(self, value: Any) -> tuple[bytes, Any]:
        from agentnb.core.codec.tagged import dump, load

        try:
            frame = kind_of(value)
            # A frame by itself has the form that earlier releases read.
            if frame is not None and not has_frequency(value):
                data, copy = encode_frame(value, frame)
                return _MARK + frame + data, copy
            data = dump(value)
            self._check_size(len(data))
            copy = load(data)
        except UnstorableError as error:
            message = str(error)
            if "cannot be stored" not in message:
                message = f"the value cannot be stored: {message}"
            raise UsageError(message, service="cache", hint=error.hint or None) from error
        except UnreadableError as error:
            raise UsageError(
                f"the value cannot be stored: it would not come back: {error}",
                service="cache",
                hint="convert it to plain values, dates, arrays, frames or a dataclass",
            ) from error
        label = _label(value)
        head = bytes([len(label)]) + label
        return self._zipped(data, _TAGGED_ZIPPED, _MARK + _TAGGED + head + data, head), copy

    def _zipped(self, data: bytes, mark: bytes, otherwise: bytes, head: bytes = b"") -> bytes:
        """Return data compressed under its mark, or something else if that is not worth it."""
        if self._plain or len(data) < _WORTH_ZIPPING or _is_dense(data):
            return otherwise
        zipped = zlib.compress(data, 1)
        return _MARK + mark + head + zipped if len(zipped) < len(data) else otherwise

    def decode(self, data: bytes, kind: Any = None) -> Any:
        """Return the value of bytes that `encode`, or another program, has written.

        Raises
        ------
        ClassMissingError
            The value is of a class that this process has not.
        UsageError
            The bytes are not of the type asked for, or damaged.
        """
        if data[:1] != _MARK:
            return self._loaded(data, kind)
        mark, body = data[1:2], data[2:]
        pointer = self.pointer(data)
        if pointer is not None:
            return self._of_file(pointer, kind)
        if mark == _ZIPPED:
            return self._loaded(self._unzipped(body), kind)
        if mark in {_TAGGED, _TAGGED_ZIPPED}:
            return _as_kind(self._untagged(mark, body), kind)
        if mark not in KINDS and mark != _BYTES:
            return self._loaded(data, kind)  # a stranger's, who begins with this byte, too
        try:
            value = body if mark == _BYTES else decode_frame(body, mark)
        except AgentnbError:
            raise
        except Exception as error:
            # Three libraries' errors, which share no base.
            raise _damaged(error) from error
        if isinstance(kind, type) and not isinstance(value, kind):
            raise _not_of(kind, f"it is a {KINDS.get(mark, 'bytes')}")
        return value

    def _of_file(self, pointer: Pointer, kind: Any) -> Any:
        """Return the value that is in a file."""
        if self._files is None:
            raise ClassMissingError("its file", "is one of another home")
        if not pointer.head.startswith(_FILED_ARRAY):
            return self.decode(bytes(self._files.get(pointer)), kind)
        from agentnb.core.codec.arrays import load_raw, room_for

        data = self._files.get(pointer, room_for)
        try:
            return _as_kind(load_raw(data, len(_FILED_ARRAY)), kind)
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            raise ClassMissingError("its file", "is damaged") from error

    def _untagged(self, mark: bytes, body: bytes) -> Any:
        from agentnb.core.codec.tagged import load

        start = 1 + (body[0] if body else 0)
        packed = body[start:]
        if mark == _TAGGED_ZIPPED:
            packed = self._unzipped(packed)
        try:
            return load(packed)
        except ClassMissingError:
            raise
        except UnreadableError as error:
            raise _damaged(error) from error

    def _unzipped(self, body: bytes) -> bytes:
        unzip = zlib.decompressobj()
        try:
            plain = unzip.decompress(body, self._limit)
        except zlib.error as error:
            raise _damaged(error) from error
        if not unzip.eof:
            raise _damaged(ValueError("it is cut off, or larger than the cache holds"))
        return plain

    def unpacked(self, data: bytes, most: int) -> tuple[bytes, bool]:
        """Return data as it was before it was compressed, if it was, and whether that is all.

        Parameters
        ----------
        most
            Bytes at most: what is small when compressed may be anything but.
        """
        pointer = self.pointer(data)
        if pointer is not None and pointer.size > most:
            return data, False
        if data[:1] != _MARK or data[1:2] not in {_ZIPPED, _TAGGED_ZIPPED}:
            return data, True
        head, packed = b"", data[2:]
        if data[1:2] == _TAGGED_ZIPPED:
            start = 1 + (packed[0] if packed else 0)
            head, packed = _MARK + _TAGGED + packed[:start], packed[start:]
        unzip = zlib.decompressobj()
        try:
            plain = unzip.decompress(packed, most)
        except zlib.error:
            return data, True  # `decode` says what is wrong with it
        return head + plain, unzip.eof

    def preview(self, data: bytes, *, whole: bool) -> str:
        """Return the beginning of a value as text, given its first bytes.

        >>> Codec().preview(b'{"rate":1.5}', whole=True)
        '{"rate":1.5}'
        """
        pointer = self.pointer(data)
        if pointer is not None:
            return self.preview(pointer.head.removeprefix(_FILED_ARRAY), whole=False)
        if data[:1] == _MARK:
            known = (_OTHERS | KINDS).get(data[1:2], "unknown")
            return f"<{self.tag(data) or known}>"
        return data.decode("utf-8", "replace") + ("" if whole else "…")

    def tag(self, data: bytes) -> str:
        """Return the type name of a tagged value, empty for any other.

        >>> Codec().tag(Codec().encode((1, 2))), Codec().tag(b"text")
        ('tuple', '')
        """
        pointer = self.pointer(data)
        if pointer is not None:
            return self.tag(pointer.head.removeprefix(_FILED_ARRAY))
        if data[:1] != _MARK or data[1:2] not in {_TAGGED, _TAGGED_ZIPPED} or not data[2:3]:
            return ""
        return data[3 : 3 + data[2]].decode("utf-8", "replace")

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
        f"the stored value is not of the type {getattr(kind, '__name__', kind)}: {why}",
        service="cache",
        hint="ask for another type, or delete the key",
    )


def _would_change(value: Any, copy: Any) -> UsageError:
    return UsageError(
        f"the value cannot be stored as it is: {change(value, copy)}",
        service="cache",
        hint="say type= what the value is, or leave type= out",
    )


def _damaged(error: Exception) -> UsageError:
    return UsageError(
        f"the stored value cannot be decoded: {error}",
        service="cache",
        hint="delete the key; another program may have written to it",
    )


def _as_kind(value: Any, kind: Any) -> Any:
    """Return a value that is stored with its type as another type, where that is asked for."""
    if kind is None or (isinstance(kind, type) and type(value) is kind):
        return value
    with suppress(*MISFITS, NotImplementedError):
        return msgspec.convert(value, kind)
    try:
        return convert(value, kind)
    except (*MISFITS, UsageError) as error:
        if isinstance(kind, type) and isinstance(value, kind):
            return value
        raise _not_of(kind, str(error)) from error


def _label(value: Any) -> bytes:
    """Return a few words about a value for those who list keys."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    words = f"{library}.{kind.__name__}" if library in {"numpy", "pandas"} else kind.__name__
    shape = getattr(value, "shape", None) if words == "numpy.ndarray" else None
    if shape is not None:
        words = f"{words} {value.dtype} {shape}"
    return words.encode("utf-8", "replace")[:_LONGEST_LABEL]


def _is_dense(data: bytes) -> bool:
    """Return whether large data, such as an array of numbers, do not compress well."""
    if len(data) < _LARGE:
        return False
    middle = len(data) // 2
    sample = data[middle : middle + _WORTH_ZIPPING]
    return len(zlib.compress(sample, 1)) > len(sample) * _DENSE
