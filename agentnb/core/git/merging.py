"""Merges: begin one, end it or give it up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from agentnb.core.errors import RejectedError
from agentnb.core.git import arguments, operations, solving
from agentnb.core.git.errors import refused
from agentnb.core.git.opened import listed
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from agentnb.core.git.commits import Commits
    from agentnb.core.git.opened import OpenRepository
    from agentnb.core.git.repository import Repository

__all__ = ["Merge", "Merges"]

# Each says what a setting of the repository (branch.NAME.mergeOptions, merge.ff, merge.log, ...)
# could say otherwise.
_OPTIONS: Final = (
    *("--commit", "--no-squash", "--no-edit", "--no-stat", "--no-log", "--no-signoff"),
    *("--no-verify", "--no-verify-signatures", "--no-gpg-sign", "--no-autostash"),
    *("--no-rerere-autoupdate", "--cleanup=whitespace", "--strategy=ort", "--no-progress"),
)
_TRUNKS: Final = frozenset({"main", "master", ""})
_COMMENT = re.compile(r"^(?:[#;@!$%^&|:]) Conflicts:\n.*", re.MULTILINE | re.DOTALL)
_LISTED: Final = 20


@dataclass(frozen=True, slots=True, repr=False)
class Merge:
    """The result of a merge. It is true where the merge is done, false where files conflict.

    Parameters
    ----------
    state
        ``"up to date"``, ``"fast-forward"``, ``"merged"`` or ``"conflicts"``.
    revision
        The revision that was merged.
    branch
        The branch that took it; ``"HEAD"`` where none is checked out.
    sha
        The last commit afterwards.
    conflicts
        The files in conflict, and of each the changes of both sides, such as
        ``"modified by both"``.
    """

    state: str
    revision: str
    branch: str
    sha: str
    conflicts: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.state != "conflicts"

    @property
    def summary(self) -> str:
        """Return the result in a line."""
        if self.state == "up to date":
            return f"{self.branch} is up to date: it has every commit of {self.revision}"
        if self.state == "fast-forward":
            return f"{self.branch}: fast-forward to {self.revision}, now at {self.sha[:10]}"
        if self.state == "merged":
            return f"{self.branch}: merged {self.revision}, commit {self.sha[:10]}"
        count = len(self.conflicts)
        files = f"{count:,} {'file' if count == 1 else 'files'} in conflict"
        return f"{self.branch}: {self.revision} is not merged yet, {files}"

    def _lines(self) -> list[str]:
        lines = [f"  {kind}: {path}" for path, kind in [*self.conflicts.items()][:_LISTED]]
        more = len(self.conflicts) - _LISTED
        if more > 0:
            lines.append(f"  … {more:,} more files")
        return lines

    def _advice(self) -> list[str]:
        return [] if self else operations.advice("merge", conflicts=True).splitlines()

    def __repr__(self) -> str:
        return "\n".join([self.summary, *self._lines(), *self._advice()])

    def _repr_html_(self) -> str:
        color = "var(--jp-ui-font-color2,#757575)"
        files = "".join(
            f'<div style="white-space:pre">{escape(line)}</div>' for line in self._lines()
        )
        how = "".join(f'<div style="color:{color}">{escape(line)}</div>' for line in self._advice())
        return (
            '<div style="color:var(--jp-content-font-color1,inherit)">'
            f"<div>{escape(self.summary)}</div>{files}{how}</div>"
        )


@refuse_unknown("git")
class Merges:
    """Merges revisions, and ends or gives up operations that wait.

    Parameters
    ----------
    repository
        The repository.
    commits
        Makes the commit of a merge.
    """

    def __init__(self, repository: Repository, commits: Commits) -> None:
        self._repository = repository
        self._commits = commits

    def merge(
        self, revision: str, *, message: str | None = None, fast_forward: bool = True
    ) -> Merge:
        """Merge a branch, or another revision, into the current branch.

        Files that conflict are no error: the result lists them and is false. `conflicts` shows
        both sides, `resolve` solves a file, `merge_continue` commits and `merge_abort` goes back.
        Settings of the repository (``merge.ff``, ``branch.NAME.mergeOptions``, rerere, merge
        drivers) do not change the result.

        Parameters
        ----------
        revision
            The branch, tag or commit.
        message
            The message of the merge's commit; by default it names the branches.
        fast_forward
            Move the branch without a commit of its own where it has nothing that the other
            lacks. If false, there is always a commit.

        Returns
        -------
        Merge
            Its ``state`` is ``"up to date"``, ``"fast-forward"``, ``"merged"`` or
            ``"conflicts"``.

        Raises
        ------
        RejectedError
            Changes are not committed, another operation waits to be ended, or files that git
            does not know are in the way.
        NotFoundError
            There is no such revision.
        ConfigError
            The branch is protected.
        """
        arguments.message(message)
        repo = self._repository.open()
        operations.refuse_during(repo.folders, "merge")
        branch = repo.branch() or ""
        repo.refuse_protected("merge")
        _refuse_dirty(repo)
        before, (name, about, target) = repo.head(), _named(repo, revision)
        text = message or f"Merge {about}" + ("" if branch in _TRUNKS else f" into {branch}")
        output = repo.run(
            *("merge", *_OPTIONS, "--ff" if fast_forward else "--no-ff", f"--message={text}"),
            name,
            fine=(0, 1),
            doing="merge",
        )
        if output.code:
            found = {each.path: each.kind for each in solving.files(repo, repo.unmerged())}
            if not found:
                raise refused(output, "merge")
            return Merge("conflicts", revision, branch or "HEAD", before, found)
        sha = repo.head()
        state = "up to date" if sha == before else "fast-forward" if sha == target else "merged"
        return Merge(state, revision, branch or "HEAD", sha)

    def merge_continue(self, message: str | None = None, *, force: bool = False) -> str:
        """Commit the merge that waits, once no file is in conflict.

        Parameters
        ----------
        message
            The message of the commit; by default the one that the merge began with.
        force
            Commit even where conflict markers are left in a file.

        Returns
        -------
        str
            The sha.

        Raises
        ------
        RejectedError
            No merge waits, files are in conflict, or conflict markers are left.
        ConfigError
            The branch is protected.
        """
        arguments.message(message)
        repo = self._repository.open()
        _refuse_other(repo, "continue")
        repo.refuse_protected("merge")
        left = repo.unmerged()
        if left:
            raise RejectedError(
                f"still in conflict: {listed([repo.shown(path) for path in left])}",
                service="git",
                hint=operations.advice("", conflicts=True)
                + "; a file that you have edited: hub.git.resolve(PATH) (%git resolve PATH)",
            )
        if not force:
            solving.check_staged_markers(repo)
        return self._commits.create(repo, message or _prepared(repo), [])

    def merge_abort(self) -> str:
        """Give up the merge that waits; the files are as they were before it.

        Returns
        -------
        str
            The sha of the last commit.

        Raises
        ------
        RejectedError
            No merge waits.
        """
        repo = self._repository.open()
        _abort(repo, "merge")
        return repo.head()

    def abort(self) -> str:
        """Give up the merge, rebase, cherry-pick or revert that waits to be ended.

        The branch and the files are as they were before it.

        Returns
        -------
        str
            The operation, such as ``"rebase"``.

        Raises
        ------
        RejectedError
            None waits.
        """
        return _abort(self._repository.open())


def _refuse_dirty(repo: OpenRepository) -> None:
    status = repo.status()
    changed = [*status.conflicts, *dict.fromkeys([*status.staged, *status.changed])]
    if changed:
        raise RejectedError(
            f"changes that are not committed: {listed(changed)}",
            service="git",
            hint="commit them (%git commit -m MESSAGE), or put them aside: "
            "hub.git.stash() (%git stash)",
        )


def _named(repo: OpenRepository, revision: str) -> tuple[str, str, str]:
    """Return a revision's full name, its description and its commit."""
    kinds = {"refs/heads": "branch", "refs/tags": "tag", "refs/remotes": "remote-tracking branch"}
    arguments.revision(revision)
    output = repo.run("for-each-ref", "--format=%(refname)", *(f"{k}/{revision}" for k in kinds))
    refs = [ref for ref in output.text.split() if ref.split("/", 2)[2] == revision]
    if not refs:
        return revision, f"commit '{revision}'", repo.sha(revision)
    kind = kinds[refs[0].rpartition(f"/{revision}")[0]]
    # Of one name git would take the tag.
    name = refs[0] if len(refs) > 1 else revision
    return name, f"{kind} '{revision}'", repo.sha(refs[0])


