"""Discovery of a repository: its work tree and its folders, searched up to a ceiling."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, RejectedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.hidden import Hidden

__all__ = ["Folders", "at", "bare", "bound", "find", "inside"]

_LONGEST_POINTER = 1 << 20


@dataclass(frozen=True, slots=True)
class Folders:
    """A repository on disk.

    Parameters
    ----------
    root
        The top of the work tree.
    git_dir
        Its ``.git``, or what the file of that name points to.
    common_dir
        Where objects, branches and settings are; another one in a linked work tree.
    """

    root: Path
    git_dir: Path
    common_dir: Path

    def environment(self) -> dict[str, str]:
        """Return the environment variables that bind git to this repository."""
        found = {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(self.root)}
        if self.common_dir != self.git_dir:
            found["GIT_COMMON_DIR"] = str(self.common_dir)
        return found

    def of_others(self) -> list[Path]:
        """Return the folders in which git has to judge whether it may trust another's files.

        With what `environment` returns it would no longer ask who owns them.
        """
        me = os.geteuid()
        here = (self.root, self.root / ".git", self.git_dir)
        found = [self.root] if any(part.lstat().st_uid != me for part in here) else []
        if self.common_dir != self.git_dir and self.common_dir.stat().st_uid != me:
            found.append(self.common_dir)
        return found

    def tip(self) -> str:
        """Return the last commit as its branch's own file has it, without running git.

        ``""`` where there is no such file: no commit yet, or the branch is packed. A commit writes
        the file in either case.
        """
        try:
            head = _pointer(self.git_dir / "HEAD").strip()
            name = head.removeprefix("ref:").strip()
            return head if name == head else _pointer(self.common_dir / name).strip()
        except OSError:
            return ""


def find(path: Path, ceiling: Path | None = None) -> Folders | None:
    """Return the repository that a folder belongs to, or None.

    Parameters
    ----------
    path
        An absolute folder; one that does not exist belongs to none.
    ceiling
        The highest folder that is looked at; the repository's parts must be below it too.

    Raises
    ------
    ConfigError
        ``.git`` is no repository, or points out of the ceiling.
    """
    for folder in (path, *path.parents):
        marker = folder / ".git"
        if os.path.lexists(marker):
            return _place(folder, marker, ceiling)
        if ceiling is not None and folder == ceiling:
            return None
    return None


def at(root: Path) -> Folders:
    """Return the repository whose work tree a folder is.

    Raises
    ------
    ConfigError
        It is none.
    """
    return _place(root, root / ".git", None)


def bare(path: Path) -> Path | None:
    """Return the repository without a work tree that a folder is, or is in."""
    for folder in (path, *path.parents):
        if (folder / "HEAD").is_file() and all(
            (folder / name).is_dir() for name in ("objects", "refs")
        ):
            return folder
    return None


def _place(root: Path, marker: Path, ceiling: Path | None) -> Folders:
    git_dir = marker
    if marker.is_file():
        text = _pointer(marker)
        if not text.startswith("gitdir: "):
            raise ConfigError(
                f"{marker} does not point to a repository",
                service="git",
                hint="remove the file, and initialize again: hub.git.initialize() (%git init)",
            )
        git_dir = root / text.removeprefix("gitdir: ")
    common = git_dir
    if (git_dir / "commondir").is_file():
        common = git_dir / _pointer(git_dir / "commondir")
    git_dir, common = git_dir.resolve(), common.resolve()
    if not (git_dir / "HEAD").exists() and not (git_dir / "HEAD").is_symlink():
        raise ConfigError(
            f"{marker} is there, and is no repository",
            service="git",
            hint="remove it, and git init again",
        )
    if ceiling is not None:
        for part in (git_dir, common, (common / "objects").resolve()):
            if not inside(part, ceiling):
                raise ConfigError(
                    f"the repository of {root} lies elsewhere: {part}",
                    service="git",
                    hint=f"it has to be in {ceiling}",
                )
    return Folders(root, git_dir, common)


def _pointer(path: Path) -> str:
    with path.open("rb") as file:
        # As git reads it: a space at the end belongs to the name.
        return os.fsdecode(file.read(_LONGEST_POINTER)).rstrip("\r\n")


def inside(path: Path, ceiling: Path) -> bool:
    """Return whether a path without links is the ceiling or below it.

    >>> from pathlib import Path
    >>> inside(Path("/srv/app"), Path("/srv")), inside(Path("/srv2"), Path("/srv"))
    (True, False)
    """
    return path == ceiling or ceiling in path.parents


def resolved(path: Path) -> Path:
    """Return a path without links.

    Raises
    ------
    UsageError
        No file can have it: it is too long, has a NUL or a lone surrogate, or ends in a ring.
    """
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.lstat()
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{path!s:.200} is no path: {error}",
            service="git",
            hint="name another folder, without NUL and links in a ring",
        ) from error


def make(folder: Path) -> None:
    """Make a folder, with those around it, unless it is there.

    Raises
    ------
    RejectedError
        It cannot be made, such as where a file is in its place.
    """
    missing = []
    at = folder
    try:
        while not at.is_dir():
            missing.append(at)
            at = at.parent
        for each in reversed(missing):
            at = each
            at.mkdir(exist_ok=True)
    except OSError as error:
        raise RejectedError(
            f"the folder {at!s:.200} cannot be made: {error.strerror}",
            service="git",
            hint="name another folder",
        ) from error


def bound(path: Path, ceiling: Path | None, hidden: Hidden) -> Path:
    """Return a folder without links.

    Raises
    ------
    UsageError
        It is not below the ceiling.
    PathEscape
        It is hidden there, as the home is, whose files run as code later.
    """
    found = resolved(path)
    if ceiling is not None and not inside(found, ceiling):
        raise UsageError(
            f"{path} is outside of {ceiling}", service="git", hint="name a folder below it"
        )
    if ceiling is not None:
        hidden.refuse_real(found, ceiling)
    return found
