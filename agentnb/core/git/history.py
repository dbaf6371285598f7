"""The history of a repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import RevisionNotFound
from agentnb.core.git import arguments
from agentnb.core.git import log as commits
from agentnb.core.git.errors import refused
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from agentnb.core.git.log import Log
    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["History"]

_Paths = str | os.PathLike[str] | list[str] | None
_Revisions = str | Sequence[str] | None
_DECORATIONS: Final = ("HEAD", "refs/heads", "refs/remotes", "refs/tags", "refs/stash")


@refuse_unknown("git")
class History:
    """Reads the commits of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def log(
        self,
        limit: int = 20,
        *,
        revision: _Revisions = None,
        paths: _Paths = None,
        every: bool = False,
    ) -> Log:
        """Return the commits, the newest first; displayed with their graph.

        Parameters
        ----------
        limit
            Commits at most.
        revision
            The revision, or several, from which the history goes back; or a range such as
            ``main..topic``. By default the current commit.
        paths
            Only commits that changed these paths.
        every
            Whether to include the commits of all branches.

        Raises
        ------
        NotFoundError
            There is no such revision, or no commit and no folder has such a path.
        """
        limit = whole("limit", limit, service="git", most=10**9)
        repo = self._repository.open()
        starts = [revision] if isinstance(revision, str) else list(revision or ())
        only = [] if paths is None else arguments.paths(paths)
        names = [*map(arguments.revision, starts)]
        output = repo.run(
            *("log", "-z", f"--max-count={limit + 1}"),
            *(f"--format={commits.FORMAT}", "--topo-order"),
            *(f"--decorate-refs={refs}" for refs in _DECORATIONS),
            *(["--branches", "--remotes", "--tags", "HEAD"] if every else []),
            *(["--end-of-options", *names] if names else []),
            *("--", *only),
            fine=(0, 128),
        )
        if output.code and "does not have any commits" not in output.err:
            if not ("HEAD" in output.err and every):
                with repo.explains_revisions(names):
                    raise refused(output, "log")
            return commits.Log([])
        found = commits.parse(output.text)
        if only:
            _refuse_unknown(repo, only, starts)
        if not found and names:
            _refuse_no_commits(repo, names)
        nothing = "" if output.code else _nothing(only, starts)
        return commits.Log(found[:limit], more=len(found) > limit, nothing=nothing)


def _refuse_no_commits(repo: OpenRepository, names: Sequence[str]) -> None:
    """Refuse names of files and folders of a commit, of which git says no history."""
    feed = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    about = repo.run("cat-file", "--batch-check", feed=feed).text.split("\n")
    for name, line in zip(names, about, strict=False):
        if line.endswith((" missing", " ambiguous")) or line.split(" ")[1] in {"commit", "tag"}:
            continue
        path = name.rpartition(":")[2] or "PATH"
        raise RevisionNotFound(
            f"{name!r:.200} is no commit",
            service="git",
            hint=f"the history of a path: hub.git.log(paths={path!r}) (%git log -- {path})",
        )


def _refuse_unknown(repo: OpenRepository, paths: Sequence[str], revisions: Sequence[str]) -> None:
    """Refuse a path that is nowhere, and that no commit has changed."""
    interpreter = repo.interpreter()
    for path in interpreter.unknown_paths(paths, revisions):
        output = repo.run(
            *("log", "--max-count=1", "--format=%H", "--all", "HEAD", "--", path),
            fine=(0, 128),
        )
        if not output.text.strip():
            message = f"there is no path {path!r:.200}, and no commit has changed one"
            raise interpreter.no_path(path, message)


def _nothing(paths: Sequence[str], revisions: Sequence[str]) -> str:
    """Return the text of a history without commits."""
    inside = f" of {' '.join(revisions)}" if revisions else ""
    if paths:
        return f"no commit{inside} has changed {', '.join(paths)}"
    return f"no commits in {' '.join(revisions)}" if revisions else ""
