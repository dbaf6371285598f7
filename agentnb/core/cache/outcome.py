"""The outcome of a cell: its value, the names that it assigned, and the output that it showed."""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

__all__ = ["MOST_SHOWN", "CellOutcome", "Display", "Stream", "pack_shown", "unpack_shown"]

MOST_SHOWN = 32 * 1024 * 1024
"""Bytes that the shown output of a cell takes at most, unpacked."""
_WORTH_ZIPPING = 4096
_PLAIN, _ZIPPED = b"P", b"Z"
_DIGEST = hashlib.sha256
_DIGEST_BYTES = 32


class Stream(msgspec.Struct, frozen=True, tag="stream"):
    """Text that a cell printed, to ``stdout`` or ``stderr``."""

    name: Literal["stdout", "stderr"]
    text: str


class Display(msgspec.Struct, frozen=True, tag="display"):
    """A display: its data by MIME type, and their metadata."""

    data: dict[str, Any]
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """The outcome of a cell.

    Attributes
    ----------
    value
        The displayed value.
    names
        The values that it assigned, by name.
    shown
        What it showed, in order.
    at
        When it ran, in seconds since the epoch; None where that was not kept.
    took
        Seconds that it took.
    number
        Its number in the notebook; None for none.
    missing
        The names whose values were not kept, each with the class of its value.
    valued
        Whether `value` is the cell's; if not, its display is the last of `shown`.
    left
        Seconds for which it is still kept; None where that is not known.
    unsigned
        Whether its output was kept by another home, and so is not among `shown`.
    """

    value: Any
    names: dict[str, Any] = field(default_factory=dict)
    shown: tuple[Stream | Display, ...] = ()
    at: float | None = None
    took: float = 0.0
    number: int | None = None
    missing: dict[str, str] = field(default_factory=dict)
    valued: bool = True
    left: float | None = None
    unsigned: bool = False


def pack_shown(shown: tuple[Stream | Display, ...], key: bytes, context: str) -> bytes:
    """Return what was shown as bytes that only who has the key can make.

    Parameters
    ----------
    shown
        Displays are written as JSON would have them.
    key
        The secret of the home.
    context
        The rest of the record that it belongs to.

    >>> data = pack_shown((Stream("stdout", "a"),), b"secret", "here")
    >>> unpack_shown(data, b"secret", "here")
    (Stream(name='stdout', text='a'),)
    >>> unpack_shown(data, b"another", "here") is None
    True
    """
    packed = msgspec.msgpack.encode([_plain(one) for one in shown])
    body = _PLAIN + packed
    if len(packed) >= _WORTH_ZIPPING:
        zipped = zlib.compress(packed, 1)
        body = _ZIPPED + zipped if len(zipped) < len(packed) else body
    return _signature(key, context, body) + body


def unpack_shown(data: bytes, key: bytes, context: str) -> tuple[Stream | Display, ...] | None:
    """Return what `pack_shown` has packed; None if another key has, or it is damaged."""
    body = data[_DIGEST_BYTES:]
    if not hmac.compare_digest(data[:_DIGEST_BYTES], _signature(key, context, body)):
        return None
    packed = body[1:]
    if body[:1] == _ZIPPED:
        packed = zlib.decompressobj().decompress(packed, MOST_SHOWN)
    return tuple(msgspec.msgpack.decode(packed, type=list[Stream | Display]))


def _signature(key: bytes, context: str, body: bytes) -> bytes:
    return hmac.digest(key, context.encode() + b"\0" + body, _DIGEST)


def _plain(shown: Stream | Display) -> Stream | Display:
    """Return what was shown as bytes, text and JSON."""
    if isinstance(shown, Stream):
        return Stream(shown.name, shown.text.encode("utf-8", "replace").decode())
    data = {kind: one if isinstance(one, bytes) else _json(one) for kind, one in shown.data.items()}
    return Display(data, _json(shown.metadata))


def _json(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return json.loads(json.dumps(value, default=str, skipkeys=True))
