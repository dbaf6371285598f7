"""Inspecting a repository: status, differences, commits. Nothing here changes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from agentnb.core.errors import UsageError
from agentnb.core.git import arguments, versions
from agentnb.core.git.interpret import Interpreted
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from agentnb.core.git.diff import Diff
    from agentnb.core.git.objects import CommitView
    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository
    from agentnb.core.git.status import Status
    from agentnb.core.git.versions import FileVersion

__all__ = ["Inspector"]

_Paths = str | os.PathLike[str] | list[str] | None
_Revisions = str | Sequence[str] | None


@refuse_unknown("git")
class Inspector:
    """Reads the state, the differences and the commits of a repository.

    Parameters
    ----------
    repository
        The repository.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def status(self, *, untracked: Literal["all", "normal", "no"] = "normal") -> Status:
        """Return the changed files, and how the branch relates to its upstream.

        Parameters
        ----------
        untracked
            Files that git does not track: ``"all"`` of them, ``"normal"`` (a folder of them as
            one), or ``"no"``.

        Raises
        ------
        NotFoundError
            The folder belongs to no repository.
        """
        if untracked not in {"all", "normal", "no"}:
            raise UsageError(
                f"untracked must be 'all', 'normal' or 'no', got {untracked!r:.60}",
                service="git",
                hint='hub.git.status(untracked="all")',
            )
        return self._repository.open().status(untracked)

    def current_branch(self) -> str | None:
        """Return the branch that is checked out; None where there is none (a detached HEAD)."""
        return self._repository.open().branch()

    def interpret(self, *words: str | os.PathLike[str]) -> Interpreted:
        """Tell revisions from paths, as git's command line does.

        Parameters
        ----------
        *words
            Revisions and ranges (``main``, ``HEAD~2``, ``main..topic``, ``main...topic``), then
            paths. A path is on disk, staged, in the last commit, or in one of the revisions.

        Raises
        ------
        NotFoundError
            A word is neither.
        UsageError
            A word is both, or a revision stands behind a path.
        """
        return self._repository.open().interpreter().interpret(words)

    def diff(
        self,
        *words: str | os.PathLike[str] | bool,
        cached: bool = False,
        paths: _Paths = None,
        between: _Revisions = None,
        context: int = 3,
    ) -> Diff:
        """Return the differences, with notebooks compared by cells.

        Parameters
        ----------
        *words
            Revisions, a range, and paths, as git's command line has them: see `interpret`.
            ``diff(True)`` is ``diff(cached=True)``.
        cached
            Compare what is staged with the last commit. By default the files are compared with
            what is staged.
        paths
            Only these.
        between
            A revision that the files (or what is staged) are compared with, two of them, or a
            range such as ``main..topic``.
        context
            Lines around each change.

        Raises
        ------
        NotFoundError
            There is no such revision or path, or no repository.
        """
        context = whole("context", context, service="git", least=0, most=10**9)
        repo = self._repository.open()
        revisions, given = _diff_words(repo, words, cached=cached, paths=paths, between=between)
        with repo.explains_revisions(revisions):
            return repo.comparer().diff(given, context)

    def get_diff(
        self,
        *words: str | os.PathLike[str] | bool,
        cached: bool = False,
        paths: _Paths = None,
        between: _Revisions = None,
    ) -> str:
        """Return the differences as a patch; the arguments are those of `diff`."""
        repo = self._repository.open()
        revisions, given = _diff_words(repo, words, cached=cached, paths=paths, between=between)
        with repo.explains_revisions(revisions):
            return repo.comparer().patch(given)

    def diff_of_unknown(self, path: str) -> Diff:
        """Return the difference of an untracked file, as of a new one.

        Raises
        ------
        NotFoundError
            There is no such file.
        """
        repo = self._repository.open()
        inner = os.path.normpath(os.path.join(repo.prefix, arguments.paths(path)[0]))  # noqa: PTH118 - a name
        return repo.comparer().of_unknown(path, inner)

    def show(self, revision: str = "HEAD", *, paths: _Paths = None) -> CommitView:
        """Return a commit: author, time, message, and changes against its first parent.

        Parameters
        ----------
        revision
            The commit.
        paths
            Only its changes of these paths.

        Raises
        ------
        NotFoundError
            There is no such commit or path.
        """
        repo = self._repository.open()
        name = arguments.revision(revision)
        only = [] if paths is None else arguments.paths(paths)
        repo.interpreter().check_paths(only, [name, f"{name}^"])
        with repo.explains_revisions([name]):
            return repo.comparer().show(name, only)

    def show_file(self, path: str | os.PathLike[str], revision: str = "HEAD") -> FileVersion:
        """Return a file as a commit has it, as it is staged, or as one side of a conflict has it.

        Parameters
        ----------
        path
            The file.
        revision
            The commit. ``""`` is the index; ``"1"``, ``"2"`` and ``"3"`` are the base, our
            and their side of a conflict.

        Returns
        -------
        FileVersion
            ``.text`` (``str`` of it) or ``.data``, its bytes. Shown, a notebook has its cells.

        Raises
        ------
        NotFoundError
            There is no such file in it, or no such revision.
        UsageError
            It is a folder or a submodule.
        """
        return versions.load(self._repository.open(), os.fspath(path), revision)


def _diff_words(
    repo: OpenRepository,
    given: Sequence[str | os.PathLike[str] | bool],
    *,
    cached: bool,
    paths: _Paths,
    between: _Revisions,
) -> tuple[list[str], list[str]]:
    """Return the revisions, and all that stands behind the options of ``git diff``."""
    interpreter = repo.interpreter()
    if given and isinstance(given[0], bool):
        cached, given = given[0], given[1:]
    named = [word for word in given if not isinstance(word, bool)]
    if len(named) < len(given):
        raise UsageError(
            "True and False come first in diff()", service="git", hint="hub.git.diff(cached=True)"
        )
    interpreted = interpreter.interpret(named) if named else Interpreted([], [])
    both = [between] if isinstance(between, str) else list(between or ())
    revisions = [*map(arguments.revision, both), *interpreted.revisions]
    if len(revisions) > (1 if cached else 2):
        raise UsageError(
            "what is staged is compared with one revision"
            if cached
            else f"two revisions are compared, got {len(revisions):,}: {' '.join(revisions)}",
            service="git",
            hint="hub.git.diff(REV, REV, paths=PATHS) (%git diff REV REV -- PATH)",
        )
    only = [] if paths is None else arguments.paths(paths)
    interpreter.check_paths(only, revisions)
    return revisions, [
        *(["--cached"] if cached else []),
        *(["--end-of-options", *revisions] if revisions else []),
        *("--", *interpreted.paths, *only),
    ]
