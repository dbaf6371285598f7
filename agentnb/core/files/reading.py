"""Reading files, and their hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Final

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.files.errors import no_file
from agentnb.core.files.names import shown

__all__ = [
    "READ",
    "bytes_of",
    "check_size",
    "first_of",
    "hash_of",
    "joined_bytes",
    "read_all",
    "text_of",
]

# A FIFO without a writer must not hold us up, nor a terminal become ours.
READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_MOST_READ: Final = 1 << 30


def read_all(found: int, path: str, limit: int) -> bytes:
    """Return the content of an open file, and close it.

    Raises
    ------
    UsageError
        It is no regular file.
    RejectedError
        It is larger than the limit, in bytes; 0 is none.
    """
    try:
        about = os.fstat(found)
        if not stat.S_ISREG(about.st_mode):
            raise no_file(path, about.st_mode)
        check_size(about.st_size, path, limit)
        first = os.read(found, about.st_size)
        more = os.read(found, 1)
        # More: it has grown, gives large files in pieces, or is one of the system's own.
        return first if not more else _rest(found, first + more, path, limit)
    finally:
        os.close(found)


def first_of(found: int, path: str, size: int) -> bytes:
    """Return the first bytes of an open file.

    Raises
    ------
    UsageError
        It is no regular file.
    """
    mode = os.fstat(found).st_mode
    if not stat.S_ISREG(mode):
        raise no_file(path, mode)
    return os.read(found, min(size, _MOST_READ))


def _rest(found: int, first: bytes, path: str, limit: int) -> bytes:
    """Read on to the end."""
    pieces, size = [first], len(first)
    while piece := os.read(found, 1 << 24):
        pieces.append(piece)
        size += len(piece)
        check_size(size, path, limit)
    return b"".join(pieces)


def check_size(size: int, path: str, limit: int) -> None:
    """Refuse a file larger than the limit.

    Raises
    ------
    RejectedError
        It is.
    """
    if limit and size > limit:
        raise RejectedError(
            f"{shown(path)} has {size:,} bytes; {limit:,} are allowed",
            service="files",
            hint="AGENTNB_FILE_SIZE sets the limit",
        )


def text_of(data: bytes, path: str, encoding: str) -> str:
    """Return bytes as text, line ends and all.

    Raises
    ------
    UsageError
        They are no text of this encoding, or there is no such encoding.
    """
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{shown(path)} is no text in {encoding}: byte {error.start:,} is "
            f"0x{data[error.start]:02x}",
            service="files",
            hint="hub.files.read_file(..., encoding=None) returns its bytes",
        ) from error
    except (LookupError, ValueError) as error:  # a name with a NUL
        raise _no_encoding(encoding) from error


def _no_encoding(encoding: str) -> UsageError:
    return UsageError(
        f"there is no encoding {encoding!r:.60}", service="files", hint="encoding='utf-8'"
    )


def bytes_of(content: object, path: str, encoding: str) -> bytes:
    """Return content as bytes.

    Raises
    ------
    UsageError
        It is neither text nor bytes, or text that cannot be encoded so.
    """
    if isinstance(content, str):
        try:
            return content.encode(encoding)
        except UnicodeEncodeError as error:
            if error.object is not content:
                raise _no_encoding(encoding) from error
            raise UsageError(
                f"the text for {shown(path)} cannot be written in {encoding}: "
                f"{content[error.start]!a} at {error.start:,}",
                service="files",
                hint="encoding='utf-8' can write every character",
            ) from error
        except (LookupError, ValueError) as error:
            raise _no_encoding(encoding) from error
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    raise UsageError(
        f"a file is written from text or bytes, not from {type(content).__name__}",
        service="files",
        hint="json.dumps(...) makes text of data",
    )


def joined_bytes(before: bytes, added: bytes, encoding: str) -> bytes:
    r"""Return an encoded text with another one behind it; a mark of the byte order stays the one.

    >>> joined_bytes("a".encode("utf-8-sig"), "b".encode("utf-8-sig"), "utf-8-sig")
    b'\xef\xbb\xbfab'
    """
    return before + added.removeprefix("".encode(encoding)) if before else added


def hash_of(content: str | bytes, encoding: str = "utf-8") -> str:
    """Return the hash that ``if_hash`` of `write_file` takes: SHA-256, in hexadecimal digits.

    >>> hash_of("hello")[:12]
    '2cf24dba5fb0'
    """
    data = content.encode(encoding) if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()
