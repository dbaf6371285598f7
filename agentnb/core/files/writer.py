"""Changing a workspace: files and folders are written, edited, moved, copied and deleted."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from agentnb.core.files.calls import opened
from agentnb.core.files.confinement import FOLDER, PATH_ONLY
from agentnb.core.files.copying import Copied, copy_file, copy_tree, plan_of, refuse_inside
from agentnb.core.files.editing import Edit
from agentnb.core.files.names import refuse_folder, split_last
from agentnb.core.files.reading import READ, bytes_of, check_size, joined_bytes
from agentnb.core.files.removing import refuse_protected, remove, remove_empty
from agentnb.core.files.renaming import move
from agentnb.core.files.writing import (
    check_hash,
    check_unchanged,
    ensure_folder,
    entry_of,
    refuse_read_only,
    refuse_replacing,
    replace,
    rewrite,
)
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.files.editing import Edited
    from agentnb.core.files.limits import Quota
    from agentnb.core.files.workspace import Workspace

    AnyPath = str | os.PathLike[str]
    OnProgress = Callable[[int, int], Any]

__all__ = ["FileWriter"]


@refuse_unknown("files")
class FileWriter:
    """Changes the files and folders of a workspace.

    Parameters
    ----------
    workspace
        The workspace.
    quota
        Counts the bytes.
    """

    def __init__(self, workspace: Workspace, quota: Quota) -> None:
        self._workspace, self._quota = workspace, quota

    def ensure_directory(self, path: AnyPath) -> None:
        """Make a folder and those around it, as far as they are not there."""
        with self._workspace.change("mkdir", path) as call:
            os.close(ensure_folder(self._workspace.resolver, call.root, call.parts))

    def write_file(
        self,
        path: AnyPath,
        content: str | bytes,
        *,
        encoding: str = "utf-8",
        if_hash: str | None = None,
    ) -> None:
        """Write a file, whole or not at all; the folders around it are made.

        It is written beside its place, forced to the disk and put there in one step. The
        permissions of a file that was there are kept. A link is followed while it stays inside.

        Parameters
        ----------
        path
            The file.
        content
            Text, whose line ends are left as they are, or bytes.
        encoding
            Of text.
        if_hash
            Write only if the file is still the one whose content had this `hash_of`; ``""``:
            only if there is none yet. Of several that write so, one wins.

        Raises
        ------
        FileChanged
            By `if_hash`.
        PathEscape
            The path leads out.
        RejectedError
            It is larger than `max_size`, the quota is used up, the disk is full, or the file or
            the workspace is read-only.
        UsageError
            There is something that is no regular file, or the text cannot be encoded.
        """
        with self._workspace.change("write", path) as call:
            check_hash(if_hash)
            data = bytes_of(content, call.path, encoding)
            call.note(bytes=len(data))
            check_size(len(data), call.path, self._workspace.max_size)
            with entry_of(self._workspace.resolver, call.root, call.parts, call.path) as entry:
                more = len(data) - (entry.existing.st_size if entry.existing else 0)
                with self._quota.taken(more, call.path):
                    replace(entry, data, call.path, if_hash)

    def append(self, path: AnyPath, content: str | bytes, *, encoding: str = "utf-8") -> None:
        """Add to the end of a file, which is made if there is none.

        The file is written anew, as by `write_file`, so that it is never there with a part of
        the addition; the time that takes grows with its size. Of several that append at once,
        in any process, none is lost.

        Parameters
        ----------
        path
            The file.
        content
            Text, whose line ends are left as they are, or bytes.
        encoding
            Of text.

        Raises
        ------
        PathEscape, RejectedError, UsageError
            As `write_file`.
        """
        with self._workspace.change("append", path) as call:
            data = bytes_of(content, call.path, encoding)
            call.note(bytes=len(data))

            def add(before: bytes | None) -> bytes:
                after = joined_bytes(before or b"", data, encoding)
                check_size(len(after), call.path, self._workspace.max_size)
                return after

            with (
                entry_of(self._workspace.resolver, call.root, call.parts, call.path) as entry,
                self._quota.taken(len(data), call.path),
            ):
                rewrite(entry, call.path, add, self._workspace.max_size)

    def edit(
        self,
        path: AnyPath,
        old: str,
        new: str,
        *,
        count: int = 1,
        encoding: str = "utf-8",
        if_hash: str | None = None,
    ) -> Edited:
        r"""Replace a piece of a text file, if it is there exactly once.

        A line end in ``old`` fits ``\n`` and ``\r\n``, and those of ``new`` become as the file's
        are there. Nobody else who edits, appends or writes with ``if_hash`` comes between.

        Parameters
        ----------
        path
            The file.
        old, new
            The text that is there, and the text in its place.
        count
            The number of occurrences of ``old``; all are replaced.
        encoding
            Of the file.
        if_hash
            As `write_file` takes it.

        Returns
        -------
        Edited
            With the change as a diff, and the hash of the new content.

        Raises
        ------
        UsageError
            ``old`` is there more or less often, or overlaps itself; the file is no text.
        NotFoundError
            There is no such file.
        FileChanged, PathEscape, RejectedError
            As `write_file`.

        Examples
        --------
        >>> from agentnb.core.files import FileSystemManager
        >>> files = FileSystemManager("workspace")
        >>> files.write_file("app.py", "debug = True\n")
        >>> print(files.edit("app.py", "True", "False"))
        --- app.py
        +++ app.py
        @@ -1,1 +1,1 @@
        -debug = True
        +debug = False
        <BLANKLINE>
        >>> files.delete("app.py")
        1
        """
        with self._workspace.change("edit", path) as call:
            check_hash(if_hash)
            change = Edit(call.path, old, new, whole("count", count, service="files"), encoding)
            os.close(call.open(PATH_ONLY))  # a folder around a missing file is not made
            with (
                entry_of(self._workspace.resolver, call.root, call.parts, call.path) as entry,
                self._quota.taken(change.growth, call.path),
            ):

                def make(before: bytes | None) -> bytes:
                    if if_hash is not None:
                        check_unchanged(entry, call.path, if_hash)
                    after = change.apply(before)
                    check_size(len(after), call.path, self._workspace.max_size)
                    return after

                rewrite(entry, call.path, make, self._workspace.max_size)
            return change.done

    def delete(self, path: AnyPath, *, recursive: bool = False) -> int:
        """Remove a file, an empty folder, or with `recursive` a folder and all that is in it.

        A link is removed, never its target. A folder disappears in one step.

        Returns
        -------
        int
            The number of files and folders removed.

        Raises
        ------
        UsageError
            A folder that is not empty, without `recursive`; or the workspace itself.
        PathEscape
            It is hidden, or a folder with something hidden in it, such as ``.git``.
        RejectedError
            It is read-only, or holds a file that is.
        """
        with self._workspace.change("delete", path) as call:
            around, name = split_last(call.parts, call.path)
            with opened(self._workspace.resolver.open(call.root, around, FOLDER)) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                refuse_read_only(folder, name, found, call.path)
                if stat.S_ISDIR(found.st_mode):
                    if not recursive:
                        return remove_empty(folder, name, call.path)
                    refuse_protected(folder, name, call.path, self._workspace.resolver.hidden)
                return remove(folder, name)

    def move(self, source: AnyPath, destination: AnyPath, *, overwrite: bool = False) -> None:
        """Rename a file or folder; the folders around its new place are made.

        Parameters
        ----------
        source
            The file or folder; of a link the link itself, not its target.
        destination
            Its new path, with its new name.
        overwrite
            Whether a file that is there may be replaced.

        Raises
        ------
        UsageError
            The destination exists, or lies inside of the source.
        RejectedError
            The file is read-only, or the one that it would replace.
        """
        with self._workspace.change("move", source) as call:
            around, name = split_last(call.parts, call.path)
            if self._workspace.resolver.hidden.homes:
                real = self._workspace.resolver.real_parts(call.root, around)
                self._workspace.resolver.hidden.refuse_around([*real, name])
            with opened(self._workspace.resolver.open(call.root, around, FOLDER)) as here:
                found = os.stat(name, dir_fd=here, follow_symlinks=False)
                refuse_read_only(here, name, found, call.path)
                with self._workspace.destination(destination) as to:
                    call.to = to.path
                    around, new_name = split_last(to.parts, to.path)
                    with self._workspace.made_folder(to, around) as there:
                        if overwrite:
                            refuse_replacing(there, new_name, to.path)
                        move(here, name, there, new_name, overwrite=overwrite)

    def copy_file(
        self,
        source: AnyPath,
        destination: AnyPath,
        *,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy a file, its permissions and its time; one that is there is replaced.

        Parameters
        ----------
        source
            The file; a link is followed while it stays inside.
        destination
            Its path, with its name.
        on_progress
            Called with the bytes that are done and those that there are.
        """
        with (
            self._workspace.change("copy", source) as call,
            opened(call.open(READ)) as found,
            self._workspace.destination(destination) as to,
        ):
            call.to = to.path
            size = os.fstat(found).st_size
            check_size(size, call.path, self._workspace.max_size)
            refuse_folder(to.path)
            around, name = split_last(to.parts, to.path)
            with self._workspace.made_folder(to, around) as there, self._quota.taken(size, to.path):
                step = self._workspace.progress(on_progress, size)
                return Copied(files=1, size=copy_file(found, there, name, to.path, step))

    def copy_directory(
        self,
        source: AnyPath,
        destination: AnyPath,
        *,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy the contents of a folder into another, which is created; files there are replaced.

        Links are copied as links and never followed. Other objects (a FIFO, a device) are left
        out and named in the result. Each file is there whole or not at all.

        Parameters
        ----------
        source, destination
            The folders.
        on_progress
            Called with the bytes that are done and those that there are.

        Raises
        ------
        UsageError
            The destination is inside of the source, or has a file where the source has a folder.
        RejectedError
            There is not enough room, by the quota or on the disk.
        """
        with (
            self._workspace.change("copy", source) as call,
            self._workspace.open_folder(call) as top,
        ):
            hidden = self._workspace.resolver.hidden
            plan = plan_of(top, call.path, hidden, self._workspace.max_size)
            with self._workspace.destination(destination) as to:
                call.to = to.path
                refuse_inside(self._workspace.resolver, to, top, call.path)
                with (
                    self._quota.taken(plan.size, to.path),
                    self._workspace.made_folder(to, to.parts) as there,
                ):
                    step = self._workspace.progress(on_progress, plan.size)
                    return copy_tree(top, there, to.path, step, hidden)
