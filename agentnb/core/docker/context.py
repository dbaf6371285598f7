"""The context of a build: the files of a folder, with links as links."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from agentnb.core.docker.ignore import IgnoreList, parse
from agentnb.core.docker.roots import refuse_outside
from agentnb.core.errors import (
    AgentnbError,
    BuildFailed,
    ConfigError,
    FileNotFound,
    NotFoundError,
    UsageError,
)
from agentnb.core.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Dockerfile", "dockerfile_of", "ignored", "pack", "place_of"]

LARGEST = 2 * 1024**3
"""Bytes of a context; more is nearly always a folder that belongs into .dockerignore."""

DOCKERFILE = "Dockerfile"
IGNORE = ".dockerignore"
_LONGEST_NAME = 255
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
        It is somewhere else, or hidden: what a build takes in, containers can read.
    """
    path = expand(context, service="docker")
    try:
        path.is_dir()
    except OSError as error:
        raise UsageError(
            f"{context!s:.100}... is no folder: {error.strerror}",
            service="docker",
            hint="name a folder that exists",
        ) from error
    if not path.is_dir() and workspace is not None and (workspace / path).is_dir():
        path = workspace / path
    if not path.is_dir():
        raise FileNotFound(
            f"there is no folder {str(context)!r} to build in",
            service="docker",
            hint="a folder with a Dockerfile, from the working directory or from the workspace",
        )
    real = path.resolve()
    refuse_outside("context", context, real, roots)
    return real


class Dockerfile(NamedTuple):
    """The Dockerfile of a build.

    Parameters
    ----------
    name
        Its path in the context.
    data
        Its bytes: those that are checked are those that are sent.
    beside
        Whether the Dockerfile is sent beside the folder's files.
    """

    name: str
    data: bytes
    beside: bool

    @property
    def text(self) -> str:
        """Its text; bytes that are no UTF-8 are kept as surrogates."""
        return self.data.decode("utf-8", "surrogateescape")


def dockerfile_of(folder: Path | None, text: str | None, name: str | None) -> Dockerfile:
    """Return the Dockerfile of a build.

    Parameters
    ----------
    folder
        The folder that is sent; None for no files.
    text
        The text of the Dockerfile; None to take that of the folder.
    name
        The path of the folder's Dockerfile.

    Raises
    ------
    NotFoundError
        There is no Dockerfile.
    BuildFailed
        It is a link that leads out of the folder.
    """
    if text is not None:
        data = text.encode()
        return Dockerfile(_aside(data) if folder else DOCKERFILE, data, beside=folder is not None)
    name = posixpath.normpath(name or DOCKERFILE)
    if max(map(len, os.fsencode(name).split(b"/"))) > _LONGEST_NAME:
        raise _no_dockerfile(Path(folder or ""), f"{name[:80]}…")
    if folder is None:
        raise UsageError(
            "a build needs a folder or a Dockerfile",
            service="docker",
            hint="build_image('FOLDER', TAG), or build_image(None, TAG, text='FROM ...')",
        )
    data, linked = _read_inside(folder, name)
    return Dockerfile(_aside(data) if linked else name, data, beside=linked)


def _aside(data: bytes) -> str:
    """Return a name that is none of the folder's, and the same for the same Dockerfile."""
    return f".dockerfile.{hashlib.sha256(data).hexdigest()[:20]}"


def _read_inside(folder: Path, name: str) -> tuple[bytes, bool]:
    """Return the bytes of a file below a folder, and whether a link was followed, inside of it."""
    path, linked = name, False
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        if (folder / name).is_symlink() and ".." not in name.split("/"):
            raise BuildFailed(
                f"{name} is a link that leads out of {folder}",
                service="docker",
                hint="copy the file into the folder",
            )
        raise _no_dockerfile(folder, name)
    for _ in range(2):
        try:
            return _read_beneath(folder, path), linked
        except OSError as error:
            real = (folder / name).resolve()
            if linked or not real.is_relative_to(folder.resolve()) or not real.is_file():
                raise _no_dockerfile(folder, name) from error
            path, linked = real.relative_to(folder.resolve()).as_posix(), True
    raise _no_dockerfile(folder, name)


def _no_dockerfile(folder: Path, name: str) -> NotFoundError:
    return FileNotFound(
        f"there is no {name} in {folder}",
        service="docker",
        hint="write it there, or give it as text= (%%docker build -t TAG takes it from the cell)",
    )


def _read_beneath(folder: Path, path: str) -> bytes:
    """Return the bytes of a file, by the descriptors of its folders: no link is followed."""
    *parents, last = path.split("/")
    with ExitStack() as opened:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        opened.callback(os.close, at)
        for parent in parents:
            at = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            opened.callback(os.close, at)
        descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(path)
            return file.read()


