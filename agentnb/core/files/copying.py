"""Copying a file or a tree within the workspace, with links as links."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.files.calls import Call, opened
from agentnb.core.files.confinement import FOLDER, Confined
from agentnb.core.files.errors import no_file
from agentnb.core.files.names import shown
from agentnb.core.files.reading import READ, check_size
from agentnb.core.files.walking import READ_FOLDER, WalkEntry, walk
from agentnb.core.files.writing import create, keep_mode, refuse_read_only, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.hidden import Hidden

__all__ = ["Copied", "Plan", "copy_file", "copy_tree", "plan_of", "refuse_inside"]

_PIECE: Final = 1 << 20


@dataclass(slots=True)
class Copied:
    """The result of a copy.

    Parameters
    ----------
    files, folders, links
        The number of files.
    size
        Bytes of the files.
    skipped
        Paths, below the source, of what is hidden, such as ``.git``, and of what is no file,
        folder or link, such as a FIFO.
    """

    files: int = 0
    folders: int = 0
    links: int = 0
    size: int = 0
    skipped: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """The size of a copy: bytes, and the number of files."""

    size: int = 0
    count: int = 0
    missed: list[str] = field(default_factory=list)


def plan_of(source: int, path: str, hidden: Hidden, limit: int) -> Plan:
    """Measure a tree before anything is written.

    Raises
    ------
    RejectedError
        A folder in it cannot be read, or lies too deep; a file is larger than the limit.
    """
    plan = Plan()
    for found in walk(source, hidden=hidden, missed=plan.missed.append):
        plan.count += 1
        if found.is_file:
            check_size(found.stat.st_size, f"{path}/{found.path}", limit)
            plan.size += found.stat.st_size
    if plan.missed:
        raise RejectedError(
            f"{shown(plan.missed[0])} in {shown(path)} cannot be read, or lies too deep; "
            "nothing was copied",
            service="files",
            hint="make it readable, or copy the folders one by one",
        )
    return plan


def refuse_inside(resolver: Confined, to: Call, source: int, path: str) -> None:
    """Refuse to copy a folder into itself, by any path.

    Raises
    ------
    UsageError
        The destination is the source, or would lie in it.
    """
    for missing in range(len(to.parts) + 1):
        try:
            folder = resolver.open(to.root, to.parts[: len(to.parts) - missing], FOLDER)
        except FileNotFoundError:
            continue
        with opened(folder):
            if _is_inside(folder, source, to.root):
                raise UsageError(
                    f"{shown(to.path)} lies in {shown(path)}: a folder is not copied into itself",
                    service="files",
                    hint="name a destination outside of the folder",
                )
        return


def _is_inside(folder: int, source: int, root: int) -> bool:
    """Return whether an open folder is another one, or lies below it."""
    expected, end = _identity(source), _identity(root)
    here = os.dup(folder)
    try:
        while (own := _identity(here)) != expected:
            if own == end:
                return False
            above = os.open("..", FOLDER, dir_fd=here)
            os.close(here)
            here = above
            if _identity(here) == own:
                return False  # the root of everything
        return True
    finally:
        os.close(here)


def _identity(folder: int) -> tuple[int, int]:
    about = os.fstat(folder)
    return about.st_dev, about.st_ino


def copy_tree(
    source: int, target: int, path: str, progress: Callable[[int], object], hidden: Hidden
) -> Copied:
    """Copy the contents of an open folder into another; existing files are replaced.

    Parameters
    ----------
    source, target
        Descriptors; the first can be read.
    path
        The target's, for errors.
    progress
        Called with the number of bytes written since the last call.
    hidden
        The names that are left out.
    """
    copied = Copied()
    # A descriptor of the folder that the walk is in, and of those around it.
    way: list[tuple[str, int]] = [("", target)]
    try:
        for found in walk(source, into=lambda found: not hidden.hides(found.name, found.stat)):
            if hidden.hides(found.name, found.stat):
                copied.skipped.append(found.path)
                continue
            parent = found.path.rpartition("/")[0]
            while way[-1][0] != parent:
                os.close(way.pop()[1])
            here = way[-1][1]
            if found.is_folder:
                way.append((found.path, _same_folder(here, found, path)))
                copied.folders += 1
            elif found.is_file:
                copied.size += _copy_found(found, here, path, progress)
                copied.files += 1
            elif stat.S_ISLNK(found.stat.st_mode):
                _copy_link(found, here)
                copied.links += 1
            else:
                copied.skipped.append(found.path)
    finally:
        for _, inner in way[1:]:
            os.close(inner)
    return copied


def _same_folder(here: int, found: WalkEntry, path: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(found.name, found.stat.st_mode & 0o777 | 0o700, dir_fd=here)
    try:
        return os.open(found.name, READ_FOLDER | os.O_NOFOLLOW, dir_fd=here)
    except OSError as error:
        if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
            raise
        raise UsageError(
            f"{shown(found.path)} is a folder, and not so in {shown(path)}",
            service="files",
            hint="copy to a place that is not there yet, or delete it first",
        ) from error


def _copy_found(found: WalkEntry, here: int, path: str, progress: Callable[[int], object]) -> int:
    source = os.open(found.name, READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.folder)
    with opened(source):
        return copy_file(source, here, found.name, f"{path}/{found.path}", progress)


def copy_file(
    source: int, here: int, name: str, path: str, progress: Callable[[int], object]
) -> int:
    """Copy an open file under a name in an open folder; whole or not at all.

    Returns
    -------
    int
        Bytes.
    """
    about = os.fstat(source)
    if not stat.S_ISREG(about.st_mode):
        raise no_file(path, about.st_mode)
    _check_replaceable(here, name, path)
    new, made = create(here, 0o600)
    with opened(made):
        try:
            size = 0
            while piece := os.read(source, _PIECE):
                write_whole(made, piece)
                size += len(piece)
                progress(len(piece))
            keep_mode(made, about)
            os.utime(made, ns=(about.st_atime_ns, about.st_mtime_ns))
            os.rename(new, name, src_dir_fd=here, dst_dir_fd=here)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new, dir_fd=here)
            raise
    return size


def _check_replaceable(here: int, name: str, path: str) -> None:
    """Refuse to replace a read-only file or another object; a link is replaced by the file."""
    try:
        found = os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
        raise no_file(path, found.st_mode)
    refuse_read_only(here, name, found, path)


def _copy_link(found: WalkEntry, here: int) -> None:
    """Make a link with the same target text."""
    target = os.readlink(found.name, dir_fd=found.folder)
    try:
        os.symlink(target, found.name, dir_fd=here)
    except FileExistsError:
        there = os.stat(found.name, dir_fd=here, follow_symlinks=False).st_mode
        if stat.S_ISDIR(there):
            raise
        os.unlink(found.name, dir_fd=here)
        os.symlink(target, found.name, dir_fd=here)
