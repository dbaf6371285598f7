"""The workspace: files that agents read and write, and nothing outside of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import RejectedError
from agentnb.core.files.beneath import FOLDER, PLACE
from agentnb.core.files.calls import Call, open_root, opened
from agentnb.core.files.copying import Copied, copy_file, copy_tree, plan_of, refuse_inside
from agentnb.core.files.editing import Edit
from agentnb.core.files.ledger import FileLedger, MemoryLedger
from agentnb.core.files.limits import Measure, Quota, measure
from agentnb.core.files.names import refuse_folder, shown, split_last
from agentnb.core.files.reader import FileReader
from agentnb.core.files.reading import READ, bytes_of, check_size, joined_bytes
from agentnb.core.files.removing import refuse_protected, remove, remove_empty
from agentnb.core.files.renaming import move
from agentnb.core.files.walking import READ_FOLDER
from agentnb.core.files.writing import (
    check_hash,
    check_unchanged,
    ensure_folder,
    place_of,
    refuse_read_only,
    refuse_replacing,
    replace,
    rewrite,
)
from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agentnb.core.files.beneath import Resolver
    from agentnb.core.files.editing import Edited
    from agentnb.core.files.ledger import Ledger
    from agentnb.core.runtime import Runtime

    AnyPath = str | os.PathLike[str]
    OnProgress = Callable[[int, int], Any]

__all__ = ["FileSystemManager"]


def _ledger(root: str, home: Path | None) -> Ledger:
    """Return where the bytes of a workspace are counted."""
    if home is None:
        return MemoryLedger()
    name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
    return FileLedger(home / "files", name)


class FileSystemManager(FileReader):
    """Reads and writes files below one folder, and never leaves it.

    Paths are relative to that folder, with ``/`` between names. Links are followed while they
    stay inside; a path, link or race that leads out is a `PathEscape`. What is no regular file
    (a FIFO, a device) is refused. ``.agentnb``, ``.env`` and ``.git`` are hidden at any depth:
    a path that goes through one is a `PathEscape`, and lists leave them out. Thread-safe.

    Parameters
    ----------
    root
        The folder; made when something is first written.
    max_size
        The largest file that is read or written, in bytes; 0 is no limit.
    quota
        Bytes of all files together that may be reached by writing; 0 is no limit. Processes
        with the same home share the count; what others write is noticed after half a minute.
    resolver
        How paths are resolved; by default ``openat2`` where Linux has it.
    home
        The home of a hub, in which the quota is counted. It is hidden where it lies in the
        folder.
    read_only
        Whether everything that changes something is refused, and the folder not made.
    runtime
        Tracer, redactor and logs; default: new ones.

    Examples
    --------
    >>> files = FileSystemManager("workspace")
    >>> files.write_file("src/main.py", "print('hello')")
    >>> files.read_file("src/main.py"), files.glob("**/*.py")
    ("print('hello')", ['src/main.py'])
    >>> from agentnb.core.errors import PathEscape
    >>> try:
    ...     files.read_file("../secret.txt")
    ... except PathEscape as error:
    ...     print(error.message)
    ../secret.txt leads out of the workspace
    >>> files.delete("src", recursive=True)
    2
    """

    def __init__(
        self,
        root: str | Path = "workspace",
        *,
        max_size: int = 100_000_000,
        quota: int = 0,
        resolver: Resolver | None = None,
        home: Path | None = None,
        read_only: bool = False,
        runtime: Runtime | None = None,
    ) -> None:
        super().__init__(
            root,
            max_size=max_size,
            resolver=resolver,
            home=home,
            read_only=read_only,
            runtime=runtime,
        )
        self._quota = Quota(quota, self._measure, _ledger(self._root, home))

    @property
    def quota(self) -> int:
        """Bytes that all files together may have; 0 is no limit."""
        return self._quota.limit

    def _measure(self) -> Measure:
        with (
            opened(open_root(self._root)) as root,
            opened(self._resolver.open(root, [], READ_FOLDER)) as top,
        ):
            return measure(top, sweeping=True, hidden=self._resolver.hidden)

    def _change(self, name: str, path: AnyPath) -> Call:
        """Return a call that changes something.

        Raises
        ------
        RejectedError
            The workspace is read-only.
        """
        if self.read_only:
            raise RejectedError(
                f"the workspace is read-only; {shown(str(path))} was not changed",
                service="files",
                hint="AGENTNB_WORKSPACE_READONLY=0 lets it be written to",
            )
        return self._call(name, path)

    def _other(self, path: AnyPath) -> Call:
        """Return the second path of a call."""
        return Call(self._root, self._resolver, path, nullcontext())

    def _made(self, call: Call, parts: list[str]) -> AbstractContextManager[int]:
        """Return a descriptor of a folder, which is made, for the length of a block."""
        return opened(ensure_folder(self._resolver, call.root, parts))

    def _steps(self, on_progress: OnProgress | None, size: int) -> Callable[[int], object]:
        """Return what counts the bytes that are done, and tells."""
        done = 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if on_progress is not None:
                self._loop.call(on_progress, done, size)

        return step

    def ensure_directory(self, path: AnyPath) -> None:
        """Make a folder and those around it, as far as they are not there."""
        with self._change("mkdir", path) as call:
            os.close(ensure_folder(self._resolver, call.root, call.parts))

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
        with self._change("write", path) as call:
            check_hash(if_hash)
            data = bytes_of(content, call.path, encoding)
            check_size(len(data), call.path, self.max_size)
            with place_of(self._resolver, call.root, call.parts, call.path) as place:
                more = len(data) - (place.found.st_size if place.found else 0)
                with self._quota.taken(more, call.path):
                    replace(place, data, call.path, if_hash)

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
        with self._change("append", path) as call:
            data = bytes_of(content, call.path, encoding)

            def add(before: bytes | None) -> bytes:
                after = joined_bytes(before or b"", data, encoding)
                check_size(len(after), call.path, self.max_size)
                return after

            with (
                place_of(self._resolver, call.root, call.parts, call.path) as place,
                self._quota.taken(len(data), call.path),
            ):
                rewrite(place, call.path, add, self.max_size)

    async def aappend(self, path: AnyPath, content: str | bytes, **options: Any) -> None:
        """As `append`, in a thread."""
        await asyncio.to_thread(self.append, path, content, **options)

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
            How often ``old`` has to be there; all are replaced.
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
        with self._change("edit", path) as call:
            check_hash(if_hash)
            change = Edit(call.path, old, new, whole("count", count, service="files"), encoding)
            os.close(call.open(PLACE))  # a folder around a missing file is not made
            with (
                place_of(self._resolver, call.root, call.parts, call.path) as place,
                self._quota.taken(change.growth, call.path),
            ):

                def make(before: bytes | None) -> bytes:
                    if if_hash is not None:
                        check_unchanged(place, call.path, if_hash)
                    after = change.apply(before)
                    check_size(len(after), call.path, self.max_size)
                    return after

                rewrite(place, call.path, make, self.max_size)
            return change.done

    async def aedit(self, path: AnyPath, old: str, new: str, **options: Any) -> Edited:
        """As `edit`, in a thread."""
        return await asyncio.to_thread(self.edit, path, old, new, **options)

    async def awrite_file(self, path: AnyPath, content: str | bytes, **options: Any) -> None:
        """As `write_file`, in a thread."""
        await asyncio.to_thread(self.write_file, path, content, **options)

    def delete(self, path: AnyPath, *, recursive: bool = False) -> int:
        """Remove a file, an empty folder, or with `recursive` a folder and all that is in it.

        A link is removed, never what it leads to. A folder disappears in one step.

        Returns
        -------
        int
            How many files and folders were removed.

        Raises
        ------
        UsageError
            A folder that is not empty, without `recursive`; or the workspace itself.
        PathEscape
            It is hidden, or a folder with something hidden in it, such as ``.git``.
        RejectedError
            It is read-only, or holds a file that is.
        """
        with self._change("delete", path) as call:
            around, name = split_last(call.parts, call.path)
            with opened(self._resolver.open(call.root, around, FOLDER)) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                refuse_read_only(folder, name, found, call.path)
                if stat.S_ISDIR(found.st_mode):
                    if not recursive:
                        return remove_empty(folder, name, call.path)
                    refuse_protected(folder, name, call.path, self._resolver.hidden)
                return remove(folder, name)

    def move(self, source: AnyPath, destination: AnyPath, *, overwrite: bool = False) -> None:
        """Rename a file or folder; the folders around its new place are made.

        Parameters
        ----------
        source
            What to move; a link itself, not what it leads to.
        destination
            Its new path, with its new name.
        overwrite
            Whether a file that is there may be replaced.

        Raises
        ------
        UsageError
            The destination is there, or inside of what is to be moved.
        RejectedError
            The file is read-only, or the one that it would replace.
        """
        with self._change("move", source) as call:
            around, name = split_last(call.parts, call.path)
            if self._resolver.hidden.homes:
                real = self._resolver.real_parts(call.root, around)
                self._resolver.hidden.refuse_around([*real, name])
            with opened(self._resolver.open(call.root, around, FOLDER)) as here:
                found = os.stat(name, dir_fd=here, follow_symlinks=False)
                refuse_read_only(here, name, found, call.path)
                with self._other(destination) as to:
                    call.to = to.path
                    around, new_name = split_last(to.parts, to.path)
                    with self._made(to, around) as there:
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
            self._change("copy", source) as call,
            opened(call.open(READ)) as found,
            self._other(destination) as to,
        ):
            call.to = to.path
            size = os.fstat(found).st_size
            check_size(size, call.path, self.max_size)
            refuse_folder(to.path)
            around, name = split_last(to.parts, to.path)
            with self._made(to, around) as there, self._quota.taken(size, to.path):
                step = self._steps(on_progress, size)
                return Copied(files=1, size=copy_file(found, there, name, to.path, step))

    def copy_directory(
        self,
        source: AnyPath,
        destination: AnyPath,
        *,
        on_progress: OnProgress | None = None,
    ) -> Copied:
        """Copy what is in a folder into another, which is made; files there are replaced.

        Links are copied as links and never followed. What is no file, folder or link is left
        out and named in what is returned. Each file is there whole or not at all.

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
        with self._change("copy", source) as call, self._folder(call) as top:
            hidden = self._resolver.hidden
            plan = plan_of(top, call.path, hidden, self.max_size)
            with self._other(destination) as to:
                call.to = to.path
                refuse_inside(self._resolver, to, top, call.path)
                with self._quota.taken(plan.size, to.path), self._made(to, to.parts) as there:
                    step = self._steps(on_progress, plan.size)
                    return copy_tree(top, there, to.path, step, hidden)
