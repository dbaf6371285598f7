"""Errors of the operating system, as errors with hints."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from agentnb.core.errors import (
    AgentnbError,
    FileExists,
    FileNotFound,
    IsADirectory,
    NotADirectory,
    PathEscape,
    PermissionDenied,
    RejectedError,
    UnavailableError,
    UsageError,
    did_you_mean,
)
from agentnb.core.files.confinement import FOLDER, Confined, Outside
from agentnb.core.files.names import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["kind_of", "named", "no_file", "similar", "target_of", "translated"]

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ETXTBSY, errno.EXDEV, errno.EBUSY}
_LIST = "hub.files.list(FOLDER) (%files ls FOLDER) lists its files"
_WRONG: dict[int, type[UsageError]] = {
    errno.EISDIR: IsADirectory,
    errno.ENOTDIR: NotADirectory,
    errno.EEXIST: FileExists,
}
_NEAR, _ALIKE = 200, 10_000


def kind_of(mode: int) -> str:
    """Return the kind of a mode: ``file``, ``folder``, ``link``, ``FIFO``, ``socket``, ``device``.

    >>> kind_of(0o100644), kind_of(0o040755)
    ('file', 'folder')
    """
    return _KINDS.get(stat.S_IFMT(mode), "special file")


def no_file(path: str, mode: int) -> UsageError:
    """Return the error for an object that is no regular file."""
    kind = kind_of(mode)
    hint = "only regular files are opened"
    if kind == "folder":
        hint = f"hub.files.list({shown(path)!r}) (%files ls {shown(path)}) shows what is in it"
    wrong = IsADirectory if kind == "folder" else UsageError
    return wrong(f"{shown(path)} is a {kind}, not a file", service="files", hint=hint)


E = TypeVar("E", bound=AgentnbError)


def named(error: E, path: str) -> E:
    """Return an error with the path as its ``filename``, if it is one of Python's as well.

    >>> named(FileNotFound("there is no a.txt", service="files"), "a.txt").filename
    'a.txt'
    """
    if isinstance(error, OSError) and error.filename is None:
        error.filename = path
    return error


def translated(
    error: OSError, path: str, *, near: str | None = None, target: str | None = None
) -> AgentnbError:
    """Return the error for one of the operating system; raise it from the original.

    Those of a file are Python's as well, such as a ``FileNotFoundError``.

    Parameters
    ----------
    error
        The error of the operating system.
    path
        The path that was asked for.
    near
        A hint with a name that is nearly the same, if there is one.
    target
        Where the path's last name leads, if it is a link to nothing.
    """
    made = named(_translated(error, path, near, target), path)
    if isinstance(made, PermissionDenied):
        made.errno = error.errno or errno.EACCES
    return made


def _translated(error: OSError, path: str, near: str | None, target: str | None) -> AgentnbError:
    name, code = shown(path), error.errno
    if isinstance(error, Outside):
        return PathEscape(
            f"{name} leads out of the workspace",
            service="files",
            hint="paths are relative to the workspace; links are followed while they stay inside",
        )
    if code in _FULL:
        return RejectedError(
            f"the disk is full: {name} was not written",
            service="files",
            hint="free some room and call again; what was there before is still there",
        )
    if code in _REFUSED:
        refused = PermissionDenied if isinstance(error, PermissionError) else RejectedError
        return refused(
            f"{name}: {error.strerror}",
            service="files",
            hint="make it writable for this user, or name another path",
        )
    usage = {
        errno.ENOTDIR: f"{name} is not a folder, or a name on the way to it is none",
        errno.EISDIR: f"{name} is a folder",
        errno.ELOOP: f"{name}: links that lead to each other",
        errno.ENAMETOOLONG: f"{name[:80]}…: the name is too long; a name has 255 bytes at most",
        errno.EINVAL: f"{name}: {error.strerror}",
        errno.EEXIST: f"{name} exists already",
        errno.ENOTEMPTY: f"{name} is a folder that is not empty",
        errno.ENXIO: f"{name} is a FIFO, a socket or a device, not a file",
        errno.EILSEQ: f"{name}: a name that this file system cannot write",
    }
    if code == errno.ENOENT and target is not None:
        return FileNotFound(
            f"{name} is a link to {shown(target)}, which does not exist",
            service="files",
            hint=f"hub.files.delete({name!r}) (%files rm {name}) removes the link; "
            "write_file writes what it leads to",
        )
    if code == errno.ENOENT:
        return FileNotFound(f"there is no {name}", service="files", hint=near or _LIST)
    if code in usage:
        return _WRONG.get(code, UsageError)(usage[code], service="files", hint=near or _LIST)
    return UnavailableError(
        f"{name}: {error.strerror or error}",
        service="files",
        hint="try again; hub.files.list(FOLDER) (%files ls) shows the folder",
    )


def similar(resolver: Confined, root: int, parts: Sequence[str]) -> str | None:
    """Return a hint with the name in the same folder that is nearest to a missing one.

    One that looks the same is written in ASCII: with another space, or an accent that is a
    character of its own, as macOS has them.
    """
    if not parts:
        return None
    missing = parts[-1]
    with suppress(OSError, PathEscape):
        folder = resolver.open(root, parts[:-1], FOLDER & ~getattr(os, "O_PATH", 0))
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry, _ in zip(entries, range(_ALIKE), strict=False)]
        finally:
            os.close(folder)
        names = [name for name in names if resolver.hidden.find([name]) is None]
        alike = [name for name in names if _look(name) == _look(missing) and name != missing]
        if alike and not alike[0].isascii():
            return f"did you mean {alike[0]!a}? it looks the same"
        return did_you_mean(missing, [name for name in names if name.isprintable()][:_NEAR])
    return None


def _look(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def target_of(resolver: Confined, root: int, parts: Sequence[str]) -> str | None:
    """Return where a link leads, or None where the path names no link."""
    if not parts or parts[-1] == "..":
        return None
    with suppress(OSError, PathEscape):
        folder = resolver.open(root, parts[:-1], FOLDER)
        try:
            return os.readlink(parts[-1], dir_fd=folder)
        finally:
            os.close(folder)
    return None
