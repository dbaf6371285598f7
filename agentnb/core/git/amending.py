"""Replace the last commit, unless others have it already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError, RevisionNotFound
from agentnb.core.git import operations

if TYPE_CHECKING:
    from agentnb.core.git.opened import OpenRepository

__all__ = ["check"]


def check(repo: OpenRepository, *, force: bool, reworded: bool) -> None:
    """Refuse to replace a commit that others have, or by the same one.

    Raises
    ------
    RejectedError
        A remote has it, an operation waits to be ended, or nothing would change.
    ConfigError
        The branch is protected.
    NotFoundError
        There is no commit yet.
    """
    operations.refuse_during(repo.folders, "amending")
    repo.refuse_protected("commits")
    sha = repo.head()
    if not sha:
        raise RevisionNotFound(
            "there is no commit yet", service="git", hint="hub.git.commit(MESSAGE)"
        )
    options = ("--count=1", "--format=%(refname:lstrip=2)", f"--contains={sha}")
    remote = repo.run("for-each-ref", *options, "refs/remotes").text.strip()
    if remote and not force:
        raise RejectedError(
            f"{remote} has the commit {sha[:10]} already",
            service="git",
            hint="make another commit; or replace it here, force=True (--force), and then "
            "replace it there: hub.git.push(force=True) (%git push --force)",
        )
    if not reworded and not repo.status().staged:
        raise RejectedError(
            "nothing is staged, and there is no new message: the commit would stay the same",
            service="git",
            hint="stage files first: hub.git.add_files([...]) (%git add PATH), or give a message",
        )
