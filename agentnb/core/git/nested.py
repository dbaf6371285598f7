"""Repositories in a work tree that are no submodules of it.

Git would take one as a link to a commit that nobody else can find: a clone has an empty folder
in its place, and every command about submodules fails there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agentnb.core.git.opened import OpenRepository

__all__ = ["Committed", "LeftOut", "declared", "enclosing", "patterns", "refusal", "repositories"]


class LeftOut(tuple[str, ...]):
    """Paths that were not staged, since they are repositories of their own."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "nothing was left out"
        return (
            f"left out, a repository of its own: {', '.join(self)} "
            "(to have it with this one: git submodule add, in a terminal)"
        )


class Committed(str):  # noqa: SLOT000 - it carries what was left out
    """The sha of a commit, and the repositories that were left out of it."""

    left_out = LeftOut()

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{self.left_out}" if self.left_out else super().__repr__()


def enclosing(folder: Path, paths: Iterable[str], root: Path) -> tuple[str, Path] | None:
    """Return the first path that is inside of another repository, and that repository."""
    for path in paths:
        whole = os.path.normpath(folder / path)
        above = os.path.dirname(whole)  # noqa: PTH120 - of a name, links and all
        while len(above) > len(str(root)):
            if os.path.lexists(os.path.join(above, ".git")):  # noqa: PTH118
                return path, type(folder)(above)
            above = os.path.dirname(above)  # noqa: PTH120
    return None


def repositories(listed: str, inner: set[str]) -> list[str]:
    r"""Return the repositories in the output of ``git ls-files -z --others``, except submodules.

    >>> repositories("a.py\0tools/x/\0sub/\0", {"sub"})
    ['tools/x']
    """
    found = [os.path.normpath(path) for path in listed.split("\0") if path.endswith("/")]
    return [path for path in found if path not in inner]


def declared(repo: OpenRepository) -> set[str]:
    """Return the folders of the submodules that ``.gitmodules`` has."""
    file = repo.folders.root / ".gitmodules"
    if not file.is_file() or file.is_symlink():
        return set()
    listed = repo.run("config", "--file", str(file), "--null", "--list", doing="add").text
    entries = (entry.partition("\n") for entry in listed.split("\0"))
    return {
        os.path.normpath(repo.shown(path))
        for key, _, path in entries
        if key.startswith("submodule.") and key.endswith(".path")
    }


def refusal(path: str) -> RejectedError:
    """Return the error for a repository that was asked for by its name."""
    return RejectedError(
        f"{path} is a repository of its own: a clone of this one would not have its files",
        service="git",
        hint=f"to have it as a submodule, in a terminal: git submodule add URL {path}; "
        f"to leave it out for good, add it to .gitignore",
    )


def patterns(paths: Sequence[str], left: Sequence[str]) -> list[str]:
    """Return the patterns of some paths that exclude some paths below them."""
    return [f":(literal){path}" for path in paths] + [f":(exclude,literal){path}" for path in left]
