"""The other trees that git enters from one: linked work trees, and submodules.

A command that changes a work tree may start git in them, with settings that are read there only.
So those are looked at before it runs, as the repository's own are.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentnb.core.git import discovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.git.config import Config
    from agentnb.core.git.discovery import Folders

__all__ = ["in_work_tree", "submodules", "work_tree_settings"]

_LINK: Final = b"\0\0\xe0\0"
"""The mode of an entry of the index that is another repository."""


def work_tree_settings(found: Folders, config: Config) -> list[Path]:
    """Return the settings that belong to one of the repository's other work trees."""
    if not config.has("extensions", "", "worktreeconfig"):
        return []
    folders = [found.common_dir, *_children(found.common_dir / "worktrees")]
    files = [folder / "config.worktree" for folder in folders if folder != found.git_dir]
    return [file for file in files if os.path.lexists(file)]


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def submodules(
    found: Folders, index: Path, listed: Callable[..., bytes], *, every: bool
) -> Iterator[Folders]:
    """Yield the repositories in a work tree that git would run in, those in them included.

    Parameters
    ----------
    found
        The repository.
    index
        Its index.
    listed
        Returns what ``git ls-files -z`` says with some options, in a repository.
    every
        Look for those too that the index does not have yet.

    Raises
    ------
    ConfigError
        One of them is no repository.
    """
    if not every and not _has_links(index):
        return
    options = ("--stage", "--others") if every else ("--stage",)
    for line in listed(found, index, *options).split(b"\0"):
        about, _, path = line.rpartition(b"\t")
        if about.startswith(b"160000 ") or (not about and path.endswith(b"/")):
            folder = found.root / os.fsdecode(path)
            if os.path.lexists(folder / ".git"):
                inner = discovery.at(folder.resolve())
                yield inner
                yield from submodules(inner, inner.git_dir / "index", listed, every=False)


def _has_links(index: Path) -> bool:
    """Return whether an index may have other repositories, without reading its entries."""
    folder = index.parent
    shared = [folder / name for name in os.listdir(folder) if name.startswith("sharedindex.")]  # noqa: PTH208 - names
    for file in (index, *shared):
        with contextlib.suppress(FileNotFoundError):
            if _LINK in file.read_bytes():
                return True
    return False


def in_work_tree(file: Path, root: Path) -> bool:
    """Return whether a file may change when git checks something out.

    >>> from pathlib import Path
    >>> in_work_tree(Path("/srv/app/tools/config"), Path("/srv/app"))
    True
    >>> in_work_tree(Path("/srv/app/.git/config"), Path("/srv/app"))
    False
    """
    for path in (os.path.normpath(file), os.path.realpath(file)):
        inner = Path(os.path.relpath(path, root)).parts
        if inner[0] != os.pardir and ".git" not in inner:
            return True
    return False
