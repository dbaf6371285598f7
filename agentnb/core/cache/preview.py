"""Preview one cached value as text, in bounded memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.codec.frames import kind_of
from agentnb.core.errors import UsageError
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.cache.codec import Codec
    from agentnb.core.redis import RedisClient

__all__ = ["ValuePreview", "preview"]

_FETCHED = 4_000_000
_SHOWN = 20_000
_ROWS = 20
_HEX_BYTES, _HEX_WIDTH = 512, 16
_NO_KEY, _NO_END = -2, -1  # the server's codes of PTTL


class ValuePreview(NamedTuple):
    """A cached value as text.

    Parameters
    ----------
    kind
        Its type, in a word or two.
    text
        Its beginning as text.
    size
        Bytes on the server.
    left
        Remaining seconds; infinity if it never expires.
    note
        The part that the text leaves out; empty if it is complete.
    """

    kind: str
    text: str
    size: int
    left: float
    note: str = ""


def preview(redis: RedisClient, codec: Codec, name: str, key: str) -> ValuePreview | None:
    """Return a preview of a value, or None if there is no such key.

    Parameters
    ----------
    redis, codec
        Read and decode the value: at most 4 MB of it.
    name, key
        The key on the server, and as the user knows it.

    Raises
    ------
    UsageError
        The key holds a list, a hash or the like of another program.
    ConfigError
        The value is a frame, and the library that reads it is not installed.
    """
    raw = name.encode("utf-8", "surrogateescape")
    with redis.pipeline(transaction=False) as pipe:
        pipe.pttl(raw)
        pipe.strlen(raw)
        pipe.getrange(raw, 0, _FETCHED - 1)
        left, size, data = pipe.execute(raise_on_error=False)
    if left == _NO_KEY:
        return None
    if not (isinstance(left, int) and isinstance(size, int) and isinstance(data, bytes)):
        raise UsageError(
            f"{key!r} is not a value of a cache",
            service="cache",
            hint=f"hub.redis.type({key!r}) returns its type",
        )
    seconds = float("inf") if left == _NO_END else left / 1000
    pointer = codec.pointer(data)
    kind, text, note = _read(codec, data, whole=size <= _FETCHED)
    size = size if pointer is None else pointer.size
    if len(text) > _SHOWN:
        text, note = text[:_SHOWN] + "…", note or f"the first {_SHOWN:,} characters"
    return ValuePreview(kind, text, size, seconds, note)


def _read(codec: Codec, data: bytes, *, whole: bool) -> tuple[str, str, str]:
    """Return kind, text, and the part that the text leaves out."""
    if not whole:
        start = codec.preview(data[: 2 * _SHOWN], whole=False)
        return "large value", start, "too large to show more of it"
    try:
        data, complete = codec.unpacked(data, _FETCHED)
    except ClassMissingError as error:
        return codec.tag(data) or "large value", f"{error}", "the value counts as missing"
    if not complete:
        start = codec.preview(data[: 2 * _SHOWN], whole=True)
        return "large value", start, "too large to show more of it"
    label = codec.tag(data)
    try:
        value = codec.decode(data)
    except ClassMissingError as error:
        return label, f"{error}", "define or import its class to read it"
    if isinstance(value, str):
        return "text", value, ""
    if isinstance(value, bytes):
        rest = f"the first {_HEX_BYTES} bytes" if len(value) > _HEX_BYTES else ""
        return "bytes", _hex(value), rest
    if not label and (value is None or isinstance(value, (bool, int, float, list, dict))):
        text = json.dumps(value, indent=2, ensure_ascii=False)
        return _KINDS.get(type(value), "JSON"), text, ""
    if isinstance(value, Table) or kind_of(value) is not None:
        return _frame(value)
    return label, _repr(value), ""


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a class of the user's may do anything
        return f"<its repr failed: {error}>"


_KINDS = {dict: "object", list: "list", bool: "boolean", int: "number", float: "number"}


def _frame(value: Any) -> tuple[str, str, str]:
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, Table):
        columns, rows = list(value.columns), value.rows[:_ROWS]
    elif library == "pandas":
        columns = [str(name) for name in value.columns]
        rows = list(value.head(_ROWS).itertuples(index=False, name=None))
    elif library == "polars":
        columns, rows = value.columns, value.head(_ROWS).rows()
    else:
        columns = value.column_names
        lists = [column.to_pylist() for column in value.slice(0, _ROWS).columns]
        rows = list(zip(*lists, strict=True))
    count = value.num_rows if library == "pyarrow" else len(value)
    kind = "table" if isinstance(value, Table) else f"{library} {type(value).__name__}"
    note = f"the first {_ROWS} of {count:,} rows" if count > _ROWS else ""
    return kind, repr(Table(columns, rows)), note


def _hex(value: bytes) -> str:
    lines = []
    for start in range(0, min(len(value), _HEX_BYTES), _HEX_WIDTH):
        some = value[start : start + _HEX_WIDTH]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in some)  # noqa: PLR2004 - the printable ASCII
        lines.append(f"{start:04x}  {some.hex(' '):<{3 * _HEX_WIDTH - 1}}  {text}")
    return "\n".join(lines)
