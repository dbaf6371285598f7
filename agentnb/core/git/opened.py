"""A repository as one operation receives it: its folders, and git running in it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from agentnb.core.errors import ConfigError, NotFoundError, RevisionNotFound, did_you_mean
from agentnb.core.git import arguments, operations
from agentnb.core.git import status as changes
from agentnb.core.git.comparing import Comparer
from agentnb.core.git.errors import refused
from agentnb.core.git.interpret import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from agentnb.core.git.credentials import Login
    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.executor import Output
    from agentnb.core.git.status import Status

__all__ = ["OpenRepository", "Runner", "Stage", "Stages", "listed"]

_GITLINK: Final = "160000"
_AT_ONCE: Final = 500
_LISTED: Final = 20
_FULL: Final = ("refs/", "heads/", "remotes/", "tags/")  # of a name that is ambiguous otherwise


class Stage(NamedTuple):
    """A version of a file in conflict: its mode, and git's name of its content."""

    mode: str
    name: str

    @property
    def is_submodule(self) -> bool:
        """Whether the version is the commit of a submodule."""
        return self.mode == _GITLINK

    @property
    def is_file(self) -> bool:
        """Whether the version is a regular file."""
        return self.mode.startswith("100")


Stages = dict[int, Stage]
"""The versions of a file in conflict: 1 is the base, 2 ours, 3 theirs."""


