"""Looking at the workspace: files that are below one folder, and nothing outside of it."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from agentnb.core.files.beneath import PLACE, Confined, Resolver, best
from agentnb.core.files.calls import Call, open_root, opened
from agentnb.core.files.globbing import Pattern
from agentnb.core.files.listing import Usage, listing, usage_of
from agentnb.core.files.names import joined
from agentnb.core.files.reading import READ, first_of, hash_of, read_all, text_of
from agentnb.core.files.walking import READ_FOLDER, entries, walk
from agentnb.core.files.watching import Change, Watcher
from agentnb.core.hidden import Hidden
from agentnb.core.loop import LoopThread
from agentnb.core.trace import ServiceLog, Tracer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from agentnb.core.table import Table

    AnyPath = str | os.PathLike[str]
    Names = list[str]  # in the class, `list` is its method
    OnChange = Callable[[list[Change]], Any]

__all__ = ["FileReader"]

_EMPTY = "there is nothing here yet: %%files write PATH, or hub.files.write_file(path, text)"
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


class FileReader:
    """What `FileSystemManager` does that changes nothing.

    Parameters
    ----------
    root
        The folder; made with the first call.
    max_size
        The largest file that is read, in bytes; 0 is no limit.
    tracer
        Keeps the spans; by default its own, in memory.
    resolver
        How paths are resolved; by default ``openat2`` where Linux has it.
    home
        The home of a hub, which is hidden where it lies in the folder.
    """

    def __init__(
        self,
        root: str | Path = "workspace",
        *,
        max_size: int = 100_000_000,
        tracer: Tracer | None = None,
        resolver: Resolver | None = None,
        home: Path | None = None,
        hub_id: str | None = None,
    ) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
        self.root = Path(self._root)
        self.max_size = max_size
        self._resolver = Confined(resolver or best(), Hidden.below(self.root, home))
        self._tracer = tracer or Tracer()
        self._log = ServiceLog("files", hub_id)
        self._loop = LoopThread()
        self._watchers: set[Watcher] = set()

    @property
    def confined_by(self) -> str:
        """What keeps paths inside: ``openat2`` or ``walk``."""
        return self._resolver.name

    def _call(self, name: str, path: AnyPath) -> Call:
        span = self._tracer.span(name, service="files", path=str(path))
        return Call(self._root, self._resolver, path, span, name, self._log)

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
        os.close(open_root(self._root))

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
    def read_file(self, path: AnyPath, *, encoding: str = "utf-8") -> str: ...
    @overload
    def read_file(self, path: AnyPath, *, encoding: None) -> bytes: ...
    def read_file(self, path: AnyPath, *, encoding: str | None = "utf-8") -> str | bytes:
        """Return what is in a file.

        Parameters
        ----------
        path
            The file.
        encoding
            Of its text; None returns bytes. Line ends are left as they are.

        Raises
        ------
        NotFoundError
            There is no such file.
        PathEscape
            It lies outside.
        UsageError
            It is no regular file, or no text of this encoding.
        RejectedError
            It is larger than `max_size`.
        """
        with self._call("read", path) as call:
            data = read_all(call.open(READ), call.path, self.max_size)
            return data if encoding is None else text_of(data, call.path, encoding)

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

    async def aread_file(self, path: AnyPath, *, encoding: str | None = "utf-8") -> str | bytes:
        """As `read_file`, in a thread."""
        return await asyncio.to_thread(self.read_file, path, encoding=encoding)  # type: ignore[arg-type]  # either overload

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
            ``*``, ``?`` and ``[a-z]`` stand for a part of a name, ``**`` for any number of
            folders. Links are found, not followed.

        Raises
        ------
        PathEscape
            The pattern leaves the workspace.
        """
        wanted = Pattern.of(pattern)
        start = joined(*wanted.start)
        with self._call("glob", start) as call:
            try:
                top = call.open(READ_FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                return []
            with opened(top):
                found = walk(top, hidden=self._resolver.hidden, depth=wanted.depth)
                paths = (joined(start, one.path) for one in found)
                return sorted(path for path in paths if wanted.fits(path.split("/")))

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
        made = Watcher(lambda: open_root(self._root), self._resolver, place, self._watchers.discard)
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
