"""Stashes: changes that are put aside, and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import NotFoundError, RejectedError
from agentnb.core.git import operations
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.git.diff import Diff
    from agentnb.core.git.repository import Repository

__all__ = ["Stashes"]


@refuse_unknown("git")
class Stashes:
    """The stashes of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def stash(self, message: str = "", *, untracked: bool = True) -> bool:
        """Stash changes, so that the files are those of the last commit.

        Parameters
        ----------
        message
            A description.
        untracked
            Stash untracked files too.

        Returns
        -------
        bool
            Whether there was anything to stash.
        """
        repo = self._repository.open()
        operations.refuse_during(repo.folders, "stash")  # git would forget what it merges
        options = ["--include-untracked"] if untracked else []
        if message:
            options.append(f"--message={message}")
        # Git removes the new files by the path ":/", which is none where paths are literal.
        output = repo.run("stash", "push", *options, variables={"GIT_LITERAL_PATHSPECS": "0"})
        return "No local changes" not in output.text + output.err

    def stashes(self) -> Table:
        """Return the stashes, the newest first."""
        output = self._repository.run(
            "stash", "list", "-z", "--format=%gd%x00%aI%x00%gs", doing="stash"
        )
        fields = output.text.split("\0")
        rows = list(zip(*[iter(fields)] * 3, strict=False))
        return Table(("stash", "when", "what"), rows, empty="nothing is stashed")

    def stash_pop(self, number: int = 0) -> None:
        """Apply a stash and drop it.

        Parameters
        ----------
        number
            The stash; 0 is the newest.

        Raises
        ------
        RejectedError
            It conflicts with the files; the stash is kept. If the changes of both are in the
            files then, the error lists these: see `conflicts`.
        NotFoundError
            There is no such stash.
        """
        self._unstash("pop", number)

    def stash_apply(self, number: int = 0) -> None:
        """Apply a stash and keep it.

        Parameters
        ----------
        number
            The stash; 0 is the newest.

        Raises
        ------
        RejectedError, NotFoundError
            As `stash_pop`.
        """
        self._unstash("apply", number)

    def stash_drop(self, number: int = 0) -> str:
        """Drop a stash.

        Parameters
        ----------
        number
            The stash; 0 is the newest. The later ones move up by one.

        Returns
        -------
        str
            The sha of the stash: ``git stash apply SHA`` still applies it for a while.

        Raises
        ------
        NotFoundError
            There is no such stash.
        """
        name, repo = self._stash_name(number), self._repository.open()
        sha = repo.run("rev-parse", "--verify", name, doing="stash").text.strip()
        repo.run("stash", "drop", "--quiet", name, doing="stash")
        return sha

    def stash_show(self, number: int = 0) -> Diff:
        """Return a stash as a difference, new files included.

        Parameters
        ----------
        number
            The stash; 0 is the newest.

        Raises
        ------
        NotFoundError
            There is no such stash.
        """
        return self._repository.open().comparer().stash(self._stash_name(number))

    def _stash_name(self, number: int) -> str:
        number = whole("number", number, service="git", least=0)
        count = len(self.stashes())
        if number >= count:
            raise NotFoundError(
                f"there is no stash {number}" if count else "nothing is stashed",
                service="git",
                hint=f"there are {count:,}, numbered from 0: hub.git.stashes() (%git stash list)"
                if count
                else "hub.git.stash() (%git stash) puts changes aside",
            )
        return f"stash@{{{number}}}"

    def _unstash(self, doing: str, number: int) -> None:
        name, repo = self._stash_name(number), self._repository.open()
        operations.refuse_during(repo.folders, f"stash {doing}")
        try:
            repo.run("stash", doing, "--quiet", name, doing="stash")
        except RejectedError as error:
            files = [repo.shown(path) for path in repo.unmerged()]
            if not files:
                raise
            raise RejectedError(
                f"the stash is in the files now, and in conflict in {', '.join(files)}; "
                "it is kept as well",
                service="git",
                hint=operations.advice("", conflicts=True)
                + f"; then forget the stash: hub.git.stash_drop({number}) "
                f"(%git stash drop {number})",
            ) from error