class Runner(Protocol):
    """Runs git in the repository, hardened; see `Repository.run`."""

    def __call__(
        self,
        *words: str,
        timeout: float | None = None,
        feed: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        progress: Callable[[str], object] | None = None,
        fine: Sequence[int] = (0,),
        doing: str = "",
        logins: Sequence[Login] = (),
    ) -> Output:
        """Run git and return its output."""


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """A repository as one operation receives it.

    Parameters
    ----------
    run
        Runs git in it, hardened.
    folders
        Its work tree and ``.git``.
    folder
        The folder of the manager, which paths are relative to.
    protected
        Patterns of the protected branches.
    """

    run: Runner
    folders: Folders
    folder: Path
    protected: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """The manager's folder below the root; ``""`` for the root itself."""
        relative = os.path.relpath(self.folder, self.folders.root)
        return "" if relative == "." else relative

    def shown(self, path: str) -> str:
        """Return a path below the root as one that is relative to the manager's folder."""
        if not (prefix := self.prefix):
            return path
        return os.path.relpath(path, prefix) + ("/" if path.endswith("/") else "")

    def branch(self) -> str | None:
        """Return the branch that is checked out; None where there is none (a detached HEAD)."""
        output = self.run("symbolic-ref", "--quiet", "HEAD", fine=(0, 1))
        return output.text.strip().removeprefix("refs/heads/") or None

    def status(self, untracked: str = "no") -> Status:
        """Return the changed files and the state of the branch; see `GitManager.status`."""
        output = self.run(
            *("status", "--porcelain=v2", "--branch", "--show-stash", "-z"),
            *("--ignore-submodules=dirty", f"--untracked-files={untracked}"),
        )
        status = changes.parse(output.text, self.shown, operations.current(self.folders))
        if status.branch and status.upstream.startswith(_FULL):
            ref = f"refs/heads/{status.branch}"
            upstream = self.run("for-each-ref", "--format=%(upstream:lstrip=2)", "--", ref)
            status.upstream = upstream.text.strip()
        return status

    def comparer(self) -> Comparer:
        """Return the reader of the repository's differences."""
        return Comparer(self.run, self.folders, self.shown)

    def interpreter(self) -> Interpreter:
        """Return the interpreter of revisions and paths."""
        return Interpreter(partial(self.run, doing="diff"), self.folder, self.prefix)

    @contextmanager
    def explains_paths(self, paths: Sequence[str]) -> Iterator[None]:
        """Name the path that git did not find, and its likely meaning."""
        try:
            yield
        except NotFoundError as error:
            self.interpreter().check_paths(paths, because=error)
            raise

    @contextmanager
    def explains_revisions(self, names: Sequence[str]) -> Iterator[None]:
        """Name the revision that git did not find, and its likely meaning."""
        try:
            yield
        except NotFoundError as error:
            raise self.interpreter().no_revision(names) or error from error

    def refuse_protected(self, doing: str, branch: str | None = None) -> None:
        """Refuse to change a protected branch.

        Parameters
        ----------
        doing
            The action, for the error.
        branch
            The branch; by default the current one.

        Raises
        ------
        ConfigError
            The branch is protected.
        """
        if not self.protected:
            return
        name = (self.branch() or "") if branch is None else branch
        for pattern in self.protected:
            if fnmatchcase(name, pattern):
                raise ConfigError(
                    f"the branch {name} is protected: no {doing}",
                    service="git",
                    hint="work on another branch: hub.git.create_branch(NAME) (%git "
                    "switch -c NAME) "
                    f"(AGENTNB_GIT_PROTECTED has {pattern})",
                )

    def sha(self, revision: str) -> str:
        """Return the name of a commit.

        Raises
        ------
        NotFoundError
            There is no such commit.
        """
        options = ("--verify", "--quiet", "--end-of-options")
        name = f"{arguments.revision(revision)}^{{commit}}"
        output = self.run("rev-parse", *options, name, fine=(0, 1, 128))
        if output.code:
            # Once more for git's own reason, which --quiet leaves out.
            why = self.run("rev-parse", "--verify", "--end-of-options", name, fine=(0, 1, 128))
            if "ambiguous" in why.err:
                raise refused(why, "rev-parse")
            if revision == "HEAD":
                raise RevisionNotFound(
                    "there is no commit yet",
                    service="git",
                    hint="hub.git.commit(MESSAGE) (%git commit -m MESSAGE)",
                )
            known = self.run("for-each-ref", "--format=%(refname:lstrip=2)").text.split("\n")
            raise RevisionNotFound(
                f"there is no commit {revision!r:.200}",
                service="git",
                hint=did_you_mean(revision, known)
                or "hub.git.branches() and hub.git.log() (%git branch, %git log) list them",
            )
        return output.text.strip()

    def head(self) -> str:
        """Return the name of the last commit; ``""`` where there is none yet."""
        output = self.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", fine=(0, 1, 128))
        return output.text.strip() if output.code == 0 else ""

    def unmerged(self, paths: Sequence[str] | None = None) -> dict[str, Stages]:
        """Return the files in conflict, by their path below the root.

        Parameters
        ----------
        paths
            Only these, literally, as the manager has them; by default all of the repository.
        """
        given = [str(self.folders.root)] if paths is None else list(paths)
        output = self.run("ls-files", "--unmerged", "-z", "--full-name", "--", *given)
        found: dict[str, Stages] = {}
        for entry in output.text.split("\0")[:-1]:
            about, _, path = entry.partition("\t")
            mode, name, stage = about.split(" ")
            found.setdefault(path, {})[int(stage)] = Stage(mode, name)
        return found

    def run_on(
        self, command: Sequence[str], paths: Collection[str], *, doing: str = ""
    ) -> list[str]:
        """Run a command on any number of paths below the root; return the names in its output.

        Parameters
        ----------
        command
            The words before ``--``.
        paths
            The paths, literally.
        doing
            The action, for errors.
        """
        # Absolute, since git takes others as below the folder in which it runs.
        given = [os.path.join(self.folders.root, path) for path in paths]  # noqa: PTH118 - git's names
        found: list[str] = []
        for at in range(0, len(given), _AT_ONCE):
            output = self.run(*command, "--", *given[at : at + _AT_ONCE], doing=doing)
            found += output.text.split("\0")[:-1]
        return found


def listed(paths: Sequence[str]) -> str:
    """Return paths in a line, the first of many.

    >>> listed(["a", "b"])
    'a, b'
    """
    more = len(paths) - _LISTED
    return ", ".join(paths[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")
