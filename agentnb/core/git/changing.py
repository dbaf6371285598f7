"""Changing a repository: staging and commits."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Literal, overload

from agentnb.core.errors import AgentnbError, RejectedError, UnavailableError, UsageError
from agentnb.core.git import amending, arguments, discovery, locks, solving, staging
from agentnb.core.git.base import not_protected
from agentnb.core.git.nested import Committed, LeftOut
from agentnb.core.git.partial_commit import commit_paths
from agentnb.core.git.reading import Reading
from agentnb.core.ranges import text
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentnb.core.git.discovery import Folders
    from agentnb.core.git.opened import OpenRepository

__all__ = ["Changing"]

Files = str | os.PathLike[str] | list[str]
# [main 0123...] subject, [main (root-commit) 0123...] subject
_MADE = re.compile(r"^\[[^\n]*? ([0-9a-f]{40}(?:[0-9a-f]{24})?)\] ", re.MULTILINE)
_AUTHOR = re.compile(r"\s*(?P<name>[^<>\n]+?)\s*<(?P<email>[^<>\n]+)>\s*")
_LONGEST_WORD: Final = 100_000


class Changing(Reading):
    """The part of `GitManager` that stages and commits."""

    def initialize(self, branch: str = "main") -> Path:
        """Make the folder a repository; one that is there already stays as it is.

        Parameters
        ----------
        branch
            The first branch.

        Returns
        -------
        Path
            The top of its work tree.

        Raises
        ------
        RejectedError
            The folder cannot be made.
        """
        arguments.branch(branch)
        discovery.make(self.path)
        if not os.path.lexists(self.path / ".git"):
            target = ("--", str(self.path))
            self._run("init", "--quiet", f"--initial-branch={branch}", *target, outside=True)
            self._say("git repository initialized", path=self.path)
        return self._place().root

    def add_files(self, files: Files = ".") -> LeftOut | None:
        """Stage files: what a commit will take of them. Those that are gone count too.

        Parameters
        ----------
        files
            Paths, taken literally; a folder is everything in it, but for other repositories that
            are no submodules.

        Returns
        -------
        LeftOut or None
            The repositories that were left out, if there are any.

        Raises
        ------
        NotFoundError
            There is no such file.
        RejectedError
            It is ignored, its filter may not run, markers of a conflict are left in it, or it is
            or belongs to another repository.
        """
        given = arguments.paths(files)
        repo = self._open()
        solving.check_markers(repo, given)
        with self._paths(given):
            return self._stage(repo, given, "--all") or None

    def _stage(
        self,
        repo: OpenRepository,
        given: list[str],
        how: str,
        variables: Mapping[str, str] | None = None,
    ) -> LeftOut:
        left = staging.stage(
            repo, self.path, given, how, scratch=self._scratch, variables=variables
        )
        if left:
            self._log.warning("%r", left)
        return left

    def unstage_files(self, files: Files = ".") -> None:
        """Take files out of what is staged; the files themselves stay as they are.

        Raises
        ------
        NotFoundError
            There is no such file.
        """
        found, given = self._place(), arguments.paths(files)
        self._interpreter(found).check_paths(given)
        if self._head(found):
            self._run("reset", "--quiet", "--", *given, at=found, doing="unstage")
        else:
            # Forced, since it would keep what has changed after it was staged; no file is touched.
            options = ("--cached", "-r", "--force", "--quiet")
            self._run("rm", *options, "--", *given, at=found, doing="unstage")

    @overload
    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: Literal[False] = False,
    ) -> Committed: ...
    @overload
    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: Literal[True],
    ) -> Table: ...
    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
        dry_run: bool = False,
    ) -> Committed | Table:
        """Commit what is staged, or exactly these paths.

        Hooks do not run, and nothing is signed: both are programs of the repository's choice.

        Parameters
        ----------
        message
            What was done and why.
        paths
            Take these as they are now, new ones too, and nothing else. What else is staged
            stays staged.
        author
            ``"Name <email>"``, if that is somebody else.
        allow_empty
            Commit even where nothing has changed.
        dry_run
            Change nothing and return what would be committed.

        Returns
        -------
        str or Table
            The sha, which says in ``left_out`` which other repositories in the paths it left out;
            with ``dry_run`` the changes.

        Raises
        ------
        RejectedError
            There is nothing to commit, markers of a conflict are staged or left in the paths, or
            a path is or belongs to another repository.
        ConfigError
            The branch is protected, or git does not know who you are.
        """
        if not text("message", message, service="git").strip():
            raise UsageError("a commit wants a message", service="git")
        found = self._place()
        given = None if paths is None else arguments.paths(paths)
        if dry_run:
            return self._would_commit(found, given)
        if self.protected:
            not_protected(self.current_branch() or "", self.protected, "commits")
        options = ["--allow-empty"] if allow_empty else []
        who = _author(author)
        if given is not None:
            return self._commit_paths(message, given, options, who)
        solving.check_staged_markers(self._open())
        return Committed(self._commit(found, message, options, variables=who))

    def _commit_paths(
        self, message: str, given: list[str], options: list[str], who: Mapping[str, str]
    ) -> Committed:
        repo, left = self._open(), [LeftOut()]
        solving.check_markers(repo, given)
        all_known = not any(staging.is_folder(self.path, path) for path in given)
        if all_known:
            staging.left_out(repo, self.path, given)  # which refuses those of another repository

        def stage(variables: Mapping[str, str]) -> None:
            left[0] = self._stage(repo, given, "--intent-to-add", variables)

        def commit(variables: Mapping[str, str]) -> str:
            return self._commit(
                repo.folders, message, options, given, variables={**variables, **who}
            )

        made = Committed(
            commit_paths(
                repo.folders, stage=stage, commit=commit, all_known=all_known, seconds=self.timeout
            )
        )
        made.left_out = left[0]
        return made

    def amend(
        self, message: str | None = None, *, author: str | None = None, force: bool = False
    ) -> str:
        """Replace the last commit by one that has what is staged too.

        Parameters
        ----------
        message
            The new message; by default the old one stays.
        author
            ``"Name <email>"``, if that is somebody else; by default the old one stays.
        force
            Replace a commit that a remote has too.

        Returns
        -------
        str
            The sha of the new commit.

        Raises
        ------
        RejectedError
            A remote has the commit, an operation waits to be ended, or nothing would change.
        ConfigError
            The branch is protected, or git does not know who you are.
        NotFoundError
            There is no commit yet.
        """
        arguments.message(message)
        repo = self._open()
        amending.check(repo, force=force, reworded=message is not None or author is not None)
        given = _author(author)
        options = ["--amend", *([f"--author={author.strip()}"] if given and author else [])]
        return self._commit(repo.folders, message, options)

    def _commit(
        self,
        found: Folders,
        message: str | None,
        options: list[str],
        only: list[str] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        feed: bytes | None = None if message is None else message.encode()
        given = "--no-edit" if feed is None else "--file=-"
        if feed is not None and len(feed) <= _LONGEST_WORD:
            feed, given = None, f"--message={message}"
        with locks.committing(found.git_dir, self.timeout):
            tip = found.tip()
            try:
                output = self._run(
                    *("commit", "--no-verify", "--cleanup=whitespace", "--no-gpg-sign"),
                    *("--no-status", *options, given),
                    *(["--only", "--", *only] if only else []),
                    at=found,
                    feed=feed,
                    variables=variables,
                    fine=(0, 1),
                    doing="commit",
                )
            except AgentnbError as error:
                if found.tip() == tip:
                    raise
                return self._made_all_the_same(found, error)
        made = _MADE.search(output.text) if output.code == 0 else None
        if made is None:
            if output.err.strip():
                self._raise(output, "commit")
            raise _nothing(only)
        self._say("changes committed", sha=made[1], path=found.root)
        return made[1]

    def _made_all_the_same(self, found: Folders, error: AgentnbError) -> str:
        """Return the commit of a git that failed after it had made it, such as at its summary.

        Raises
        ------
        UnavailableError
            What is staged could not be brought up to it.
        """
        sha = self._head(found)
        if re.search(r"new.index", error.message):
            raise UnavailableError(
                f"committed as {sha}, but what is staged could not be brought up to it: "
                f"{error.message}",
                service="git",
                hint="make room on the disk, then %git unstage, or hub.git.unstage_files()",
            ) from error
        self._log.warning("git failed after the commit was made: %s", error.message)
        self._say("changes committed", sha=sha, path=found.root)
        return sha

    def _would_commit(self, found: Folders, given: list[str] | None) -> Table:
        self._interpreter(found).check_paths(given or ())
        status = ("status", "--porcelain=v2", "-z", "--untracked-files=all")
        output = self._run(*(*status, "--ignore-submodules=dirty", "--", *(given or ())), at=found)
        from agentnb.core.git.status import parse

        left = LeftOut()
        status_now = parse(output.text, self._shown(found), "")
        if given is None:
            rows = [row[1:] for row in status_now.rows if row[0] == "staged"]
        else:
            rows = [(row[1] or "new", row[2]) for row in status_now.rows]
            left = staging.left_out(self._open(), self.path, given)
            rows = [row for row in rows if os.path.normpath(row[1]) not in left]
        rows = list(dict.fromkeys(rows))
        note = repr(left) if left else ""
        return Table(("change", "path"), rows, note=note, empty="nothing would be committed")

    def _head(self, found: Folders) -> str:
        """Return the sha of the last commit, or ``""``."""
        output = self._run(
            "rev-parse", "--verify", "--quiet", "HEAD^{commit}", at=found, fine=(0, 1, 128)
        )
        return output.text.strip() if output.code == 0 else ""


def _nothing(only: list[str] | None) -> RejectedError:
    if only:
        return RejectedError(
            "there is nothing to commit in these paths",
            service="git",
            hint="hub.git.status() lists what has changed",
        )
    return RejectedError(
        "there is nothing to commit",
        service="git",
        hint="stage something first: hub.git.add_files([...]) (%git add PATH)",
    )


def _author(author: str | None) -> dict[str, str]:
    """Return the variables that say who made a commit, if it is somebody else."""
    if author is None:
        return {}
    who = _AUTHOR.fullmatch(author)
    if who is None:
        raise UsageError(f"{author!r} is no author", service="git", hint='"Name <email>"')
    return {"GIT_AUTHOR_NAME": who["name"], "GIT_AUTHOR_EMAIL": who["email"]}
