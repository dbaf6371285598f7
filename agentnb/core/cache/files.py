"""Large values as files of the home, named by their content, within a number of bytes."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.format import size as size_text
from agentnb.core.paths import ensure_home

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pointer", "ValueFiles"]

_SHARE = 4
_NAME = re.compile(r"[0-9a-f]{64}")
_DIGEST_BYTES, _SIZE_BYTES, _HEAD_BYTES = 32, 8, 256
_SUMMED = 1 << 63  # in the size: sums follow it
_WORDS = 512  # in a block, 4 kB
_ABANDONED_SECONDS = 3600
_REMEMBERED = 1000
_USED_SECONDS = 60  # how exactly the time of the last use is known
# A pipe does not block, and a link leads nowhere.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_log = logging.getLogger("agentnb.cache")


class Pointer(NamedTuple):
    """Stands for a value in a file.

    Parameters
    ----------
    digest, size, head
        The digest of its bytes, their number, and the first ones.
    sums
        Their sums, which are compared sooner than the digest; empty where there are none.
    """

    digest: bytes
    size: int
    head: bytes
    sums: bytes = b""

    def write(self) -> bytes:
        """Return the pointer as bytes.

        >>> Pointer.read(Pointer(b"d" * 32, 7, b"head").write()).size
        7
        >>> Pointer.read(Pointer(b"d" * 32, 7, b"head", b"s" * 32).write())[1:]
        (7, b'head', b'ssssssssssssssssssssssssssssssss')
        """
        size = self.size | (_SUMMED if self.sums else 0)
        return self.digest + size.to_bytes(_SIZE_BYTES) + self.sums + self.head

    @classmethod
    def read(cls, data: bytes) -> Pointer:
        """Return the pointer of bytes."""
        start = _DIGEST_BYTES + _SIZE_BYTES
        size = int.from_bytes(data[_DIGEST_BYTES:start])
        head = start + (_DIGEST_BYTES if size & _SUMMED else 0)
        return cls(
            data[:_DIGEST_BYTES],
            size & ~_SUMMED,
            data[head : head + _HEAD_BYTES],
            data[start:head],
        )


class ValueFiles:
    """The values of a home that are too large for its server's memory.

    A file is named by the digest of its content, and written as a whole. When room is needed,
    the files go that were not used for longest; a value whose file is gone, or has other bytes,
    counts as missing. A file is compared with its sums, or with its digest where there is no
    numpy, when a process reads it first, and again when it may have been changed since.

    Parameters
    ----------
    folder
        Where they are; made when the first one is written.
    limit
        Bytes that all of them may take.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = ValueFiles(pathlib.Path(folder) / "values", limit=10_000_000)
    ...     pointer = files.put(b"x" * 2_000_000)
    ...     len(files.get(pointer)), files.used
    (2000000, 2000000)
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._failed = False
        self._compared: dict[bytes, tuple[int, ...]] = {}

    @property
    def used(self) -> int:
        """The bytes that all files take."""
        return sum(size for _, _, size in self._all())

    def put(self, data: bytes) -> Pointer | None:
        """Write a value, and return what stands for it; None where no file can be written.

        Raises
        ------
        UsageError
            It takes more than a quarter of the bytes that all files may take.
        """
        size = len(data)
        if size > self._limit // _SHARE:
            raise UsageError(
                f"the value takes {size_text(size)}; the cache keeps "
                f"{size_text(self._limit // _SHARE)} of one at most",
                service="cache",
                hint=f"raise AGENTNB_CACHE_BYTES, which is {size_text(self._limit)}, or cache its "
                "parts",
            )
        digest = hashlib.sha256(data)
        path = self._folder / digest.hexdigest()
        try:
            if not _touch(path, size):
                self._make_room(size)
                self._write(path, data)
        except (OSError, AgentnbError) as error:
            if not self._failed:
                self._failed = True
                _log.warning("large values are kept in the server's memory: %s", error)
            return None
        self._failed = False
        return Pointer(digest.digest(), size, data[:_HEAD_BYTES], _sums(data))

    def get(self, pointer: Pointer, make: Callable[[int], Any] = bytearray) -> Any:
        """Return the value that a pointer stands for, in a buffer.

        Parameters
        ----------
        pointer
            The pointer.
        make
            Returns a buffer for a number of bytes.

        Raises
        ------
        ClassMissingError
            Its file is gone, or is another's.
        """
        path = self._folder / pointer.digest.hex()
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as error:
            if path.is_symlink():
                raise self._damaged(path) from error
            raise ClassMissingError("its file", f"is gone ({type(error).__name__})") from error
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size != pointer.size:
            os.close(descriptor)
            raise self._damaged(path)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - it is open already
            data = make(pointer.size)
            try:
                read = _fill(file, memoryview(data).cast("B"))
            except OSError as error:
                raise self._damaged(path) from error
        state = (about.st_ino, about.st_ctime_ns, about.st_mtime_ns)
        if read != pointer.size or (
            self._compared.get(pointer.digest) != state and not _is_whole(data, pointer)
        ):
            raise self._damaged(path)
        if len(self._compared) > _REMEMBERED:
            self._compared.clear()
        self._compared[pointer.digest] = state
        if time.time() - about.st_mtime > _USED_SECONDS:
            with suppress(OSError):
                os.utime(path)
        return data

    def _damaged(self, path: Path) -> ClassMissingError:
        """Remove what is not the value, so that it is written anew; return the error."""
        with suppress(OSError):
            path.unlink()
        return ClassMissingError("its file", "is damaged")

    def _write(self, path: Path, data: bytes) -> None:
        ensure_home(self._folder.parent)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        aside = path.with_name(f"{os.getpid()}.{secrets.token_hex(6)}.part")
        try:
            with aside.open("xb") as file:
                file.write(data)
            aside.replace(path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _all(self) -> list[tuple[float, str, int]]:
        """Return when each file was used last, its name and its size."""
        found = []
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if _NAME.fullmatch(entry.name):
                        found.append((about.st_mtime, entry.name, about.st_size))
                    elif time.time() - about.st_mtime > _ABANDONED_SECONDS:
                        Path(entry.path).unlink()  # of a process that was killed while it wrote
        return found

    def _make_room(self, size: int) -> None:
        """Remove the files that were not used for longest, until there is room for one."""
        found = self._all()
        total = sum(one for _, _, one in found) + size
        for _, name, one in sorted(found):
            if total <= self._limit:
                return
            with suppress(OSError):
                (self._folder / name).unlink()
            total -= one


def _is_whole(data: Any, pointer: Pointer) -> bool:
    """Return whether a buffer has the bytes that a pointer stands for."""
    sums = _sums(data) if pointer.sums else b""
    if sums:
        return sums == pointer.sums
    return hashlib.sha256(data).digest() == pointer.digest


def _sums(data: Any) -> bytes:
    """Return a digest of the sums of each block of some bytes; empty without numpy.

    It takes a thirtieth of the time of a digest of the bytes themselves, and tells a byte that
    was changed and blocks that were lost, torn or moved. Only the owner of the home could forge it.
    """
    if "numpy" not in sys.modules:
        return b""
    import numpy as np

    blocks = len(view := memoryview(data).cast("B")) // (8 * _WORDS)
    words = np.frombuffer(view, "<u8", blocks * _WORDS).reshape(blocks, _WORDS)
    digest = hashlib.sha256(view[blocks * 8 * _WORDS :])
    digest.update(words.sum(axis=1).tobytes())
    return digest.digest()


def _fill(file: Any, view: memoryview) -> int:
    """Read a file into a buffer, in as many parts as the system makes; return their size."""
    read = 0
    while read < len(view) and (size := file.readinto(view[read:])):
        read += size
    return read


def _touch(path: Path, size: int) -> bool:
    """Note that a file is used; return whether it is there as a whole."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size != size:
            return False
        os.utime(path)
    except OSError:
        return False
    return True
