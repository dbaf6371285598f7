"""Files into and out of containers, without a mount."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.roots import refuse_outside
from agentnb.core.errors import (
    FileNotFound,
    RejectedError,
    UsageError,
    did_you_mean,
)
from agentnb.core.ranges import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["LARGEST", "archive_of", "encoded", "files_in", "host_file", "work_folder"]

LARGEST = 64 * 1024**2
"""Bytes that are taken out of a container unless told otherwise."""

_MODE = 0o666
_ROOM = 65_536
_EVERYBODYS = 0o777
_BLOCK = 512
_LOOK = 1_000


def archive_of(files: Mapping[str, Any], roots: Sequence[Path] = ()) -> bytes:
    """Return files as a tar archive.

    Parameters
    ----------
    files
        By their paths below the folder: text, bytes, or a `pathlib.Path` to read.
    roots
        The folders that such a path must be in, links followed; none for anywhere.

    Raises
    ------
    OptionRefused
        A file of the host's that is somewhere else.
    UsageError
        A path that leads out, or something else than files.
    NotFoundError
        There is no such file on the host.
    RejectedError
        A file of the host's may not be read.
    """
    if not isinstance(files, Mapping):
        raise UsageError(
            f"files are a dictionary, not {type(files).__name__}",
            service="docker",
            hint='{"main.py": "print(1)"}: text, bytes or a Path by the path inside',
        )
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for folder in sorted({one for path in files for one in _above(_inside(path))}):
            archive.addfile(_folder(folder))
        for path, content in files.items():
            data, mode = _content(path, content, roots)
            info = tarfile.TarInfo(_inside(path))
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def work_folder(name: str) -> bytes:
    """Return an archive of a folder that every user may write to."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(_folder(name))
    return made.getvalue()


def files_in(chunks: Iterable[bytes], limit: int) -> dict[str, bytes]:
    """Return the files of an archive that a container sent; it is not trusted.

    Links, devices and the like are left out, and nothing is written anywhere.

    Raises
    ------
    RejectedError
        There are more bytes than the limit, or it is no archive.
    """
    found: dict[str, bytes] = {}
    source = _Chunks(iter(chunks), limit + _ROOM)
    try:
        # A stream: the archive is never in memory as a whole.
        with tarfile.open(fileobj=source, mode="r|") as archive:
            size_so_far = 0
            for member in archive:
                size_so_far += member.size + _BLOCK
                if size_so_far > limit + _ROOM:
                    raise _too_much(limit)
                if member.isreg() and (file := archive.extractfile(member)) is not None:
                    found[member.name] = file.read()
    except tarfile.TarError as error:
        raise RejectedError(
            f"the container sent a malformed archive: {error}",
            service="docker",
            hint="try again; if it fails again, read the file by exec: cat PATH",
        ) from error
    return found


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a file to read."""

    def __init__(self, chunks: Iterator[bytes], limit: int) -> None:
        self._chunks, self._rest = chunks, b""
        self._room, self._limit = limit * 2, limit

    def read(self, size: int = -1, /) -> bytes:
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
            self._room -= len(chunk)
            if self._room < 0:
                raise _too_much(self._limit)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


def _too_much(limit: int) -> RejectedError:
    return RejectedError(
        f"there is more to take out than {limit:,} bytes",
        service="docker",
        hint="name a smaller part, or give a higher limit=",
    )


def _inside(path: str) -> str:
    name = text("a path in files", str(path), service="docker", hint="such as src/main.py")
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise UsageError(
            f"{name!r} is not a path below the folder", service="docker", hint="such as src/main.py"
        )
    return posixpath.normpath(name)


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _folder(path: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = tarfile.DIRTYPE, _EVERYBODYS
    return info


def _content(path: str, content: Any, roots: Sequence[Path]) -> tuple[bytes, int]:
    if isinstance(content, str):
        return encoded(f"files[{path!r:.60}]", content), _MODE
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content), _MODE
    if isinstance(content, Path):
        return host_file("files", content, roots)
    raise UsageError(
        f"{path!r} is of type {type(content).__name__}",
        service="docker",
        hint="text, bytes or a pathlib.Path",
    )


def encoded(name: str, content: str) -> bytes:
    """Return a text in UTF-8.

    Raises
    ------
    UsageError
        It holds half a character.
    """
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{name} holds half a character", service="docker", hint="give it as bytes"
        ) from error


def host_file(option: str, path: Path, roots: Sequence[Path]) -> tuple[bytes, int]:
    """Return the content of a file of the host, and the mode of its copy.

    Parameters
    ----------
    option
        The option that names it.
    path
        The file.
    roots
        The folders that it must be in, links followed; none for anywhere.

    Raises
    ------
    OptionRefused
        It is somewhere else, or hidden.
    NotFoundError
        There is no such file.
    UsageError
        It is a folder, a pipe, a device or the like.
    RejectedError
        It may not be read.
    """
    text(option, str(path), service="docker", hint="the path of a file")
    real = path.resolve()
    refuse_outside(option, path, real, roots)
    try:
        # A pipe that nobody writes to would block.
        with open(path, "rb", opener=_without_waiting) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise _no_file(path)
            return file.read(), _MODE | (stat.S_IMODE(mode) & 0o111)
    except FileNotFoundError as error:
        raise FileNotFound(
            f"there is no file {str(path)!r}",
            service="docker",
            hint=did_you_mean(path.name, _beside(path)) or f"relative paths begin at {Path.cwd()}",
        ) from error
    except IsADirectoryError as error:
        raise _no_file(path) from error
    except OSError as error:
        raise RejectedError(
            f"{str(path)!r} cannot be read: {error.strerror}",
            service="docker",
            hint="give what is in it: files={'main.py': TEXT}",
        ) from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _beside(path: Path) -> list[str]:
    try:
        return [one.name for one in islice(path.parent.iterdir(), _LOOK)]
    except OSError:
        return []


def _no_file(path: Path) -> UsageError:
    if path.is_dir():
        what = "a folder"
        build = "hub.docker.build_image(FOLDER, TAG) (%docker build FOLDER -t TAG)"
        hint = f"name the files in it, or build an image of it: {build}"
    else:
        what, hint = "not a regular file", "give what is in it: files={'main.py': TEXT}"
    return UsageError(f"{str(path)!r} is {what}", service="docker", hint=hint)
