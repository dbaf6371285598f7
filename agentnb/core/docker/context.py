"""What is sent to a build: the files of a folder, links as links."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from agentnb.core.errors import ConfigError, NotFoundError, OptionRefused, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["pack", "place_of"]

LARGEST = 2 * 1024**3
"""Bytes of a context; more is nearly always a folder that belongs into .dockerignore."""

DOCKERFILE = "Dockerfile"
_SPOOLED = 8 * 1024**2


def place_of(context: str | Path, roots: Sequence[Path], workspace: Path | None) -> Path:
    """Return a build's folder: from the working directory, else from the workspace.

    Parameters
    ----------
    context
        As it was given.
    roots
        The folders that it must be in, links followed; none for anywhere.
    workspace
        Where a relative path is looked for, if the working directory has no such folder.

    Raises
    ------
    NotFoundError
        There is no such folder.
    OptionRefused
        It is somewhere else: what a build takes in, containers can read.
    """
    path = Path(context).expanduser()
    try:
        path.is_dir()
    except OSError as error:
        raise UsageError(
            f"{context!s:.100}... is no folder: {error.strerror}", service="docker"
        ) from error
    if not path.is_dir() and workspace is not None and (workspace / path).is_dir():
        path = workspace / path
    if not path.is_dir():
        raise NotFoundError(
            f"there is no folder {str(context)!r} to build in",
            service="docker",
            hint="a folder with a Dockerfile, from the working directory or from the workspace",
        )
    real = path.resolve()
    if roots and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise OptionRefused(
            f"the option 'context' is refused as {str(context)!r}: it is outside of the project",
            service="docker",
            hint=f"a folder in {' or '.join(str(root) for root in roots)}",
        )
    return real


def pack(folder: Path | None, dockerfile: str | None, name: str | None) -> IO[bytes]:
    """Return the files of a build as a tar archive, in memory or, if they are many, on disk.

    Parameters
    ----------
    folder
        Whose files; None for no files.
    dockerfile
        The text of the Dockerfile; None to take that of the folder.
    name
        What the folder's Dockerfile is called.

    Raises
    ------
    NotFoundError
        There is no Dockerfile.
    UsageError
        There is too much.
    """
    made: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - the caller closes it
    try:
        with tarfile.open(fileobj=made, mode="w") as archive:
            _fill(archive, folder, dockerfile, name or DOCKERFILE)
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return made


def _fill(archive: tarfile.TarFile, folder: Path | None, dockerfile: str | None, name: str) -> None:
    names = _add_files(archive, folder, name) if folder is not None else set()
    if dockerfile is not None:
        _add_text(archive, name, dockerfile)
    elif name not in names:
        raise NotFoundError(
            f"there is no {name} in {folder}",
            service="docker",
            hint="%%docker build -t TAG takes it from the cell",
        )


def _add_files(archive: tarfile.TarFile, folder: Path, dockerfile: str) -> set[str]:
    """Add the folder's files, by the descriptors of their folders: no link is ever followed."""
    from docker.utils.build import PatternMatcher

    # As docker has it, the Dockerfile and the list itself are always sent.
    matcher = PatternMatcher([*_ignored(folder), f"!{dockerfile}", "!.dockerignore"])
    names: set[str] = set()
    size = 0
    for path, entry, parent in _each(folder):
        if matcher.matches(path):
            continue
        info = _info(path, entry, parent)
        if info is None:
            continue  # a FIFO, a socket or a device is no file
        size += info.size
        if size > LARGEST:
            raise UsageError(
                f"{folder} has more than {LARGEST:,} bytes to send",
                service="docker",
                hint="name in .dockerignore what the build does not need",
            )
        if info.isreg():
            _add_file(archive, info, entry, parent)
        else:
            archive.addfile(info)
        names.add(path)
    return names


def _each(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Yield path, name and the descriptor of its folder, for everything below a folder."""
    for at, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        below = Path(at).relative_to(folder)
        folders.sort()
        for name in sorted([*folders, *files]):
            yield (below / name).as_posix(), name, descriptor


def _info(path: str, name: str, parent: int) -> tarfile.TarInfo | None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        info = tarfile.TarInfo(path)
        info.mode = stat.S_IMODE(found.st_mode)
        info.mtime = int(found.st_mtime)
        if stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=parent)
        elif stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISREG(found.st_mode):
            info.size = found.st_size
        else:
            return None
    except FileNotFoundError:
        return None  # it went away while we looked
    return info


def _add_file(archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, parent: int) -> None:
    try:
        # Not blocking, in case it has become a FIFO; not following, in case it is a link now.
        held = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError as error:
        raise ConfigError(
            f"{info.name} cannot be read: {error.strerror}",
            service="docker",
            hint="name it in .dockerignore if the build does not need it",
        ) from error
    with os.fdopen(held, "rb") as file:
        found = os.fstat(held)
        if not stat.S_ISREG(found.st_mode):
            return
        info.size = found.st_size
        archive.addfile(info, _Exactly(file, info.size))


class _Exactly(io.RawIOBase):
    """A file as long as was said, whatever becomes of it in the meantime."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= wanted
        return data + bytes(wanted - len(data))


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _ignored(folder: Path) -> list[str]:
    path = folder / ".dockerignore"
    if path.is_symlink() or not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
