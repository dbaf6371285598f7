"""Unpacking of bodies that come as gzip, in pieces of a bounded size."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Unpackable", "Unpacker"]

_PIECE = 65_536
_GZIP = 31  # for zlib: with a header of gzip


class Unpackable(Exception):  # noqa: N818 - never leaves the package
    """A body that does not match its headers."""


class Unpacker:
    """Unpacks a body; one that is not packed goes through as it is.

    Parameters
    ----------
    headers
        The reply's.

    Raises
    ------
    Unpackable
        It is packed in a way that was not asked for.

    Examples
    --------
    >>> import gzip
    >>> unpacker = Unpacker({"content-encoding": "gzip"})
    >>> b"".join(unpacker.feed(gzip.compress(b"hello")))
    b'hello'
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        packed = headers.get("content-encoding", "identity").strip().lower()
        self.packed = packed in {"gzip", "x-gzip"}
        self._some = False
        self._zlib = zlib.decompressobj(_GZIP) if self.packed else None
        if not self.packed and packed not in {"", "identity"}:
            raise Unpackable(f"its body is packed as {text_of(packed)}, which was not asked for")

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield the unpacked content of a part, in pieces of at most 64 kB.

        Raises
        ------
        Unpackable
            It is no gzip.
        """
        if self._zlib is None:
            yield part
            return
        try:
            while True:
                piece = self._zlib.decompress(part, _PIECE)
                if piece:
                    self._some = True
                    yield piece
                if self._zlib.eof:
                    # What follows is another member of the same file, or padding.
                    part = self._zlib.unused_data.lstrip(b"\0")
                    if not part:
                        return
                    self._zlib = zlib.decompressobj(_GZIP)
                    continue
                part = self._zlib.unconsumed_tail
                if not part and len(piece) < _PIECE:  # a full piece may have more behind it
                    return
        except zlib.error as error:
            raise Unpackable("its body is no gzip, whatever it says") from error

    def end(self) -> None:
        """Check that nothing is missing.

        Raises
        ------
        Unpackable
            The gzip ends in its middle.
        """
        if self._zlib is not None and self._some and not self._zlib.eof:
            raise Unpackable("its body ends in the middle of a gzip")
