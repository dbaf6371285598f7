"""Looking at a repository: status, differences, history, branches. Nothing here changes it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.git import arguments, operations
from agentnb.core.git import log as history
from agentnb.core.git import status as changes
from agentnb.core.git.base import Base
from agentnb.core.git.comparing import Comparer
from agentnb.core.git.credentials import clean
from agentnb.core.git.interpret import Interpreted, Interpreter
from agentnb.core.git.opened import OpenRepository
from agentnb.core.ranges import whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.git.diff import Diff
    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.log import Log
    from agentnb.core.git.objects import CommitView
    from agentnb.core.git.status import Status

__all__ = ["Reading"]

_Paths = str | os.PathLike[str] | list[str] | None
_Revisions = str | Sequence[str] | None
_BRANCH: Final = (
    "%(HEAD)%00%(refname:lstrip=2)%00%(upstream:lstrip=2)%00%(upstream:track,nobracket)"
    "%00%(committerdate:iso8601-strict)%00%(objectname)%00%(contents:subject)"
)
_PURPOSE: Final = re.compile(r" \((?:fetch|push)\)(?: \[[^\]]*\])?$")
_DECORATIONS: Final = ("HEAD", "refs/heads", "refs/remotes", "refs/tags", "refs/stash")
_FULL: Final = ("refs/", "heads/", "remotes/", "tags/")  # of a name that is ambiguous otherwise


class Reading(Base):
    """The part of `GitManager` that looks."""

    def status(self, *, untracked: str = "normal") -> Status:
        """Return what has changed, and how the branch stands to the one that it follows.

        Parameters
        ----------
        untracked
            What to tell of files that git does not know: ``"all"``, ``"normal"`` (a folder of
            them as one), or ``"no"``.

        Raises
        ------
        NotFoundError
            The folder belongs to no repository.
        """
        if untracked not in {"all", "normal", "no"}:
            raise UsageError(f"untracked cannot be {untracked!r}", service="git", hint="all, no")
        found = self._place()
        output = self._run(
            *("status", "--porcelain=v2", "--branch", "--show-stash", "-z"),
            *("--ignore-submodules=dirty", f"--untracked-files={untracked}"),
            at=found,
        )
        status = changes.parse(output.text, self._shown(found), operations.current(found))
        if status.branch and status.upstream.startswith(_FULL):
            ref = f"refs/heads/{status.branch}"
            upstream = self._run(
                "for-each-ref", "--format=%(upstream:lstrip=2)", "--", ref, at=found
            )
            status.upstream = upstream.text.strip()
        return status

    get_status = status

    def current_branch(self) -> str | None:
        """Return the branch that is checked out; None where there is none (a detached HEAD)."""
        output = self._run("symbolic-ref", "--quiet", "HEAD", fine=(0, 1))
        return output.text.strip().removeprefix("refs/heads/") or None

    get_current_branch = current_branch

    def interpret(self, *words: str | os.PathLike[str]) -> Interpreted:
        """Return which words are revisions and which are paths, as git's command line has them.

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
        return self._interpreter(self._place()).interpret(words)

    def diff(
        self,
        *words: str | os.PathLike[str] | bool,
        cached: bool = False,
        paths: _Paths = None,
        between: _Revisions = None,
        context: int = 3,
    ) -> Diff:
        """Return what differs; shown, it is coloured, and notebooks are compared by cells.

        Parameters
        ----------
        *words
            Revisions, a range, and paths, as git's command line has them: see `interpret`.
            ``diff(True)`` is ``diff(cached=True)``.
        cached
            What is staged against the last commit. By default the files against what is staged.
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
        found = self._place()
        revisions, given = self._diff_words(
            found, words, cached=cached, paths=paths, between=between
        )
        with self._revisions(found, revisions):
            return self._comparer(found).diff(given, _count("context", context, least=0))

    def get_diff(
        self,
        *words: str | os.PathLike[str] | bool,
        cached: bool = False,
        paths: _Paths = None,
        between: _Revisions = None,
    ) -> str:
        """Return what differs as a patch, as git writes it; the arguments are those of `diff`."""
        found = self._place()
        revisions, given = self._diff_words(
            found, words, cached=cached, paths=paths, between=between
        )
        with self._revisions(found, revisions):
            return self._comparer(found).patch(given)

    def _diff_words(
        self,
        found: Folders,
        given: Sequence[str | os.PathLike[str] | bool],
        *,
        cached: bool,
        paths: _Paths,
        between: _Revisions,
    ) -> tuple[list[str], list[str]]:
        """Return the revisions, and all that stands behind the options of ``git diff``."""
        interpreter = self._interpreter(found)
        if given and isinstance(given[0], bool):
            cached, given = given[0], given[1:]
        named = [word for word in given if not isinstance(word, bool)]
        if len(named) < len(given):
            raise UsageError("True and False come first", service="git", hint="cached=True")
        interpreted = interpreter.interpret(named) if named else Interpreted([], [])
        both = [between] if isinstance(between, str) else list(between or ())
        revisions = [*map(arguments.revision, both), *interpreted.revisions]
        if len(revisions) > (1 if cached else 2):
            raise UsageError(
                "what is staged is compared with one revision"
                if cached
                else f"two revisions are compared, got {len(revisions):,}: {' '.join(revisions)}",
                service="git",
                hint="hub.git.diff(REV, REV, paths=PATHS), or %git diff REV REV -- PATH",
            )
        only = [] if paths is None else arguments.paths(paths)
        interpreter.check_paths(only, revisions)
        return revisions, [
            *(["--cached"] if cached else []),
            *(["--end-of-options", *revisions] if revisions else []),
            *("--", *interpreted.paths, *only),
        ]

    def diff_of_unknown(self, path: str) -> Diff:
        """Return a file that git does not know as one that is new, so that it can be looked at.

        Raises
        ------
        NotFoundError
            There is no such file.
        """
        found = self._place()
        inner = os.path.normpath(os.path.join(self._prefix(found), arguments.paths(path)[0]))  # noqa: PTH118 - no file, a name
        return self._comparer(found).of_unknown(path, inner)

    def _comparer(self, found: Folders) -> Comparer:
        return Comparer(partial(self._run, at=found), found, self._shown(found))

    def _interpreter(self, found: Folders) -> Interpreter:
        run = partial(self._run, at=found, doing="diff")
        return Interpreter(run, self.path, self._prefix(found))

    def log(
        self,
        limit: int = 20,
        *,
        revision: _Revisions = None,
        paths: _Paths = None,
        every: bool = False,
    ) -> Log:
        """Return the history, the newest commit first; shown, it has its graph beside it.

        Parameters
        ----------
        limit
            How many commits.
        revision
            Where to begin, such as a branch, or several; or a range such as ``main..topic``.
        paths
            Only commits that changed these.
        every
            Those of all branches.

        Raises
        ------
        NotFoundError
            There is no such revision, or no commit and no folder has such a path.
        """
        found = self._place()
        starts = [revision] if isinstance(revision, str) else list(revision or ())
        only = [] if paths is None else arguments.paths(paths)
        names = [*map(arguments.revision, starts)]
        output = self._run(
            *("log", "-z", f"--max-count={_count('limit', limit) + 1}"),
            *(f"--format={history.FORMAT}", "--topo-order"),
            *(f"--decorate-refs={refs}" for refs in _DECORATIONS),
            *(["--branches", "--remotes", "--tags", "HEAD"] if every else []),
            *(["--end-of-options", *names] if names else []),
            *("--", *only),
            at=found,
            fine=(0, 128),
        )
        if output.code and "does not have any commits" not in output.err:
            if not ("HEAD" in output.err and every):
                with self._revisions(found, names):
                    self._raise(output, "log")
            return history.Log([])
        commits = history.parse(output.text)
        if only:
            self._known_in_history(found, only, starts)
        if not commits and names:
            self._refuse_no_commits(found, names)
        nothing = "" if output.code else _nothing(only, starts)
        return history.Log(commits[:limit], more=len(commits) > limit, nothing=nothing)

    def _refuse_no_commits(self, found: Folders, names: Sequence[str]) -> None:
        """Refuse names of files and folders of a commit, of which git says no history."""
        feed = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        about = self._run("cat-file", "--batch-check", feed=feed, at=found).text.split("\n")
        for name, line in zip(names, about, strict=False):
            if line.endswith((" missing", " ambiguous")) or line.split(" ")[1] in {"commit", "tag"}:
                continue
            path = name.rpartition(":")[2] or "PATH"
            raise NotFoundError(
                f"{name!r:.200} is no commit",
                service="git",
                hint=f"the history of a path: %git log -- {path}, hub.git.log(paths={path!r})",
            )

    def _known_in_history(
        self, found: Folders, paths: Sequence[str], revisions: Sequence[str]
    ) -> None:
        """Refuse a path that is nowhere, and that no commit has changed."""
        interpreter = self._interpreter(found)
        for path in interpreter.unknown_paths(paths, revisions):
            output = self._run(
                *("log", "--max-count=1", "--format=%H", "--all", "HEAD", "--", path),
                at=found,
                fine=(0, 128),
            )
            if not output.text.strip():
                message = f"there is no path {path!r:.200}, and no commit has changed one"
                raise interpreter.no_path(path, message)

    def show(self, revision: str = "HEAD", *, paths: _Paths = None) -> CommitView:
        """Return a commit: who, when, why, and what it changed against its first parent.

        Parameters
        ----------
        revision
            Which one.
        paths
            Only what it changed in these.

        Raises
        ------
        NotFoundError
            There is no such commit or path.
        """
        found = self._place()
        name = arguments.revision(revision)
        only = [] if paths is None else arguments.paths(paths)
        self._interpreter(found).check_paths(only, [name, f"{name}^"])
        with self._revisions(found, [name]):
            return self._comparer(found).show(name, only)

    @contextmanager
    def _paths(self, paths: Sequence[str]) -> Iterator[None]:
        """Say which of these is no path, and what it may mean, where git found none."""
        try:
            yield
        except NotFoundError as error:
            self._interpreter(self._place()).check_paths(paths, because=error)
            raise

    @contextmanager
    def _revisions(self, found: Folders, names: Sequence[str]) -> Iterator[None]:
        """Say which of these is no revision, and what it may mean, where git found none."""
        try:
            yield
        except NotFoundError as error:
            raise self._interpreter(found).no_revision(names) or error from error

    def branches(self) -> Table:
        """Return the branches, with what they follow and their last commit."""
        output = self._run(
            "for-each-ref", f"--format={_BRANCH}", "--sort=-committerdate", "refs/heads"
        )
        rows = []
        for line in output.text.splitlines():
            head, name, upstream, track, when, sha, subject = line.split("\0")
            rows.append((name, head == "*", upstream, track, when[:16], sha[:10], subject))
        columns = ("branch", "current", "upstream", "track", "when", "sha", "subject")
        return Table(columns, rows, empty="no branches: they begin with the first commit")

    def remotes(self) -> Table:
        """Return the remotes: name and URL, without the logins in it."""
        output = self._run("remote", "--verbose")
        rows = dict.fromkeys(
            tuple(_PURPOSE.sub("", clean(line)).split("\t", 1)) for line in output.text.splitlines()
        )
        return Table(
            ("remote", "url"),
            [(name, url) for name, url in rows],
            empty="no remotes: %git remote add origin URL, or hub.git.add_remote('origin', URL)",
        )

    def names(self) -> list[str]:
        """Return the names of the branches, those of the remotes' too, and of the tags."""
        output = self._run(
            *("for-each-ref", "--format=%(refname:lstrip=2)"),
            *("refs/heads", "refs/tags", "refs/remotes"),
        )
        return list(dict.fromkeys(output.text.split()))

    def _open(self) -> OpenRepository:
        """Return the repository as an operation receives it."""
        found = self._place()
        return OpenRepository(
            run=partial(self._run, at=found),
            folders=found,
            shown=self._shown(found),
            status=partial(self.status, untracked="no"),
            branch=self.current_branch,
            protected=self.protected,
        )

    def _raise(self, output: Any, doing: str) -> NoReturn:
        from agentnb.core.git.errors import refused

        raise refused(output, doing)


def _count(name: str, value: int, *, least: int = 1) -> int:
    return whole(name, value, service="git", least=least, most=10**9)


def _nothing(paths: Sequence[str], revisions: Sequence[str]) -> str:
    """Return what a history without commits says."""
    inside = f" of {' '.join(revisions)}" if revisions else ""
    if paths:
        return f"no commit{inside} has changed {', '.join(paths)}"
    return f"no commits in {' '.join(revisions)}" if revisions else ""
