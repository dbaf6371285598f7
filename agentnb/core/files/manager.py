"""The workspace: files that agents read and write, and nothing outside of it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Self, overload

from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import aleave, leave
from agentnb.core.delegate import delegate
from agentnb.core.files.calls import opened
from agentnb.core.files.ledger import FileLedger, MemoryLedger
from agentnb.core.files.limits import Measure, Quota, measure
from agentnb.core.files.reader import FileReader
from agentnb.core.files.walking import READ_FOLDER
from agentnb.core.files.workspace import AnyPath, Workspace
from agentnb.core.files.writer import FileWriter
from agentnb.core.keywords import refuse_unknown
from agentnb.core.runtime import Runtime
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.methods import on_tapes
from agentnb.core.twins import await_method, twin

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.files.confinement import Resolver
    from agentnb.core.files.ledger import Ledger

__all__ = ["FileSystemManager"]

_CALLS = 16
"""Awaited calls that run at once."""


_TAPED = (
    *("resolve_path", "exists", "head", "hash_file", "list", "read_file", "aread_file"),
    *("ensure_directory", "write_file", "append", "edit", "delete", "move", "copy_file"),
    "copy_directory",
)
_REFUSED = {
    "glob": "names that are found one by one are not recorded",
    "watch": "watches are not recorded",
    "usage": "the sizes of a workspace are not recorded",
}


@on_tapes("files", "_redactor", dict.fromkeys(_TAPED, lambda _: VALUE), refused=_REFUSED)
@refuse_unknown("files")
class FileSystemManager:
    """Reads and writes files below one folder, and never leaves it.

    Paths are relative to that folder, with ``/`` between names. Links are followed while they
    stay inside; a path, link or race that leads out is a `PathEscape`. Only regular files are
    read and written; a FIFO or a device is refused. ``.agentnb``, ``.env`` and ``.git`` are hidden
    at any depth: a path that goes through one is a `PathEscape`, and lists leave them out.
    Thread-safe. `aread_file` awaits `read_file`, and so on: 16 awaited calls run at once, and one
    that is cancelled ends first.

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
        runtime = runtime or Runtime()
        self._redactor = runtime.redactor
        self._workspace = Workspace(
            root,
            max_size=max_size,
            resolver=resolver,
            home=home,
            read_only=read_only,
            runtime=runtime,
        )
        ledger = _ledger(self._workspace.folder, home)
        self._quota = Quota(quota, lambda: _measure(self._workspace), ledger)
        self._reader = FileReader(self._workspace)
        self._writer = FileWriter(self._workspace, self._quota)
        # A caller that is cancelled knows that nothing is written after it.
        self._call_threads = CallThreads("files", limit=_CALLS, finish=True)

    @property
    def root(self) -> Path:
        """The folder, absolute."""
        return self._workspace.root

    @property
    def max_size(self) -> int:
        """The largest file that is read or written, in bytes; 0 is no limit."""
        return self._workspace.max_size

    @max_size.setter
    def max_size(self, size: int) -> None:
        self._workspace.max_size = size

    @property
    def quota(self) -> int:
        """Bytes that all files together may have; 0 is no limit."""
        return self._quota.limit

    @property
    def read_only(self) -> bool:
        """Whether everything that changes something is refused."""
        return self._workspace.read_only

    @read_only.setter
    def read_only(self, read_only: bool) -> None:
        self._workspace.read_only = read_only

    @property
    def confined_by(self) -> str:
        """The mechanism that keeps paths inside: ``openat2`` or ``walk``."""
        return self._workspace.resolver.name

    # Reading

    resolve_path = delegate("_reader", FileReader.resolve_path)
    exists = delegate("_reader", FileReader.exists)
    head = delegate("_reader", FileReader.head)
    hash_file = delegate("_reader", FileReader.hash_file)
    list = delegate("_reader", FileReader.list)
    glob = delegate("_reader", FileReader.glob)
    usage = delegate("_reader", FileReader.usage)
    watch = delegate("_reader", FileReader.watch)
    aresolve_path = twin(resolve_path)
    aexists = twin(exists)
    ahead = twin(head)
    ahash_file = twin(hash_file)
    alist = twin(list)  # noqa: A003 - the method
    aglob = twin(glob)
    ausage = twin(usage)
    awatch = twin(watch, callbacks=("on_change",))

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
        r"""Return the content of a file, or of a part of it.

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
            The number of the first or the last lines; fewer if the file has fewer. A line ends
            with ``\n``.
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
        return self._reader.read_file(
            path,
            encoding=encoding,
            head=head,
            tail=tail,
            lines=lines,
            offset=offset,
            length=length,
        )

    @overload
    async def aread_file(
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
    async def aread_file(
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
    async def aread_file(
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
        """Await `read_file`."""
        return await await_method(
            self,
            self._reader.read_file,
            path,
            encoding=encoding,
            head=head,
            tail=tail,
            lines=lines,
            offset=offset,
            length=length,
        )

    # Changing

    ensure_directory = delegate("_writer", FileWriter.ensure_directory)
    write_file = delegate("_writer", FileWriter.write_file)
    append = delegate("_writer", FileWriter.append)
    edit = delegate("_writer", FileWriter.edit)
    delete = delegate("_writer", FileWriter.delete)
    move = delegate("_writer", FileWriter.move)
    copy_file = delegate("_writer", FileWriter.copy_file)
    copy_directory = delegate("_writer", FileWriter.copy_directory)
    aensure_directory = twin(ensure_directory)
    awrite_file = twin(write_file)
    aappend = twin(append)
    aedit = twin(edit)
    adelete = twin(delete)
    amove = twin(move)
    acopy_file = twin(copy_file, callbacks=("on_progress",))
    acopy_directory = twin(copy_directory, callbacks=("on_progress",))

    def ping(self) -> None:
        """Check that the workspace can be used.

        Raises
        ------
        ConfigError
            It is no folder, or cannot be made.
        """
        os.close(self._workspace.open_root())

    aping = twin(ping)

    def close(self) -> None:
        """Close the watchers. Idempotent."""
        self._reader.close()
        self._workspace.loop.close()
        self._call_threads.close()

    aclose = twin(close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"


def _ledger(root: str, home: Path | None) -> Ledger:
    """Return where the bytes of a workspace are counted."""
    if home is None:
        return MemoryLedger()
    name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
    return FileLedger(home / "files", name)


def _measure(workspace: Workspace) -> Measure:
    """Return the bytes and the files of a workspace."""
    with (
        opened(workspace.open_root()) as root,
        opened(workspace.resolver.open(root, [], READ_FOLDER)) as top,
    ):
        return measure(top, sweeping=True, hidden=workspace.resolver.hidden)
