"""Commits: make them of what is staged or of some paths, and amend the last one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import AgentnbError, RejectedError, UnavailableError, UsageError
from agentnb.core.git import amending, arguments, locks, solving, staging
from agentnb.core.git.errors import refused
from agentnb.core.git.nested import Committed, LeftOut
from agentnb.core.git.partial_commit import commit_paths
from agentnb.core.git.status import parse
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import text
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository
    from agentnb.core.git.staging import Files, Staging

__all__ = ["Commits"]

# [main 0123...] subject, [main (root-commit) 0123...] subject
_MADE = re.compile(r"^\[[^\n]*? ([0-9a-f]{40}(?:[0-9a-f]{24})?)\] ", re.MULTILINE)
_AUTHOR = re.compile(r"\s*(?P<name>[^<>\n]+?)\s*<(?P<email>[^<>\n]+)>\s*")
_LONGEST_WORD: Final = 100_000


@refuse_unknown("git")
class Commits:
    """Makes the commits of a repository.

    Parameters
    ----------
    repository
        The repository.
    staging
        Stages the paths of a commit.
    """

    def __init__(self, repository: Repository, staging: Staging) -> None:
        self._repository = repository
        self._staging = staging

    def commit(
        self,
        message: str,
        *,
        paths: Files | None = None,
        author: str | None = None,
        allow_empty: bool = False,
    ) -> Committed:
        """Commit what is staged, or some paths; see `GitManager.commit`."""
        _check_message(message)
        repo = self._repository.open()
        given = None if paths is None else arguments.paths(paths)
        repo.refuse_protected("commits")
        options = ["--allow-empty"] if allow_empty else []
        who = _author(author)
        if given is not None:
            return self._commit_paths(repo, message, given, options, who)
        solving.check_staged_markers(repo)
        return Committed(self.create(repo, message, options, variables=who))

    def preview(self, message: str, paths: Files | None = None) -> Table:
        """Return the changes that a commit would take."""
        _check_message(message)
        repo = self._repository.open()
        return _would_commit(repo, None if paths is None else arguments.paths(paths))

    def _commit_paths(
        self,
        repo: OpenRepository,
        message: str,
        given: list[str],
        options: list[str],
        who: Mapping[str, str],
    ) -> Committed:
        left = [LeftOut()]
        solving.check_markers(repo, given)
        all_known = not any(staging.is_folder(repo.folder, path) for path in given)
        if all_known:
            staging.left_out(repo, given)  # which refuses those of another repository

        def stage(variables: Mapping[str, str]) -> None:
            left[0] = self._staging.stage(repo, given, "--intent-to-add", variables)

        def commit(variables: Mapping[str, str]) -> str:
            return self.create(repo, message, options, given, variables={**variables, **who})

        made = Committed(
            commit_paths(
                repo.folders,
                stage=stage,
                commit=commit,
                all_known=all_known,
                seconds=self._repository.options.timeout,
            )
        )
        made.left_out = left[0]
        return made

    def amend(
        self, message: str | None = None, *, author: str | None = None, force: bool = False
    ) -> str:
        """Replace the last commit with one that includes the staged changes.

        Parameters
        ----------
        message
            The new message; by default the old one stays.
        author
            ``"Name <email>"``; by default the old one stays.
        force
            Replace a commit even if a remote has it.

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
        repo = self._repository.open()
        amending.check(repo, force=force, reworded=message is not None or author is not None)
        given = _author(author)
        options = ["--amend", *([f"--author={author.strip()}"] if given and author else [])]
        return self.create(repo, message, options)

    def create(
        self,
        repo: OpenRepository,
        message: str | None,
        options: list[str],
        only: list[str] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run ``git commit`` and return the sha.

        Parameters
        ----------
        repo
            The repository.
        message
            The message; None keeps that of the commit that is amended.
        options
            Further options.
        only
            The paths; by default all that is staged.
        variables
            Added to the environment.
        """
        feed: bytes | None = None if message is None else message.encode()
        given = "--no-edit" if feed is None else "--file=-"
        if feed is not None and len(feed) <= _LONGEST_WORD:
            feed, given = None, f"--message={message}"
        with locks.alone(repo.folders.git_dir, self._repository.options.timeout):
            tip = repo.folders.tip()
            try:
                output = repo.run(
                    *("commit", "--no-verify", "--cleanup=whitespace", "--no-gpg-sign"),
                    *("--no-status", *options, given),
                    *(["--only", "--", *only] if only else []),
                    feed=feed,
                    variables=variables,
                    fine=(0, 1),
                    doing="commit",
                )
            except AgentnbError as error:
                if repo.folders.tip() == tip:
                    raise
                return self._made_all_the_same(repo, error)
        made = _MADE.search(output.text) if output.code == 0 else None
        if made is None:
            if output.err.strip():
                raise refused(output, "commit")
            raise _nothing(only)
        self._repository.say("changes committed", sha=made[1], path=repo.folders.root)
        return made[1]

    def _made_all_the_same(self, repo: OpenRepository, error: AgentnbError) -> str:
        """Return the commit that git made before it failed, such as at its summary.

        Raises
        ------
        UnavailableError
            The index could not be updated to it.
        """
        sha = repo.head()
        if re.search(r"new.index", error.message):
            raise UnavailableError(
                f"committed as {sha}, but what is staged could not be brought up to it: "
                f"{error.message}",
                service="git",
                hint="make room on the disk, then hub.git.unstage_files() (%git unstage)",
            ) from error
        self._repository.log.warning("git failed after the commit was made: %s", error.message)
        self._repository.say("changes committed", sha=sha, path=repo.folders.root)
        return sha


def _check_message(message: str) -> None:
    if not text("message", message, service="git").strip():
        raise UsageError(
            "the message of a commit is empty",
            service="git",
            hint='hub.git.commit("Fix the date")',
        )


def _would_commit(repo: OpenRepository, given: list[str] | None) -> Table:
    repo.interpreter().check_paths(given or ())
    status = ("status", "--porcelain=v2", "-z", "--untracked-files=all")
    output = repo.run(*(*status, "--ignore-submodules=dirty", "--", *(given or ())))
    left = LeftOut()
    status_now = parse(output.text, repo.shown, "")
    if given is None:
        rows = [row[1:] for row in status_now.rows if row[0] == "staged"]
    else:
        rows = [(row[1] or "new", row[2]) for row in status_now.rows]
        left = staging.left_out(repo, given)
        rows = [row for row in rows if os.path.normpath(row[1]) not in left]
    rows = list(dict.fromkeys(rows))
    note = repr(left) if left else ""
    return Table(("change", "path"), rows, note=note, empty="nothing would be committed")


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
    """Return the environment variables that set the author of a commit."""
    if author is None:
        return {}
    who = _AUTHOR.fullmatch(author)
    if who is None:
        raise UsageError(
            f"author must be 'Name <email>', got {author!r:.200}",
            service="git",
            hint='author="Ada Lovelace <ada@example.org>"',
        )
    return {"GIT_AUTHOR_NAME": who["name"], "GIT_AUTHOR_EMAIL": who["email"]}
