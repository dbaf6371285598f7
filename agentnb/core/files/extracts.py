"""Parts of a file: its first or last lines, a range of lines, a range of bytes.

Only as much is read as is needed, so that the file may be larger than what may be read whole.
"""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.files.errors import no_file
from agentnb.core.files.names import shown
from agentnb.core.files.reading import text_of
from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Extract", "extract_of", "read_extract", "text_of_extract"]

_PIECE: Final = 1 << 16
_CONTINUING: Final = bytes(range(0x80, 0xC0))
_NAMES = ("head", "tail", "lines")


@dataclass(frozen=True, slots=True)
class Extract:
    """A part of a file.

    Parameters
    ----------
    lines
        The first and the last line, counted from 1; None for the last of the file.
    tail
        The number of the last lines; 0 for another part.
    offset, length
        The first byte and how many; without lines and tail.
    """

    lines: tuple[int, int | None] | None = None
    tail: int = 0
    offset: int = 0
    length: int | None = None

    @property
    def is_bytes(self) -> bool:
        """Whether the part is a range of bytes."""
        return self.lines is None and not self.tail


def extract_of(
    head: Any = None, tail: Any = None, lines: Any = None, offset: Any = None, length: Any = None
) -> Extract:
    """Return the part that these arguments of `read_file` name; one of them is not None.

    >>> extract_of(head=3), extract_of(tail=2).tail
    (Extract(lines=(1, 3), tail=0, offset=0, length=None), 2)

    Raises
    ------
    UsageError
        They exclude each other, or one is out of its range.
    """
    given = [n for n, v in zip(_NAMES, (head, tail, lines), strict=True) if v is not None]
    given += ["offset and length"] if offset is not None or length is not None else []
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(given)} exclude each other", service="files", hint="give one of them"
        )
    if head is not None:
        return Extract(lines=(1, whole("head", head, service="files")))
    if tail is not None:
        return Extract(tail=whole("tail", tail, service="files"))
    if lines is not None:
        return Extract(lines=_range_of(lines))
    start = 0 if offset is None else whole("offset", offset, service="files", least=0)
    count = None if length is None else whole("length", length, service="files")
    return Extract(offset=start, length=count)


def _range_of(lines: Any) -> tuple[int, int | None]:
    if not isinstance(lines, (tuple, list)) or len(lines) != 2:  # noqa: PLR2004 - first and last
        raise UsageError(
            f"lines must be (FIRST, LAST), got {lines!r:.60}", service="files", hint="lines=(1, 20)"
        )
    first = whole("the first of lines", lines[0], service="files")
    if lines[1] is None:
        return first, None
    return first, whole("the last of lines", lines[1], service="files", least=first)


def read_extract(found: int, path: str, extract: Extract, limit: int) -> bytes:
    """Return a part of an open file.

    Parameters
    ----------
    found
        A descriptor of the file, at its beginning.
    path
        Its path, for errors.
    extract
        Which part.
    limit
        The largest part, in bytes; 0 is no limit.

    Raises
    ------
    UsageError
        It is no regular file, or the part begins behind its end.
    RejectedError
        The part is larger than the limit.
    """
    about = os.fstat(found)
    if not stat.S_ISREG(about.st_mode):
        raise no_file(path, about.st_mode)
    kept = _Kept(path, limit)
    if extract.tail:
        _read_tail(found, about.st_size, extract.tail, kept)
    elif extract.lines is not None:
        _read_lines(found, extract.lines, kept)
    else:
        if extract.offset > about.st_size:
            raise _behind(path, f"{about.st_size:,} bytes", f"offset is {extract.offset:,}")
        os.lseek(found, extract.offset, os.SEEK_SET)
        _read_bytes(found, extract.length, kept)
    return kept.data


class _Kept:
    """Pieces of a part, which together do not exceed the limit."""

    def __init__(self, path: str, limit: int) -> None:
        self.path, self._limit = path, limit
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes, *, spare: int = 0) -> None:
        """Keep a piece; surplus bytes may be cut off later."""
        self._pieces.append(piece)
        self.size += len(piece)
        self._check(spare)

    def _check(self, spare: int = 0) -> None:
        if self._limit and self.size > self._limit + spare:
            raise RejectedError(
                f"the part of {shown(self.path)} has more than {self._limit:,} bytes",
                service="files",
                hint="name a smaller part; AGENTNB_FILE_SIZE sets the limit",
            )

    def cut(self, start: int) -> None:
        """Keep the bytes from a position on."""
        self._pieces = [self.data[start:]]
        self.size = len(self._pieces[0])
        self._check()

    def reverse(self) -> None:
        """Put the pieces in the reverse order."""
        self._pieces.reverse()

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)


