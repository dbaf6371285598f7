"""One call on the workspace: its span, its descriptor of the root, and its errors."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from agentnb.core.errors import AgentnbError, ConfigError
from agentnb.core.files.confinement import FOLDER
from agentnb.core.files.errors import named, similar, target_of, translated
from agentnb.core.files.names import parts_of
from agentnb.core.files.record import log_done, log_failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from agentnb.core.files.confinement import Confined
    from agentnb.core.trace.servicelog import ServiceLog
    from agentnb.core.trace.spans import Span

__all__ = ["Call", "open_root", "opened"]


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of a block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_root(root: str, *, make: bool = True) -> int:
    """Return a descriptor of the workspace.

    Parameters
    ----------
    root
        Its absolute path, as text: it is opened with every call.
    make
        Whether the folder is created if it does not exist.

    Raises
    ------
    ConfigError
        It is no folder, or cannot be made.
    """
    try:
        try:
            return os.open(root, FOLDER)
        except FileNotFoundError:
            if not make:
                raise
            os.makedirs(root, exist_ok=True)  # noqa: PTH103 - as above
            return os.open(root, FOLDER)
    except OSError as error:
        raise _unusable(root, error) from error


def _unusable(root: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"the workspace {root} cannot be used: {error.strerror}",
        service="files",
        hint="set AGENTNB_WORKSPACE to a folder that you may write to",
    )


class Call:
    """A call, for the length of a ``with`` block.

    Parameters
    ----------
    root
        The workspace, as text.
    resolver
        Opens the files below it.
    path
        The path as the caller gave it.
    span
        The span of the call, entered with it; None for the second path of one.
    name, log
        The operation, and the log for it; without a log nothing is logged.
    make
        Whether the workspace is created if it does not exist.

    Attributes
    ----------
    to
        The path that is moved or copied to, for the log.
    """

    __slots__ = (
        "_log",
        "_make",
        "_name",
        "_path",
        "_resolver",
        "_root_path",
        "_span",
        "parts",
        "path",
        "root",
        "to",
    )

    def __init__(
        self,
        root: str,
        resolver: Confined,
        path: str | os.PathLike[str],
        span: Span | None,
        name: str = "",
        log: ServiceLog | None = None,
        *,
        make: bool = True,
    ) -> None:
        self._root_path, self._resolver, self._path = root, resolver, path
        self._span = span
        self._name, self._log, self._make = name, log, make
        self.to: str | None = None
        self.root = -1

    def __enter__(self) -> Self:
        if self._span is not None:
            self._span.__enter__()
        try:
            self.parts = parts_of(self._path, self._root_path)
            self.path = "/".join(self.parts) or "."
            if (
                self.parts
                and (self._path if type(self._path) is str else str(self._path))[-1] == "/"
            ):
                self.path += "/"
            self.root = open_root(self._root_path, make=self._make)
            if self._resolver.hidden.may_hide(self.path):
                self._resolver.refuse_hidden(self.root, self.parts)
        except OSError as error:
            if isinstance(error, AgentnbError):
                self._abandon(error)
                raise
            ours = translated(error, self.path)
            self._abandon(ours)
            raise ours from error
        except BaseException as error:
            self._abandon(error)
            raise
        return self

    def _abandon(self, error: BaseException) -> None:
        """End a call that has not begun."""
        if self.root >= 0:
            os.close(self.root)
        self._tell(str(self._path), error)
        self._end(error)

    def open(self, flags: int) -> int:
        """Return a descriptor of the file or folder."""
        return self._resolver.open(self.root, self.parts, flags, checked=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, OSError) and not isinstance(error, AgentnbError):
                theirs, error = error, self._translated(error)
                self._tell(self.path, error)
                raise error from theirs
            if isinstance(error, AgentnbError):
                named(error, self.path)
            self._tell(self.path, error)
        finally:
            if self.root >= 0:
                os.close(self.root)
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if self._span is not None:
            if self.to is not None:
                self._span.note(to=self.to)
            self._span.__exit__(None if error is None else type(error), error, None)

    def note(self, **attributes: object) -> None:
        """Add attributes to the span of the call."""
        if self._span is not None:
            self._span.note(**attributes)

    def _tell(self, path: str, error: BaseException | None) -> None:
        """Log how it ended; an interrupt is the caller's own."""
        if self._log is None:
            return
        if error is None:
            log_done(self._log, self._name, path, self.to)
        elif isinstance(error, Exception):
            log_failed(self._log, self._name, path, self.to, error)

    def _translated(self, error: OSError) -> AgentnbError:
        if error.errno != errno.ENOENT:
            return translated(error, self.path)
        here = self._resolver, self.root, self.parts
        target = target_of(*here)
        near = similar(*here) if target is None else None
        return translated(error, self.path, near=near, target=target)
