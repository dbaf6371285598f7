"""The managers of a hub: of the working directory, and of folders in the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.git import discovery
from agentnb.core.git.manager import GitManager
from agentnb.core.git.repository import call_threads
from agentnb.core.hidden import Hidden

if TYPE_CHECKING:
    import os

__all__ = ["Repositories"]


class Repositories:
    """Makes managers, and keeps one for each folder.

    Parameters
    ----------
    workspace
        The folder that `under` does not leave.
    home
        The hub's home, which is hidden where it lies in the workspace.
    **options
        As `GitManager` takes them.
    """

    def __init__(self, *, workspace: Path, home: Path | None = None, **options: Any) -> None:
        self._workspace = workspace
        self._hidden = Hidden.below(workspace, home)
        self._threads = call_threads()
        self._options = {"threads": self._threads, **options}
        self._lock = new_lock()
        self._known: dict[tuple[Path, Path | None], GitManager] = {}

    def current(self) -> GitManager:
        """Return the manager of the working directory, whichever that is by now.

        Raises
        ------
        NotFoundError
            It no longer exists.
        """
        try:
            folder = Path.cwd()
        except FileNotFoundError as error:
            raise NotFoundError(
                "the working directory no longer exists",
                service="git",
                hint="change to one that does: %cd, or os.chdir(...)",
            ) from error
        return self._manager(folder, None)

    def under(self, path: str | os.PathLike[str]) -> GitManager:
        """Return the manager of a folder in the workspace; it need not exist yet.

        Raises
        ------
        UsageError
            It is outside of the workspace, or in what is hidden there, such as the home.
        """
        workspace = self._workspace.resolve()
        if Path(path).is_absolute() and not discovery.inside(
            discovery.resolved(Path(path)), workspace
        ):
            raise UsageError(
                f"{path} is outside of the workspace {workspace}",
                service="git",
                hint="name a folder in it, or set AGENTNB_WORKSPACE",
            )
        return self._manager(workspace / path, workspace)

    def _manager(self, path: Path, ceiling: Path | None) -> GitManager:
        key = path, ceiling
        with self._lock:
            found = self._known.get(key)
        if found is None:
            found = GitManager(path, ceiling=ceiling, hidden=self._hidden, **self._options)
            with self._lock:
                found = self._known.setdefault(key, found)
        return found

    def ping(self) -> str:
        """Return git's version, asked for now."""
        return GitManager(Path("/"), **self._options).ping()

    def close(self) -> None:
        """Forget the managers, which hold nothing open."""
        self._threads.close()
        with self._lock:
            self._known.clear()