def _behind(path: str, has: str, limit: str) -> UsageError:
    return UsageError(
        f"{shown(path)} has {has}; {limit}",
        service="files",
        hint="files.read_file(PATH) reads the whole file",
    )


def _read_bytes(found: int, length: int | None, kept: _Kept) -> None:
    left = length
    while left is None or left:
        piece = os.read(found, _PIECE if left is None else min(left, _PIECE))
        if not piece:
            return
        kept.add(piece)
        left = None if left is None else left - len(piece)


def _read_lines(found: int, lines: tuple[int, int | None], kept: _Kept) -> None:
    first, last = lines
    line, end = 1, b"\n"
    while piece := os.read(found, _PIECE):
        ends, end = piece.count(b"\n"), piece[-1:]
        if line + ends >= first:
            start = _after(piece, max(0, first - line))
            limit = None if last is None else last - line + 1
            cut = limit is not None and ends >= limit
            kept.add(piece[start : _after(piece, limit) if cut and limit else len(piece)])
            if cut:
                return
        line += ends
    if first > 1 and not kept.size:
        count = line - (end == b"\n")
        raise _behind(kept.path, f"{count:,} lines", f"the first of lines is {first:,}")


def _after(piece: bytes, count: int) -> int:
    """Return the position after a number of line ends."""
    start = 0
    for _ in range(count):
        start = piece.index(b"\n", start) + 1
    return start


def _read_tail(found: int, size: int, count: int, kept: _Kept) -> None:
    at, ends = size, 0
    while at and ends <= count:  # one more than there are lines: the last may have an end
        start = max(0, at - _PIECE)
        piece = os.pread(found, at - start, start)
        kept.add(piece, spare=_PIECE)
        ends += piece.count(b"\n")
        at = start
    kept.reverse()
    data = kept.data
    end = len(data) - data.endswith(b"\n")
    for _ in range(count):
        end = data.rfind(b"\n", 0, end)
        if end < 0:
            break
    kept.cut(end + 1)


def text_of_extract(data: bytes, path: str, encoding: str, extract: Extract) -> str:
    """Return a part of a file as text.

    Raises
    ------
    UsageError
        It begins or ends inside of a character, its encoding has no lines that can be found
        without reading the whole file, or it is no text of this encoding.
    """
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError as error:
        raise UsageError(
            f"there is no encoding {encoding!r}",
            service="files",
            hint="encoding='utf-8', or None for bytes",
        ) from error
    if not extract.is_bytes:
        if encoding.lower().replace("_", "-") != "utf-8-sig" and not _has_plain_lines(encoding):
            raise UsageError(
                f"lines cannot be found in {encoding} without reading the whole file",
                service="files",
                hint=f"hub.files.read_file({shown(path)!r}, encoding={encoding!r})",
            )
        return text_of(data, path, encoding)
    is_utf8 = codecs.lookup(encoding).name == "utf-8"
    # Bytes that continue a character, of which there are three at most.
    inside = len(data[:3]) - len(data[:3].lstrip(_CONTINUING))
    if is_utf8 and inside and extract.offset:
        raise _inside(path, extract.offset, f"offset={extract.offset + inside}")
    try:
        decoder.decode(data)
    except UnicodeDecodeError:
        return text_of(data, path, encoding)  # raises an error that says where
    pending = len(decoder.getstate()[0])
    if pending and extract.length is not None and len(data) == extract.length:
        rest = len(data) - pending
        hint = f"length={rest}" if rest else f"length={extract.length + 4}"
        raise _inside(path, extract.offset + len(data), hint)
    return text_of(data, path, encoding)


def _has_plain_lines(encoding: str) -> bool:
    encode: Callable[[str], bytes] = "\n".encode
    return encode(encoding) == b"\n"


def _inside(path: str, at: int, better: str) -> UsageError:
    return UsageError(
        f"byte {at:,} of {shown(path)} lies inside of a character",
        service="files",
        hint=f"{better}, or encoding=None for the bytes",
    )
