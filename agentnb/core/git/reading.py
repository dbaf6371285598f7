"""Looking at a repository: status, differences, history, branches. Nothing here changes it."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.git import diff as differences
from agentnb.core.git import log as history
from agentnb.core.git import operations, words
from agentnb.core.git import status as changes
from agentnb.core.git.base import Base
from agentnb.core.git.credentials import clean
from agentnb.core.git.opened import OpenRepository
from agentnb.core.git.shown import Shown
from agentnb.core.ranges import whole
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.git.diff import Diff
    from agentnb.core.git.log import Log
    from agentnb.core.git.place import Place
    from agentnb.core.git.status import Status

__all__ = ["PATCH", "Reading"]

_Paths = str | os.PathLike[str] | list[str] | None
_DIFF: Final = ("--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
PATCH: Final = (*_DIFF, "--raw", "--patch", "--no-abbrev", "--find-renames", "--submodule=short")
_BRANCH: Final = (
    "%(HEAD)%00%(refname:short)%00%(upstream:short)%00%(upstream:track,nobracket)"
    "%00%(committerdate:iso8601-strict)%00%(objectname)%00%(contents:subject)"
)
_LARGEST: Final = 64 * 2**20
"""Bytes of a file that are compared, notebooks only; a larger one is not read."""


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
        return changes.parse(output.text, self._shown(found), operations.current(found))

    get_status = status

    def current_branch(self) -> str | None:
        """Return the branch that is checked out; None where there is none (a detached HEAD)."""
        output = self._run("symbolic-ref", "--quiet", "--short", "HEAD", fine=(0, 1))
        return output.text.strip() or None

    get_current_branch = current_branch

    def diff(
        self,
        cached: bool = False,  # noqa: FBT001, FBT002 - the first and best known argument
        *,
        paths: _Paths = None,
        between: str | tuple[str, str] | None = None,
        context: int = 3,
    ) -> Diff:
        """Return what differs; shown, it is coloured, and notebooks are compared by cells.

        Parameters
        ----------
        cached
            What is staged against the last commit. By default the files against what is staged.
        paths
            Only these.
        between
            A revision that the files (or what is staged) are compared with, or two of them.
        context
            Lines around each change.

        Raises
        ------
        NotFoundError
            There is no such revision, or no repository.
        """
        found = self._place()
        context = whole("context", context, service="git", least=0, most=1_000_000)
        given = self._diff_words(cached=cached, paths=paths, between=between)
        output = self._run("diff", *PATCH, f"--unified={context}", *given, at=found)
        return differences.parse(output.text, self._shown(found), self._content(found))

    def get_diff(
        self,
        cached: bool = False,  # noqa: FBT001, FBT002 - as `diff`
        *,
        paths: _Paths = None,
        between: str | tuple[str, str] | None = None,
    ) -> str:
        """Return what differs as a patch, as git writes it."""
        given = self._diff_words(cached=cached, paths=paths, between=between)
        return self._run("diff", *_DIFF, *given).text

    def _diff_words(
        self, *, cached: bool, paths: _Paths, between: str | tuple[str, str] | None
    ) -> list[str]:
        both = [between] if isinstance(between, str) else list(between or ())
        revisions = [words.revision(each) for each in both]
        if cached and len(revisions) > 1:
            raise UsageError("what is staged is compared with one revision", service="git")
        return [
            *(["--cached"] if cached else []),
            *(["--end-of-options", *revisions] if revisions else []),
            "--",
            *(words.paths(paths) if paths is not None else []),
        ]

    def diff_of_unknown(self, path: str) -> Diff:
        """Return a file that git does not know as one that is new, so that it can be looked at."""
        found = self._place()
        inner = os.path.normpath(os.path.join(self._prefix(found), words.paths(path)[0]))  # noqa: PTH118 - no file, a name
        return differences.of_new_file(path, _file(found, inner))

    def log(
        self,
        limit: int = 20,
        *,
        revision: str | None = None,
        paths: _Paths = None,
        every: bool = False,
    ) -> Log:
        """Return the history, the newest commit first; shown, it has its graph beside it.

        Parameters
        ----------
        limit
            How many commits.
        revision
            Where to begin, such as a branch; or a range such as ``main..topic``.
        paths
            Only commits that changed these.
        every
            Those of all branches.

        Raises
        ------
        NotFoundError
            There is no such revision.
        """
        if limit < 1:
            raise UsageError(f"a history of {limit} commits", service="git")
        found = self._place()
        output = self._run(
            *("log", "-z", "--no-color", f"--max-count={limit + 1}", f"--format={history.FORMAT}"),
            *("--topo-order", "--no-show-signature"),
            *(["--branches", "--remotes", "--tags", "HEAD"] if every else []),
            *(["--end-of-options", words.revision(revision)] if revision else []),
            "--",
            *(words.paths(paths) if paths is not None else []),
            at=found,
            fine=(0, 128),
        )
        if output.code and "does not have any commits" not in output.err:
            if not ("HEAD" in output.err and every):
                self._raise(output, "log")
            return history.Log([])
        commits = history.parse(output.text)
        return history.Log(commits[:limit], more=len(commits) > limit)

    def show(self, revision: str = "HEAD") -> Shown:
        """Return a commit: who, when, why, and what it changed against its first parent.

        Raises
        ------
        NotFoundError
            There is no such commit.
        """
        found = self._place()
        output = self._run(
            *(
                "show",
                *PATCH,
                "--no-show-signature",
                "--first-parent",
                "--diff-merges=first-parent",
            ),
            f"--format={Shown.FORMAT}",
            "--end-of-options",
            f"{words.revision(revision)}^{{commit}}",
            "--",
            at=found,
        )
        head, _, rest = output.text.partition(Shown.END)
        text = rest.lstrip("\n")
        diff = differences.parse(text, self._shown(found), self._content(found))
        return Shown.parse(head, diff)

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
            tuple(clean(line).rpartition(" ")[0].split("\t", 1))
            for line in output.text.splitlines()
        )
        return Table(
            ("remote", "url"),
            [(name, url) for name, url in rows],
            empty="no remotes: %git remote add origin URL, or hub.git.add_remote('origin', URL)",
        )

    def names(self) -> list[str]:
        """Return the names of the branches, those of the remotes' too, and of the tags."""
        output = self._run(
            "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes"
        )
        return output.text.split()

    def _open(self) -> OpenRepository:
        """Return the repository as an operation receives it."""
        found = self._place()
        return OpenRepository(
            run=partial(self._run, at=found),
            place=found,
            shown=self._shown(found),
            status=partial(self.status, untracked="no"),
            branch=self.current_branch,
            protected=self.protected,
        )

    def _raise(self, output: Any, doing: str) -> None:
        from agentnb.core.git.refusals import refused

        raise refused(output, doing)

    def _content(self, found: Place) -> Callable[[str, str], bytes]:
        """Return what gets a content by its name, or from the work tree where it has none."""

        def load(path: str, name: str) -> bytes:
            if differences.is_nobody(name):
                return _file(found, path)
            return self._run("cat-file", "blob", name, at=found).out

        return load


def _file(found: Place, path: str) -> bytes:
    """Return a file of the work tree; nothing of what is no plain file."""
    place = found.root / path
    try:
        if place.parent.resolve() != place.parent:
            return b""  # behind a link, where git itself does not look
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):  # a name with a NUL or a lone surrogate
        return b""
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if about.st_size > _LARGEST:
            raise NotFoundError(
                f"{path} has {about.st_size:,} bytes, too many to compare", service="git"
            )
        return file.read()
