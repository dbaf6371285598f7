"""A workspace: one folder, how paths in it are resolved, and how calls on it are made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import PermissionDenied
from agentnb.core.files.calls import Call, open_root, opened
from agentnb.core.files.confinement import Confined, Resolver, best
from agentnb.core.files.names import shown
from agentnb.core.files.walking import READ_FOLDER
from agentnb.core.files.writing import ensure_folder
from agentnb.core.hidden import Hidden
from agentnb.core.loop import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from agentnb.core.runtime import Runtime

__all__ = ["AnyPath", "Workspace"]

AnyPath = str | os.PathLike[str]


class Workspace:
    """A folder that no path leaves.

    Parameters
    ----------
    root, max_size, resolver, home, read_only, runtime
        As of `FileSystemManager`.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        max_size: int,
        resolver: Resolver | None,
        home: Path | None,
        read_only: bool,
        runtime: Runtime,
    ) -> None:
        self.folder = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
        self.root = Path(self.folder)
        self.max_size, self.read_only = max_size, read_only
        self.resolver = Confined(resolver or best(), Hidden.below(self.root, home))
        self.loop = LoopThread()
        self._tracer, self._log = runtime.tracer, runtime.log("files")

    def open_root(self) -> int:
        """Return a descriptor of the folder, which is made unless the workspace is read-only."""
        return open_root(self.folder, make=not self.read_only)

    def call(self, name: str, path: AnyPath) -> Call:
        """Return a call that reads."""
        span = self._tracer.span(name, service="files", path=str(path))
        make = not self.read_only
        return Call(self.folder, self.resolver, path, span, name, self._log, make=make)

    def change(self, name: str, path: AnyPath) -> Call:
        """Return a call that changes something.

        Raises
        ------
        PermissionDenied
            The workspace is read-only.
        """
        if self.read_only:
            raise PermissionDenied(
                f"the workspace is read-only; {shown(str(path))} was not changed",
                service="files",
                hint="AGENTNB_WORKSPACE_READONLY=0 lets it be written to",
            )
        return self.call(name, path)

    def destination(self, path: AnyPath) -> Call:
        """Return the second path of a call, within which it is used."""
        return Call(self.folder, self.resolver, path, None)

    def open_folder(self, call: Call) -> AbstractContextManager[int]:
        """Return a descriptor of the folder that a call names, for the length of a block."""
        return opened(call.open(READ_FOLDER))

    def made_folder(self, call: Call, parts: list[str]) -> AbstractContextManager[int]:
        """Return a descriptor of a folder, which is made, for the length of a block."""
        return opened(ensure_folder(self.resolver, call.root, parts))

    def progress(
        self, on_progress: Callable[[int, int], Any] | None, size: int
    ) -> Callable[[int], object]:
        """Return a function that adds up bytes and reports their sum."""
        done = 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if on_progress is not None:
                self.loop.call(on_progress, done, size)

        return step
