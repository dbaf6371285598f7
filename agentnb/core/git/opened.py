"""A repository as one operation receives it: where it is, and what runs git in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from agentnb.core.errors import NotFoundError, did_you_mean
from agentnb.core.git import arguments
from agentnb.core.git.base import not_protected
from agentnb.core.git.errors import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.executor import Output
    from agentnb.core.git.status import Status

__all__ = ["OpenRepository", "Stage", "Stages", "listed"]

_GITLINK: Final = "160000"
_AT_ONCE: Final = 500
_LISTED: Final = 20


class Stage(NamedTuple):
    """One version of a file in conflict: its mode, and git's name of its content."""

    mode: str
    name: str

    @property
    def is_submodule(self) -> bool:
        """Whether it is the commit of a submodule, and no content."""
        return self.mode == _GITLINK

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file, and no link."""
        return self.mode.startswith("100")


Stages = dict[int, Stage]
"""The versions of a file in conflict: 1 is the base, 2 ours, 3 theirs."""


class Runner(Protocol):
    """Runs git in the repository, guarded."""

    def __call__(
        self,
        *words: str,
        feed: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        fine: Sequence[int] = (0,),
        doing: str = "",
    ) -> Output:
        """Run git and return its output."""


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """A repository as one operation receives it.

    Parameters
    ----------
    run
        Runs git in it, guarded.
    folders
        Its work tree and folders.
    shown
        Turns a path below the root into one below the manager's folder.
    status
        Returns what has changed in files that git knows.
    branch
        Returns the branch that is checked out, or None.
    protected
        Patterns of the protected branches.
    """

    run: Runner
    folders: Folders
    shown: Callable[[str], str]
    status: Callable[[], Status]
    branch: Callable[[], str | None]
    protected: tuple[str, ...]

    def refuse_protected(self, doing: str) -> None:
        """Refuse to change the current branch if it is protected.

        Raises
        ------
        ConfigError
            It is.
        """
        if self.protected:
            not_protected(self.branch() or "", self.protected, doing)

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
                raise NotFoundError(
                    "there is no commit yet",
                    service="git",
                    hint="hub.git.commit(MESSAGE), %git commit -m MESSAGE",
                )
            known = self.run("for-each-ref", "--format=%(refname:lstrip=2)").text.split("\n")
            raise NotFoundError(
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
        """Run a command on paths below the root, however many; return what it listed.

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