def ignored(folder: Path, dockerfile: str, *, modern: bool) -> IgnoreList:
    """Return the files that a build of a folder ignores.

    Parameters
    ----------
    folder
        The folder of ``.dockerignore``; a list named after the Dockerfile, such as
        ``Dockerfile.dockerignore``, wins over it.
    dockerfile
        The path of the Dockerfile.
    modern
        Whether the engine is of version 23 or newer.

    Raises
    ------
    ConfigError
        A line that is no pattern, or a list that cannot be read.
    """
    for name in (f"{dockerfile}.dockerignore", IGNORE):
        if not os.path.lexists(folder / name):
            continue
        try:
            data, _ = _read_inside(folder, name)
        except AgentnbError as error:
            raise ConfigError(
                f"{name} cannot be read: it is a link that leads out of {folder}, or no file",
                service="docker",
                hint="make it a file: what it leaves out must not depend on something else",
            ) from error
        return parse(data, name, modern=modern)
    return IgnoreList()


def pack(
    folder: Path | None,
    dockerfile: Dockerfile | None,
    left_out: IgnoreList | None = None,
    hidden: str | None = None,
) -> IO[bytes]:
    """Return the files of a build as a tar archive, in memory or, if they are many, on disk.

    Parameters
    ----------
    folder
        The folder; None for no files.
    dockerfile
        The Dockerfile, which is sent with its list even if both are left out, as the engine's own
        builder wants them; None where they are given to the build by themselves.
    left_out
        Which files are not sent.
    hidden
        A folder that is never sent: the home, if it is below.

    Raises
    ------
    UsageError
        There is too much.
    """
    made: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - the caller closes it
    try:
        with tarfile.open(fileobj=made, mode="w") as archive:
            given = {} if dockerfile is None else _given(folder, dockerfile)
            if folder is not None:
                _add_files(archive, folder, left_out or IgnoreList(), given, hidden)
            for name, data in given.items():
                _add_bytes(archive, tarfile.TarInfo(name), data)
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return made


def _given(folder: Path | None, dockerfile: Dockerfile) -> dict[str, bytes]:
    """Return the files whose bytes are known already."""
    given = {dockerfile.name: dockerfile.data}
    if folder is not None and dockerfile.beside:
        # As docker does it, so that no step finds the Dockerfile among the files.
        try:
            own, _ = _read_inside(folder, IGNORE)
        except AgentnbError:
            own = IGNORE.encode()
        given[IGNORE] = own + f"\n{dockerfile.name}\n".encode()
    return given


def _add_files(
    archive: tarfile.TarFile,
    folder: Path,
    left_out: IgnoreList,
    given: dict[str, bytes],
    hidden: str | None,
) -> None:
    """Add the folder's files, by the descriptors of their folders: no link is ever followed."""
    # As docker has it, the Dockerfile and the list itself are always sent; the engine drops them.
    kept = left_out.keeping(IGNORE, *given) if given else left_out
    size = 0
    for path, entry, parent in _each(folder, kept, hidden):
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
        if path in given:
            info.type, info.linkname = tarfile.REGTYPE, ""
            _add_bytes(archive, info, given.pop(path))
        elif info.isreg():
            _add_file(archive, info, entry, parent)
        else:
            archive.addfile(info)


def _each(folder: Path, left_out: IgnoreList, hidden: str | None) -> Iterator[tuple[str, str, int]]:
    """Yield path, name and the descriptor of its folder, for all that is not left out."""
    passed = {"": left_out.top}
    for at, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        below = Path(at).relative_to(folder).as_posix()
        below = "" if below == "." else f"{below}/"
        above = passed.pop(below)
        entered = []
        for name in sorted([*folders, *files]):
            path = below + name
            if path == hidden:
                continue
            out, matches = left_out.judge(path, above)
            if not out:
                yield path, name, descriptor
            if name in folders and (not out or left_out.may_keep_below(path)):
                entered.append(name)
                passed[f"{path}/"] = matches
        folders[:] = entered  # what is left out as a whole is not even looked at


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
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError as error:
        raise ConfigError(
            f"{info.name} cannot be read: {error.strerror}",
            service="docker",
            hint="name it in .dockerignore if the build does not need it",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return
        info.size = found.st_size
        archive.addfile(info, _Exactly(file, info.size))


class _Exactly(io.RawIOBase):
    """A file of a fixed length, even if it changes while it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1, /) -> bytes:
        count = self._left if size < 0 else min(size, self._left)
        data = self._file.read(count)
        self._left -= count
        return data + bytes(count - len(data))


def _add_bytes(archive: tarfile.TarFile, info: tarfile.TarInfo, data: bytes) -> None:
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
