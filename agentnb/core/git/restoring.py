"""Discarding changes of files: they become as staged, or as in a commit."""

from __future__ import annotations

import os
from shlex import quote
from typing import TYPE_CHECKING

from agentnb.core.errors import FileNotFound, RejectedError
from agentnb.core.git import arguments, operations
from agentnb.core.git.opened import listed
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["Restorer"]


@refuse_unknown("git")
class Restorer:
    """Discards changes of files.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def restore(
        self,
        paths: str | os.PathLike[str] | list[str],
        *,
        source: str | None = None,
        dry_run: bool = False,
    ) -> list[str]:
        """Discard the changes of files: restore them as staged, or as in a commit.

        Discarded changes are lost. Staged changes, the branch and untracked files stay as they
        are.

        Parameters
        ----------
        paths
            Files, taken literally; a folder is every file in it that git knows.
        source
            The revision that they are taken from; by default what is staged. A file that git
            knows and that the revision does not have is removed.
        dry_run
            Change nothing, and return the files that would be changed.

        Returns
        -------
        list of str
            The files that were changed; none where all were so already.

        Raises
        ------
        NotFoundError
            Git does not know one of the files, or there is no such revision.
        RejectedError
            A file is in conflict, or a file that git does not know is in the place of one.
        """
        given = arguments.paths(paths)
        repo = self._repository.open()
        conflicts = [repo.shown(path) for path in repo.unmerged(given)]
        if conflicts:
            raise RejectedError(
                f"in conflict: {listed(conflicts)}",
                service="git",
                hint=operations.advice("", conflicts=True),
            )
        at = [] if source is None else [repo.sha(source)]
        _refuse_unknown(repo, given, at)
        options = ("--name-only", "--no-renames", "-z", "--ignore-submodules=all", "--no-ext-diff")
        output = repo.run("diff", *options, *at, "--", *given, doing="restore")
        changed = output.text.split("\0")[:-1]
        if changed and not dry_run:
            _refuse_untracked(repo, changed)
            origin = [f"--source={sha}" for sha in at]
            words = ("restore", "--quiet", "--worktree", "--no-overlay", "--no-recurse-submodules")
            repo.run_on((*words, *origin), changed)
        return [repo.shown(path) for path in changed]


def _refuse_unknown(repo: OpenRepository, paths: Sequence[str], at: Sequence[str]) -> None:
    """Refuse paths that are neither staged nor in the commit.

    Raises
    ------
    NotFoundError
        There is one.
    """
    for path in paths:
        if repo.run("ls-files", "-z", "--", path).out:
            continue
        if at and repo.run("ls-tree", "-z", "--name-only", *at, "--", path).out:
            continue
        where = f"in {at[0][:10]}" if at else "staged or committed"
        raise FileNotFound(
            f"there is no {path} {where}: nothing to restore it from",
            service="git",
            hint="hub.git.status() (%git status) lists what has changed; a file that git does "
            f"not know is removed by hub.files.delete({path!r}) (%files rm {quote(path)})",
        )


def _refuse_untracked(repo: OpenRepository, changed: Sequence[str]) -> None:
    """Refuse to overwrite untracked files.

    Git itself removes such a file, or a folder of them, without a word.

    Raises
    ------
    RejectedError
        There are some.
    """
    there = list(dict.fromkeys(_in_the_way(repo, changed)))
    found = repo.run_on(("ls-files", "--others", "-z", "--full-name"), there, doing="restore")
    if found:
        lost = listed([repo.shown(path) for path in found])
        raise RejectedError(
            f"files that git does not know would be lost: {lost}",
            service="git",
            hint="move them away first",
        )


def _in_the_way(repo: OpenRepository, changed: Sequence[str]) -> Iterator[str]:
    """Yield the paths that exist, and the files that stand in the place of their folders."""
    for path in changed:
        parts = path.split("/")
        for length in range(1, len(parts)):
            folder = "/".join(parts[:length])
            full = repo.folders.root / folder
            if full.is_symlink() or (full.exists() and not full.is_dir()):
                yield folder
                break
        else:
            if os.path.lexists(repo.folders.root / path):
                yield path
