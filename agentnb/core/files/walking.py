"""Everything in a folder, by descriptors and without following a link: no race leads out."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentnb.core.files.names import is_temporary, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.hidden import Hidden

__all__ = ["DEEPEST", "READ_FOLDER", "WalkEntry", "entries", "walk"]

READ_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC

DEEPEST: Final = 2 * 128
"""Folders within folders that are walked; a descriptor is kept open for each."""

_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@dataclass(frozen=True, slots=True)
class WalkEntry:
    """An entry of a folder.

    Parameters
    ----------
    path
        Relative to where the walk began.
    folder
        A descriptor of the folder that it lies in; closed once the walk goes on.
    name
        Its name.
    stat
        Its own; a link is not followed.
    """

    path: str
    folder: int
    name: str
    stat: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether the entry is a folder, and no link to one."""
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether the entry is a regular file."""
        return stat.S_ISREG(self.stat.st_mode)


def entries(
    folder: int, path: str = "", *, temporary: bool = False, hidden: Hidden | None = None
) -> list[WalkEntry]:
    """Return the entries of an open folder, sorted by name.

    Parameters
    ----------
    folder
        A descriptor that can be read.
    path
        The folder's, for those of the entries.
    temporary
        Whether what is not finished is there too.
    hidden
        The names that are left out.
    """
    with os.scandir(folder) as listed:
        names = sorted(entry.name for entry in listed)
    found = []
    for name in names:
        if is_temporary(name) and not temporary:
            continue
        with suppress(FileNotFoundError):  # removed since it was listed
            own = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if hidden is None or not hidden.hides(name, own):
                found.append(WalkEntry(joined(path, name), folder, name, own))
    return found


def walk(
    folder: int,
    *,
    temporary: bool = False,
    hidden: Hidden | None = None,
    depth: int = DEEPEST,
    into: Callable[[WalkEntry], bool] = lambda _: True,
    missed: Callable[[str], object] = lambda _: None,
) -> Iterator[WalkEntry]:
    """Yield everything below an open folder; a folder comes before its contents.

    Parameters
    ----------
    folder
        A descriptor that can be read; it stays open.
    temporary
        Whether what is not finished is there too; what is in such a folder never is.
    hidden
        The names that are left out, with their contents.
    depth
        The depth; 1 is the folder alone.
    into
        Asked before a folder is gone into.
    missed
        Called with the path of a folder that could not be read, or lies too deep.
    """
    stack = [(folder, iter(entries(folder, temporary=temporary, hidden=hidden)))]
    try:
        while stack:
            found = next(stack[-1][1], None)
            if found is None:
                closing, _ = stack.pop()
                if stack:
                    os.close(closing)
                continue
            yield found
            if not found.is_folder or is_temporary(found.name) or not into(found):
                continue
            if len(stack) >= depth:
                if depth == DEEPEST:
                    missed(found.path)
                continue
            try:
                inner = os.open(found.name, READ_FOLDER | os.O_NOFOLLOW, dir_fd=found.folder)
            except OSError as error:
                if error.errno not in _GONE:  # a link took its place, or nothing did
                    missed(found.path)
                continue
            stack.append((inner, iter(())))  # closed by whatever comes next
            inside = entries(inner, found.path, temporary=temporary, hidden=hidden)
            stack[-1] = inner, iter(inside)
    finally:
        for inner, _ in stack[1:]:
            os.close(inner)
