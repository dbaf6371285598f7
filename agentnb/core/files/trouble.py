"""What the system says when it refuses, as an error that says what to do."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from agentnb.core.errors import (
    AgentnbError,
    NotFoundError,
    PathEscape,
    RejectedError,
    UnavailableError,
    UsageError,
    did_you_mean,
)
from agentnb.core.files.beneath import FOLDER, Confined, Outside
from agentnb.core.files.names import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["kind_of", "no_file", "similar", "translated"]

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
_NEAR = 200


def kind_of(mode: int) -> str:
    """Return what a mode is of: ``file``, ``folder``, ``link``, ``FIFO``, ``socket``, ``device``.

    >>> kind_of(0o100644), kind_of(0o040755)
    ('file', 'folder')
    """
    return _KINDS.get(stat.S_IFMT(mode), "special file")


def no_file(path: str, mode: int) -> UsageError:
    """Return the error for what is no regular file."""
    kind = kind_of(mode)
    hint = "only regular files are opened"
    if kind == "folder":
        hint = f"hub.files.list({shown(path)!r}) (%files ls {shown(path)}) shows what is in it"
    return UsageError(f"{shown(path)} is a {kind}, not a file", service="files", hint=hint)


def translated(error: OSError, path: str, *, near: str | None = None) -> AgentnbError:
    """Return an error of the system's as one of ours; raise it from the original.

    Parameters
    ----------
    error
        What the system raised.
    path
        The path that was asked for.
    near
        A hint with a name that is nearly the same, if there is one.
    """
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
        return RejectedError(f"{name}: {error.strerror}", service="files")
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
    if code == errno.ENOENT:
        return NotFoundError(f"there is no {name}", service="files", hint=near)
    if code in usage:
        return UsageError(usage[code], service="files")
    return UnavailableError(f"{name}: {error.strerror or error}", service="files")


def similar(resolver: Confined, root: int, parts: Sequence[str]) -> str | None:
    """Return a hint with the name in the same folder that is nearest to a missing one."""
    if not parts:
        return None
    with suppress(OSError):
        folder = resolver.open(root, parts[:-1], FOLDER & ~getattr(os, "O_PATH", 0))
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry, _ in zip(entries, range(_NEAR), strict=False)]
            names = [name for name in names if resolver.hidden.find([name]) is None]
        finally:
            os.close(folder)
        return did_you_mean(parts[-1], [name for name in names if name.isprintable()])
    return None
