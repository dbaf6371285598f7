"""Looking at the workspace: files that are below one folder, and nothing outside of it."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from agentnb.core.files.beneath import PLACE, Confined, Resolver, best
from agentnb.core.files.calls import Call, open_root, opened
from agentnb.core.files.extracts import extract_of, read_extract, text_of_extract
from agentnb.core.files.globbing import patterns_of
from agentnb.core.files.listing import Usage, listing, usage_of
from agentnb.core.files.names import joined
from agentnb.core.files.reading import READ, first_of, hash_of, read_all, text_of
from agentnb.core.files.walking import READ_FOLDER, entries, walk
from agentnb.core.files.watching import Change, Watcher
from agentnb.core.hidden import Hidden
from agentnb.core.loop import LoopThread
from agentnb.core.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from agentnb.core.files.extracts import Extract
    from agentnb.core.files.globbing import Pattern
    from agentnb.core.table import Table

    AnyPath = str | os.PathLike[str]
    Names = list[str]  # in the class, `list` is its method
    Patterns = list[Pattern]
    OnChange = Callable[[list[Change]], Any]

__all__ = ["FileReader"]

_EMPTY = "there is nothing here yet: %%files write PATH, or hub.files.write_file(path, text)"
_WHOLE = (None,) * 5
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


class FileReader:
    """What `FileSystemManager` does that changes nothing.

    Parameters
    ----------
    root
        The folder; made with the first call.
    max_size
        The largest file that is read, in bytes; 0 is no limit.
    resolver
        How paths are resolved; by default ``openat2`` where Linux has it.
    home
        The home of a hub, which is hidden where it lies in the folder.
    read_only
        Whether everything that changes something is refused, and the folder not made.
    runtime
        Tracer, redactor and logs; default: new ones.
    """

    def __init__(
        self,
        root: str | Path = "workspace",
        *,
        max_size: int = 100_000_000,
        resolver: Resolver | None = None,
        home: Path | None = None,
        read_only: bool = False,
        runtime: Runtime | None = None,
    ) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
        self.root = Path(self._root)
        self.max_size = max_size
        self.read_only = read_only
        self._resolver = Confined(resolver or best(), Hidden.below(self.root, home))
        runtime = runtime or Runtime()
        self._tracer = runtime.tracer
        self._log = runtime.log("files")
        self._loop = LoopThread()
        self._watchers: set[Watcher] = set()

    @property
    def confined_by(self) -> str:
        """What keeps paths inside: ``openat2`` or ``walk``."""
        return self._resolver.name

    def _call(self, name: str, path: AnyPath) -> Call:
        span = self._tracer.span(name, service="files", path=str(path))
        make = not self.read_only
        return Call(self._root, self._resolver, path, span, name, self._log, make=make)

    def _folder(self, call: Call) -> AbstractContextManager[int]:
        """Return a descriptor of the folder that a call names, for the length of a block."""
        return opened(call.open(READ_FOLDER))

    def ping(self) -> None:
        """Look whether the workspace can be used.

        Raises
        ------
        ConfigError
            It is no folder, or cannot be made.
        """
        os.close(self._open_root())

    def _open_root(self) -> int:
        return open_root(self._root, make=not self.read_only)

    def resolve_path(self, path: AnyPath) -> Path:
        """Return the absolute path of what a path names, free of links.

        For other programs. It is true at this moment; for what must stay inside whatever
        happens next, use the other methods, which do not go by the text of a path.

        Raises
        ------
        PathEscape
            It leads out.
        """
        with self._call("resolve", path) as call:
            real = self._resolver.real_parts(call.root, call.parts)
            return self.root.resolve().joinpath(*real)

    def exists(self, path: AnyPath) -> bool:
        """Tell whether there is something at a path, at the end of its links.

        Raises
        ------
        PathEscape
            It leads out, so there is no saying.
        """
        with self._call("exists", path) as call:
            try:
                os.close(call.open(PLACE))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                return False
            return True

    @overload
    def read_file(
        self,
        path: AnyPath,
        *,
        encoding: str = "utf-8",
        head: int | None = None,
        tail: int | None = None,
        lines: tuple[int, int | None] | None = None,
        offset: int | None = None,
        length: int | None = None,
    ) -> str: ...
    @overload
    def read_file(
        self,
        path: AnyPath,
        *,
        encoding: None,
        head: int | None = None,
        tail: int | None = None,
        lines: tuple[int, int | None] | None = None,
        offset: int | None = None,
        length: int | None = None,
    ) -> bytes: ...
    def read_file(
        self,
        path: AnyPath,
        *,
        encoding: str | None = "utf-8",
        head: int | None = None,
        tail: int | None = None,
        lines: tuple[int, int | None] | None = None,
        offset: int | None = None,
        length: int | None = None,
    ) -> str | bytes:
        r"""Return what is in a file, or in a part of it.

        Of a part only as much is read as is needed, so that the file may be larger than
        `max_size`, which then holds for the part. ``head``, ``tail``, ``lines``, and ``offset``
        with ``length`` exclude each other.

        Parameters
        ----------
        path
            The file.
        encoding
            Of its text; None returns bytes. Line ends are left as they are.
        head, tail
            How many of the first or the last lines; fewer where there are not so many. A line
            ends with ``\n``.
        lines
            The first and the last line, counted from 1; None for the last of the file.
        offset, length
            The first byte, counted from 0, and how many, up to the end of the file. Of text
            both have to lie between characters.

        Raises
        ------
        NotFoundError
            There is no such file.
        PathEscape
            It lies outside.
        UsageError
            It is no regular file, or no text of this encoding; the part is out of its range,
            begins behind the end of the file, or begins or ends inside of a character.
        RejectedError
            It is larger than `max_size`.

        Examples
        --------
        >>> from agentnb.core.files import FileSystemManager
        >>> files = FileSystemManager("workspace")
        >>> files.write_file("app.log", "one\ntwo\nthree\n")
        >>> files.read_file("app.log", tail=1), files.read_file("app.log", lines=(1, 2))
        ('three\n', 'one\ntwo\n')
        >>> files.delete("app.log")
        1
        """
        if (head, tail, lines, offset, length) != _WHOLE:
            part = extract_of(head, tail, lines, offset, length)
            return self._read_part(path, encoding, part)
        with self._call("read", path) as call:
            data = read_all(call.open(READ), call.path, self.max_size)
            return data if encoding is None else text_of(data, call.path, encoding)

    def _read_part(self, path: AnyPath, encoding: str | None, part: Extract) -> str | bytes:
        with self._call("read", path) as call, opened(call.open(READ)) as found:
            data = read_extract(found, call.path, part, self.max_size)
            return data if encoding is None else text_of_extract(data, call.path, encoding, part)

    def head(self, path: AnyPath, size: int = 65_536) -> bytes:
        """Return the first bytes of a file, however large it is.

        Parameters
        ----------
        path
            The file.
        size
            Bytes at most.

        Raises
        ------
        UsageError
            It is no regular file.
        """
        with self._call("head", path) as call, opened(call.open(READ)) as found:
            return first_of(found, call.path, size)

    def hash_file(self, path: AnyPath) -> str:
        """Return the `hash_of` what is in a file."""
        return hash_of(self.read_file(path, encoding=None))

    async def aread_file(
        self, path: AnyPath, *, encoding: str | None = "utf-8", **part: Any
    ) -> str | bytes:
        """As `read_file`, in a thread."""
        return await asyncio.to_thread(self.read_file, path, encoding=encoding, **part)  # type: ignore[arg-type]  # either overload

    def list(self, path: AnyPath = ".") -> Table:
        """Return what is in a folder: name, kind, size in bytes, time of the last change.

        Folders come first. Links are listed as such.
        """
        with self._call("list", path) as call, self._folder(call) as top:
            return listing(entries(top, hidden=self._resolver.hidden), empty=_EMPTY)

    def glob(self, pattern: str) -> Names:
        """Return the paths that match a pattern, in order; what is hidden matches too.

        Parameters
        ----------
        pattern
            ``*``, ``?``, ``[a-z]`` and ``[!a-z]`` or ``[^a-z]`` stand for a part of a name, ``**``
            for any number of folders, ``{ts,tsx}`` for either. Links are found, not followed.

        Raises
        ------
        PathEscape
            The pattern leaves the workspace.
        UsageError
            It is empty, has a brace that is not closed, or stands for too many patterns.
        """
        starts: dict[str, list[Pattern]] = {}
        for one in patterns_of(pattern):
            starts.setdefault(joined(*one.start), []).append(one)
        return sorted(
            {path for start, wanted in starts.items() for path in self._glob(start, wanted)}
        )

    def _glob(self, start: str, wanted: Patterns) -> Names:
        """Return the paths below a folder that match one of some patterns."""
        with self._call("glob", start) as call:
            try:
                top = call.open(READ_FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                return []
            with opened(top):
                depth = max(one.depth for one in wanted)
                found = walk(top, hidden=self._resolver.hidden, depth=depth)
                paths = (joined(start, one.path) for one in found)
                return [path for path in paths if any(one.fits(path.split("/")) for one in wanted)]

    def usage(self, path: AnyPath = ".") -> Usage:
        """Return how much room each thing in a folder takes, the largest first.

        Returns
        -------
        Usage
            A table of name, kind, number of files and bytes, with their sum in ``total``.
        """
        with self._call("usage", path) as call, self._folder(call) as top:
            return usage_of(top, call.path, self._resolver.hidden)

    def watch(self, path: AnyPath = ".", on_change: OnChange | None = None) -> Watcher:
        """Watch a folder and everything below it, but nothing that a link leads to.

        Parameters
        ----------
        path
            The folder.
        on_change
            Called with a list of changes, in a thread, until the watcher is closed. Without it,
            iterate the watcher, or `Watcher.wait` for the next changes.
        """
        with self._call("watch", path) as call, self._folder(call):
            parts = self._resolver.real_parts(call.root, call.parts)
        place = self.root.resolve(), parts
        made = Watcher(self._open_root, self._resolver, place, self._watchers.discard)
        self._watchers.add(made)
        if on_change is not None:
            made.start(lambda changes: self._loop.call(on_change, changes))
        return made

    def close(self) -> None:
        """End what watches. Idempotent."""
        for watcher in list(self._watchers):
            watcher.close()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"
