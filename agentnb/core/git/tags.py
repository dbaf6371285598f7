"""Tags: make, list and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentnb.core.errors import RejectedError, RevisionNotFound, did_you_mean
from agentnb.core.git import arguments
from agentnb.core.keywords import refuse_unknown
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["Tags"]

_FORMAT: Final = (
    "%(refname:lstrip=2)%00%(objecttype)%00%(creatordate:iso8601-strict)"
    "%00%(objectname)%00%(*objectname)%00%(contents:subject)"
)


@refuse_unknown("git")
class Tags:
    """The tags of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def tags(self) -> Table:
        """Return the tags, the newest first, with the commit that each names."""
        repo = self._repository.open()
        output = repo.run("for-each-ref", f"--format={_FORMAT}", "--sort=-creatordate", "refs/tags")
        rows = []
        for line in output.text.splitlines():
            name, kind, when, sha, target, subject = line.split("\0")
            rows.append((name, kind == "tag", when[:16], (target or sha)[:10], subject))
        columns = ("tag", "annotated", "when", "sha", "subject")
        empty = "no tags: hub.git.create_tag(NAME) (%git tag NAME)"
        return Table(columns, rows, empty=empty)

    def create_tag(
        self, name: str, revision: str = "HEAD", *, message: str | None = None, force: bool = False
    ) -> str:
        """Give a commit a name that stays.

        Parameters
        ----------
        name
            The tag.
        revision
            The commit.
        message
            Make an annotated tag, which has a message, a date and an author. It is not signed.
        force
            Move a tag that is there already.

        Returns
        -------
        str
            The sha of the commit.

        Raises
        ------
        RejectedError
            There is a tag of that name.
        NotFoundError
            There is no such revision.
        ConfigError
            It has a message, and git does not know who you are.
        """
        arguments.message(message)
        arguments.branch(name, "tag")
        repo = self._repository.open()
        sha = repo.sha(revision)
        known = _sha_of(repo, name)
        if known and not force:
            raise RejectedError(
                f"there is a tag {name} already, at {known[:10]}",
                service="git",
                hint=f"choose another name, or move it: hub.git.create_tag({name!r}, force=True) "
                f"(%git tag {name} --force)",
            )
        kind = (
            []
            if message is None
            else ["--annotate", "--cleanup=whitespace", f"--message={message}"]
        )
        move = ["--force"] if force else []
        repo.run("tag", "--no-sign", *kind, *move, "--end-of-options", name, sha)
        return sha

    def delete_tag(self, name: str) -> str:
        """Delete a tag of this repository; a remote keeps its own.

        Returns
        -------
        str
            The sha of the commit that it named.

        Raises
        ------
        NotFoundError
            There is no such tag.
        """
        arguments.branch(name, "tag")
        repo = self._repository.open()
        sha = _sha_of(repo, name)
        if not sha:
            known = [row.tag for row in self.tags()]
            raise RevisionNotFound(
                f"there is no tag {name!r}",
                service="git",
                hint=did_you_mean(name, known) or "hub.git.tags() (%git tag) lists them",
            )
        repo.run("tag", "--delete", "--end-of-options", name)
        return sha


def _sha_of(repo: OpenRepository, name: str) -> str:
    """Return the commit of a tag; ``""`` where there is no such tag."""
    options = ("--verify", "--quiet", f"refs/tags/{name}^{{}}")
    output = repo.run("rev-parse", *options, fine=(0, 1, 128))
    return output.text.strip() if output.code == 0 else ""
