"""Branches: list, make, delete and switch to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentnb.core.errors import NotFoundError, RevisionNotFound, did_you_mean
from agentnb.core.git import arguments
from agentnb.core.keywords import refuse_unknown
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.git.repository import Repository

__all__ = ["Branches"]

_BRANCH: Final = (
    "%(HEAD)%00%(refname:lstrip=2)%00%(upstream:lstrip=2)%00%(upstream:track,nobracket)"
    "%00%(committerdate:iso8601-strict)%00%(objectname)%00%(contents:subject)"
)


@refuse_unknown("git")
class Branches:
    """The branches of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def branches(self) -> Table:
        """Return the branches, with their upstream and their last commit."""
        repo = self._repository.open()
        output = repo.run(
            "for-each-ref", f"--format={_BRANCH}", "--sort=-committerdate", "refs/heads"
        )
        rows = []
        for line in output.text.splitlines():
            head, name, upstream, track, when, sha, subject = line.split("\0")
            rows.append((name, head == "*", upstream, track, when[:16], sha[:10], subject))
        columns = ("branch", "current", "upstream", "track", "when", "sha", "subject")
        return Table(columns, rows, empty="no branches: they begin with the first commit")

    def names(self) -> list[str]:
        """Return the names of local and remote-tracking branches, and of tags."""
        repo = self._repository.open()
        output = repo.run(
            *("for-each-ref", "--format=%(refname:lstrip=2)"),
            *("refs/heads", "refs/tags", "refs/remotes"),
        )
        return list(dict.fromkeys(output.text.split()))

    def create_branch(self, name: str, start: str | None = None, *, switch: bool = True) -> None:
        """Create a branch and, by default, switch to it.

        Parameters
        ----------
        name
            Its name.
        start
            The revision that it begins at; by default the current commit.
        switch
            Whether to switch to it.

        Raises
        ------
        RejectedError
            There is a branch of that name.
        NotFoundError
            There is no such revision.
        """
        arguments.branch(name)
        begin = [] if start is None else [arguments.revision(start)]
        repo = self._repository.open()
        if switch:
            repo.run("switch", "--quiet", "--create", name, *begin, doing="branch")
        else:
            repo.run("branch", "--quiet", "--end-of-options", name, *begin)
        self._repository.say("branch created", branch=name)

    def delete_branch(self, name: str, *, force: bool = False) -> None:
        """Delete a branch.

        Parameters
        ----------
        name
            Its name.
        force
            Delete it even if it has commits that no other branch has.

        Raises
        ------
        RejectedError
            It is the current one, or has commits of its own.
        ConfigError
            It is protected.
        """
        arguments.branch(name)
        repo = self._repository.open()
        repo.refuse_protected("deletion", name)
        how = "-D" if force else "-d"
        repo.run("branch", "--quiet", how, "--end-of-options", name, doing="branch")

    def switch(self, name: str, *, create: bool = False) -> None:
        """Switch to a branch; one that only a remote has is created here.

        Parameters
        ----------
        name
            The branch.
        create
            Create it first.

        Raises
        ------
        NotFoundError
            There is no such branch.
        RejectedError
            Changes that are not committed would be lost.
        """
        if create:
            self.create_branch(name)
            return
        arguments.branch(name)
        try:
            self._repository.run("switch", "--quiet", "--no-recurse-submodules", name)
        except NotFoundError as error:
            known = [each for each in self.names() if each != name]
            raise RevisionNotFound(
                f"there is no branch {name!r}",
                service="git",
                hint=did_you_mean(name, known)
                or f"make it: hub.git.create_branch({name!r}) (%git switch -c {name})",
            ) from error
