"""Tags: make, list and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentnb.core.errors import NotFoundError, RejectedError, did_you_mean
from agentnb.core.git import arguments
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.git.opened import OpenRepository

__all__ = ["create", "delete", "listed"]

_FORMAT: Final = (
    "%(refname:lstrip=2)%00%(objecttype)%00%(creatordate:iso8601-strict)"
    "%00%(objectname)%00%(*objectname)%00%(contents:subject)"
)


def listed(repo: OpenRepository) -> Table:
    """Return the tags; see `GitManager.tags`."""
    output = repo.run("for-each-ref", f"--format={_FORMAT}", "--sort=-creatordate", "refs/tags")
    rows = []
    for line in output.text.splitlines():
        name, kind, when, sha, target, subject = line.split("\0")
        rows.append((name, kind == "tag", when[:16], (target or sha)[:10], subject))
    columns = ("tag", "annotated", "when", "sha", "subject")
    empty = "no tags: %git tag NAME, or hub.git.create_tag(NAME)"
    return Table(columns, rows, empty=empty)


def create(
    repo: OpenRepository, name: str, revision: str, *, message: str | None, force: bool
) -> str:
    """Make a tag and return the commit; see `GitManager.create_tag`."""
    arguments.branch(name, "tag")
    sha = repo.sha(revision)
    known = _sha_of(repo, name)
    if known and not force:
        raise RejectedError(
            f"there is a tag {name} already, at {known[:10]}",
            service="git",
            hint=f"choose another name, or move it: hub.git.create_tag({name!r}, force=True) "
            f"(%git tag {name} --force)",
        )
    kind = [] if message is None else ["--annotate", "--cleanup=whitespace", f"--message={message}"]
    move = ["--force"] if force else []
    repo.run("tag", "--no-sign", *kind, *move, "--end-of-options", name, sha)
    return sha


def delete(repo: OpenRepository, name: str) -> str:
    """Delete a tag and return the commit that it named; see `GitManager.delete_tag`."""
    arguments.branch(name, "tag")
    sha = _sha_of(repo, name)
    if not sha:
        known = [row.tag for row in listed(repo)]
        raise NotFoundError(
            f"there is no tag {name!r}",
            service="git",
            hint=did_you_mean(name, known) or "hub.git.tags() (%git tag) lists them",
        )
    repo.run("tag", "--delete", "--end-of-options", name)
    return sha


def _sha_of(repo: OpenRepository, name: str) -> str:
    """Return what a tag names, ``""`` where there is no such tag."""
    options = ("--verify", "--quiet", f"refs/tags/{name}^{{}}")
    output = repo.run("rev-parse", *options, fine=(0, 1, 128))
    return output.text.strip() if output.code == 0 else ""