def _prepared(repo: OpenRepository) -> str:
    """Return the message that the merge began with, without git's list of conflicts."""
    file = repo.folders.git_dir / "MERGE_MSG"
    text = file.read_text("utf-8", "replace") if file.is_file() else ""
    return _COMMENT.sub("", text).strip() or f"Merge {solving.branch_at(repo, 'MERGE_HEAD')}"


def _abort(repo: OpenRepository, only: str | None = None) -> str:
    """Give up the operation that waits, and return it; see `GitManager.abort`.

    Parameters
    ----------
    repo
        The repository.
    only
        The one operation that is meant.
    """
    operation = operations.current(repo.folders)
    if only is not None:
        _refuse_other(repo, "give up")
    if operation not in operations.ABORTED_BY:
        raise RejectedError(
            f"a {operation} is not given up here" if operation else "nothing waits to be given up",
            service="git",
            hint=operations.HOW_TO_END.get(operation, "hub.git.status() (%git status)"),
        )
    repo.run(operation, "--abort", doing=f"{operation} --abort")
    return operation


def _refuse_other(repo: OpenRepository, doing: str) -> None:
    operation = operations.current(repo.folders)
    if operation != "merge":
        raise RejectedError(
            f"there is no merge to {doing}"
            + (f": this is the middle of a {operation}" if operation else ""),
            service="git",
            hint=operations.HOW_TO_END.get(operation, "hub.git.merge(REV) (%git merge REV)"),
        )
