"""Linked work trees: a branch in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.git import arguments, discovery, exclude, locks
from agentnb.core.keywords import refuse_unknown
from agentnb.core.table import Table

if TYPE_CHECKING:
    import os
    from contextlib import AbstractContextManager

    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["Worktrees"]


@refuse_unknown("git")
class Worktrees:
    """The work trees of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def worktree(
        self, directory: str | os.PathLike[str], branch: str, start: str | None = None
    ) -> Repository:
        """Check out a branch into a folder of its own; see `GitManager.worktree`."""
        arguments.branch(branch)
        target = self._repository.new_folder(directory)
        repo = self._repository.open()
        here = repo.run("for-each-ref", "--format=%(refname)", f"refs/heads/{branch}").text.strip()
        if here and start is not None:
            raise RejectedError(
                f"the branch {branch} is there already",
                service="git",
                hint="leave out start, or choose another name for the branch",
            )
        begin = [] if start is None else [arguments.revision(start)]
        words = ["--", str(target), branch] if here else ["-b", branch, "--", str(target), *begin]
        with self._alone(repo):
            repo.run("worktree", "add", "--quiet", *words)
        outer = discovery.find(target.parent, self._repository.options.ceiling)
        if outer is not None and not exclude.hide(outer, target):
            self._repository.log.warning(
                "%s is not left out of %s: info/exclude is a link", target, outer.root
            )
        return self._repository.at(target)

    def _alone(self, repo: OpenRepository) -> AbstractContextManager[None]:
        """Be the only one that adds or removes a work tree: git reads half written ones."""
        return locks.alone(repo.folders.common_dir, self._repository.options.timeout)

    def worktrees(self) -> Table:
        """Return the work trees: folder, branch and last commit."""
        repo = self._repository.open()
        output = repo.run("worktree", "list", "--porcelain", doing="worktree")
        rows = []
        for block in output.text.strip().split("\n\n"):
            about = dict(line.partition(" ")[::2] for line in block.splitlines())
            branch = about.get("branch", "").removeprefix("refs/heads/")
            rows.append((about.get("worktree", ""), branch, about.get("HEAD", "")[:10]))
        return Table(("worktree", "branch", "sha"), rows)

    def remove_worktree(self, directory: str | os.PathLike[str], *, force: bool = False) -> None:
        """Remove a linked work tree; its branch stays.

        Raises
        ------
        RejectedError
            It has changes that are not committed; ``force=True`` drops them.
        """
        repo = self._repository.open()
        target = self._repository.bound(self._repository.path / Path(directory))
        options = ["--force"] if force else []
        with self._alone(repo):
            repo.run("worktree", "remove", *options, "--", str(target), doing="worktree")
        outer = discovery.find(target.parent, self._repository.options.ceiling)
        if outer is not None:
            exclude.unhide(outer, target)
