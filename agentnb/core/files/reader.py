"""Reading a workspace: files, folders and changes in it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from agentnb.core.files.calls import opened
from agentnb.core.files.confinement import PATH_ONLY
from agentnb.core.files.extracts import extract_of, read_extract, text_of_extract
from agentnb.core.files.globbing import patterns_of
from agentnb.core.files.listing import Usage, listing, usage_of
from agentnb.core.files.names import joined
from agentnb.core.files.reading import READ, first_of, hash_of, read_all, text_of
from agentnb.core.files.walking import READ_FOLDER, entries, walk
from agentnb.core.files.watching import Change, Watcher
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentnb.core.files.extracts import Extract
    from agentnb.core.files.globbing import Pattern
    from agentnb.core.files.workspace import Workspace
    from agentnb.core.table import Table

    AnyPath = str | os.PathLike[str]
    Names = list[str]  # in the class, `list` is its method
    Patterns = list[Pattern]
    OnChange = Callable[[list[Change]], Any]

__all__ = ["FileReader"]

_EMPTY = "there is nothing here yet: hub.files.write_file(path, text) (%%files write PATH)"
_WHOLE = (None,) * 5
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


@refuse_unknown("files")
class FileReader:
    """Reads the files and folders of a workspace.

    Parameters
    ----------
    workspace
        The workspace.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._watchers: set[Watcher] = set()

    def resolve_path(self, path: AnyPath) -> Path:
        """Return the absolute path without links.

        For other programs. It is true at this moment; for what must stay inside whatever
        happens next, use the other methods, which do not go by the text of a path.

        Raises
        ------
        PathEscape
            It leads out.
        """
        with self._workspace.call("resolve", path) as call:
            real = self._workspace.resolver.real_parts(call.root, call.parts)
            return self._workspace.root.resolve().joinpath(*real)

    def exists(self, path: AnyPath) -> bool:
        """Return whether a path exists, after its links are followed.

        Raises
        ------
        PathEscape
            It leads out, so there is no saying.
        """
        with self._workspace.call("exists", path) as call:
            try:
                os.close(call.open(PATH_ONLY))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                return False
            return True

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
        """Return a file, or a part of it; see `FileSystemManager.read_file`."""
        if (head, tail, lines, offset, length) != _WHOLE:
            part = extract_of(head, tail, lines, offset, length)
            return self._read_part(path, encoding, part)
        with self._workspace.call("read", path) as call:
            data = read_all(call.open(READ), call.path, self._workspace.max_size)
            call.note(bytes=len(data))
            return data if encoding is None else text_of(data, call.path, encoding)

    def _read_part(self, path: AnyPath, encoding: str | None, part: Extract) -> str | bytes:
        with self._workspace.call("read", path) as call, opened(call.open(READ)) as found:
            data = read_extract(found, call.path, part, self._workspace.max_size)
            call.note(bytes=len(data))
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
        with self._workspace.call("head", path) as call, opened(call.open(READ)) as found:
            data = first_of(found, call.path, size)
            call.note(bytes=len(data))
            return data

    def hash_file(self, path: AnyPath) -> str:
        """Return the hash of a file's content, as `hash_of` computes it."""
        data = self.read_file(path, encoding=None)
        assert isinstance(data, bytes)  # noqa: S101 - it has no encoding
        return hash_of(data)

    def list(self, path: AnyPath = ".") -> Table:
        """Return the contents of a folder: name, kind, size in bytes, time of the last change.

        Folders come first. Links are listed as such.
        """
        with self._workspace.call("list", path) as call, self._workspace.open_folder(call) as top:
            return listing(entries(top, hidden=self._workspace.resolver.hidden), empty=_EMPTY)

    def glob(self, pattern: str) -> Names:
        """Return the paths that match a pattern, sorted; names that begin with a dot match too.

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
            {path for start, patterns in starts.items() for path in self._glob(start, patterns)}
        )

    def _glob(self, start: str, patterns: Patterns) -> Names:
        """Return the paths below a folder that match one of some patterns."""
        with self._workspace.call("glob", start) as call:
            try:
                top = call.open(READ_FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                return []
            with opened(top):
                depth = max(one.depth for one in patterns)
                found = walk(top, hidden=self._workspace.resolver.hidden, depth=depth)
                paths = (joined(start, one.path) for one in found)
                return [
                    path for path in paths if any(one.fits(path.split("/")) for one in patterns)
                ]

    def usage(self, path: AnyPath = ".") -> Usage:
        """Return how much room each thing in a folder takes, the largest first.

        Returns
        -------
        Usage
            A table of name, kind, number of files and bytes, with their sum in ``total``.
        """
        with self._workspace.call("usage", path) as call, self._workspace.open_folder(call) as top:
            return usage_of(top, call.path, self._workspace.resolver.hidden)

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
        with self._workspace.call("watch", path) as call, self._workspace.open_folder(call):
            parts = self._workspace.resolver.real_parts(call.root, call.parts)
        place = self._workspace.root.resolve(), parts
        made = Watcher(
            self._workspace.open_root, self._workspace.resolver, place, self._watchers.discard
        )
        self._watchers.add(made)
        if on_change is not None:
            made.start(lambda changes: self._workspace.loop.call(on_change, changes))
        return made

    def close(self) -> None:
        """Close the watchers. Idempotent."""
        for watcher in list(self._watchers):
            watcher.close()
