"""Removal of trees, and of the unfinished files of dead writers."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from agentnb.core.errors import PathEscape, RejectedError, UsageError
from agentnb.core.files.names import is_temporary, shown, temporary
from agentnb.core.files.renaming import rename_new
from agentnb.core.files.walking import READ_FOLDER, WalkEntry, entries, walk

if TYPE_CHECKING:
    from agentnb.core.hidden import Hidden

__all__ = ["refuse_protected", "remove", "remove_empty", "sweep"]

_LIFT_AT = 64
# A pass takes so many folders off the depth, and others may add what they like meanwhile.
_PASSES = 1000
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}


def refuse_protected(folder: int, name: str, path: str, hidden: Hidden) -> None:
    """Refuse to remove a folder with something hidden in it, such as ``.git``, or read-only.

    Raises
    ------
    PathEscape
        Something in it is hidden.
    RejectedError
        A file in it is read-only.
    """
    try:
        top = os.open(name, READ_FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError:
        return  # removing it says why
    try:
        for found in walk(top):
            if hidden.hides(found.name, found.stat):
                raise PathEscape(
                    f"{shown(path)} holds {shown(found.path)}, which is not part of the "
                    "workspace; nothing was removed",
                    service="files",
                    hint=f"remove it in a terminal, if that is meant: rm -r {shown(path)}",
                )
            if found.is_file and not found.stat.st_mode & 0o222:
                raise RejectedError(
                    f"{shown(path)} holds {shown(found.path)}, which is read-only; "
                    "nothing was removed",
                    service="files",
                    hint=f"if it may be removed: chmod -R u+w {shown(path)}",
                )
    finally:
        os.close(top)


def remove(folder: int, name: str) -> int:
    """Remove an entry of an open folder, and return the number of files and folders removed.

    A link is removed, never its target. A folder disappears at once, under a name that
    is swept if this process dies, and is back if something in it cannot be removed.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return 1
    aside = temporary()
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    try:
        return _remove_aside(folder, aside)
    except OSError:
        with contextlib.suppress(OSError):
            rename_new(folder, aside, folder, name)
        raise


def _remove_aside(folder: int, aside: str) -> int:
    """Remove a tree under its temporary name."""
    try:
        top = os.open(aside, READ_FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        os.unlink(aside, dir_fd=folder)  # what was moved aside is not what was looked at
        return 1
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(top, fcntl.LOCK_EX | fcntl.LOCK_NB)
        count = 0
        for _ in range(_PASSES):
            count += _empty(top, top, 0)
            try:
                os.rmdir(aside, dir_fd=folder)
            except FileNotFoundError:
                return count + 1  # a sweeper has been here
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
            else:
                return count + 1
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
    finally:
        os.close(top)


def _empty(folder: int, top: int, depth: int) -> int:
    """Remove everything in an open folder; entries that lie too deep are moved to the top first."""
    count = 0
    mount = _mount(folder)
    for found in entries(folder, temporary=True):
        with contextlib.suppress(FileNotFoundError):  # somebody else removes it too
            if not found.is_folder:
                os.unlink(found.name, dir_fd=folder)
            elif depth >= _LIFT_AT:
                os.rename(found.name, temporary(), src_dir_fd=folder, dst_dir_fd=top)
                continue
            else:
                count += _remove_inner(found, top, mount, depth)
            count += 1
    return count


def _mount(folder: int) -> object:
    """Return the id of a mounted file system, where the system has one."""
    try:
        with open(f"/proc/self/fdinfo/{folder}", encoding="ascii") as lines:  # noqa: PTH123 - half the time
            return next(line for line in lines if line.startswith("mnt_id:"))
    except (OSError, StopIteration):
        return os.fstat(folder).st_dev


def _remove_inner(found: WalkEntry, top: int, mount: object, depth: int) -> int:
    try:
        inner = os.open(found.name, READ_FOLDER | os.O_NOFOLLOW, dir_fd=found.folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        os.unlink(found.name, dir_fd=found.folder)  # a link took its place
        return 0
    try:
        if _mount(inner) != mount:
            raise OSError(errno.EBUSY, f"{found.path} is another file system, mounted there")
        count = _empty(inner, top, depth + 1)
    finally:
        os.close(inner)
    with contextlib.suppress(OSError):  # not empty: the next pass sees to it
        os.rmdir(found.name, dir_fd=found.folder)
    return count


def remove_empty(folder: int, name: str, path: str) -> int:
    """Remove a folder that has nothing in it, and return 1.

    Raises
    ------
    UsageError
        There is something in it.
    """
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise UsageError(
            f"{shown(path)} is a folder that is not empty; nothing was removed",
            service="files",
            hint="recursive=True removes it with all that is in it",
        ) from error
    return 1


def sweep(found: WalkEntry) -> bool:
    """Remove the unfinished file of a dead writer; return whether it was removed."""
    if not is_temporary(found.name):
        return False
    if not (found.is_file or found.is_folder):
        return False
    kind = READ_FOLDER if found.is_folder else os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        left = os.open(found.name, kind | os.O_NOFOLLOW, dir_fd=found.folder)
    except OSError:
        return False
    try:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if found.is_folder:
            _empty(left, left, 0)
            os.rmdir(found.name, dir_fd=found.folder)
        else:
            os.unlink(found.name, dir_fd=found.folder)
    except OSError:
        return False  # its owner is alive, or another one sweeps
    finally:
        os.close(left)
    return True
