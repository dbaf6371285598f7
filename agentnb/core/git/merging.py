"""Merges: begin one, see and solve its conflicts, end it or give it up."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Final, Literal

from agentnb.core.errors import NotFoundError, RejectedError, UsageError, did_you_mean
from agentnb.core.git import operations, words
from agentnb.core.git.conflicts import SIDES, Conflict, Conflicts
from agentnb.core.git.markers import marked_lines
from agentnb.core.git.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from agentnb.core.git.opened import OpenRepository, Stages

__all__ = ["Merge", "Side", "abort", "begin", "check_markers", "conflicts", "end", "resolve"]

Side = Literal["ours", "theirs"]
# Each says what a setting of the repository (branch.NAME.mergeOptions, merge.ff, merge.log, ...)
# could say otherwise.
_OPTIONS: Final = (
    *("--commit", "--no-squash", "--no-edit", "--no-stat", "--no-log", "--no-signoff"),
    *("--no-verify", "--no-verify-signatures", "--no-gpg-sign", "--no-autostash"),
    *("--no-rerere-autoupdate", "--cleanup=whitespace", "--strategy=ort", "--no-progress"),
)
_TRUNKS: Final = frozenset({"main", "master", ""})
_COMMENT = re.compile(r"^(?:[#;@!$%^&|:]) Conflicts:\n.*", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"^(?P<path>.*):(?P<line>\d+): leftover conflict marker$", re.MULTILINE)
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


def begin(repo: OpenRepository, revision: str, *, message: str | None, fast_forward: bool) -> Merge:
    """Merge a revision into the current branch; see `GitManager.merge`."""
    operations.refuse_during(repo.place, "merge")
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
        found = {each.path: each.kind for each in _files(repo, repo.unmerged())}
        if not found:
            raise refused(output, "merge")
        return Merge("conflicts", revision, branch or "HEAD", before, found)
    sha = repo.head()
    state = "up to date" if sha == before else "fast-forward" if sha == target else "merged"
    return Merge(state, revision, branch or "HEAD", sha)


def _refuse_dirty(repo: OpenRepository) -> None:
    status = repo.status()
    changed = [*status.conflicts, *dict.fromkeys([*status.staged, *status.changed])]
    if changed:
        raise RejectedError(
            f"changes that are not committed: {_listed(changed)}",
            service="git",
            hint="commit them (%git commit -m MESSAGE), or put them aside: "
            "hub.git.stash() (%git stash)",
        )


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _LISTED
    return ", ".join(paths[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def _named(repo: OpenRepository, revision: str) -> tuple[str, str, str]:
    """Return a revision as git is to read it, what a message calls it, and its commit."""
    kinds = {"refs/heads": "branch", "refs/tags": "tag", "refs/remotes": "remote-tracking branch"}
    words.revision(revision)
    output = repo.run("for-each-ref", "--format=%(refname)", *(f"{k}/{revision}" for k in kinds))
    refs = [ref for ref in output.text.split() if ref.split("/", 2)[2] == revision]
    if not refs:
        return revision, f"commit '{revision}'", repo.sha(revision)
    kind = kinds[refs[0].rpartition(f"/{revision}")[0]]
    # Of one name git would take the tag.
    name = refs[0] if len(refs) > 1 else revision
    return name, f"{kind} '{revision}'", repo.sha(refs[0])


def _files(repo: OpenRepository, unmerged: dict[str, Stages]) -> list[Conflict]:
    return [
        Conflict.of(repo.shown(path), stages, repo.run, partial(_current, repo, path))
        for path, stages in unmerged.items()
    ]


def _current(repo: OpenRepository, path: str) -> bytes:
    """Return a file of the work tree; nothing of what is no plain file."""
    file = repo.place.root / path
    return b"" if file.is_symlink() or not file.is_file() else file.read_bytes()


def conflicts(repo: OpenRepository, paths: Sequence[str] | None, *, base: bool) -> Conflicts:
    """Return the files in conflict; see `GitManager.conflicts`."""
    doing = operations.current(repo.place)
    ours, theirs = _side_names(repo, doing)
    files = _files(repo, repo.unmerged(paths))
    return Conflicts(files, doing=doing, ours=ours, theirs=theirs, base=base)


def _side_names(repo: OpenRepository, doing: str) -> tuple[str, str]:
    here = repo.branch() or repo.head()[:10]
    if doing == "merge":
        return here, _branch_at(repo, "MERGE_HEAD")
    if doing == "rebase":
        return "the branch that the rebase goes onto", "your commit"
    if doing in {"cherry-pick", "revert"}:
        return here, f"the {doing}"
    return here, "the stash or patch"


def _branch_at(repo: OpenRepository, revision: str) -> str:
    """Return the name of a branch that ends at a commit, else the short name of the commit."""
    options = ("--format=%(refname:lstrip=2)", "--count=1", f"--points-at={revision}")
    output = repo.run("for-each-ref", *options, "refs/heads", "refs/remotes", "refs/tags")
    return output.text.strip() or repo.sha(revision)[:10]


def resolve(
    repo: OpenRepository, paths: Sequence[str] | None, take: Side | None, *, force: bool
) -> list[str]:
    """Mark files in conflict as solved; see `GitManager.resolve`."""
    if take not in {"ours", "theirs", None}:
        raise UsageError(
            f"take must be 'ours' or 'theirs', got {take!r}", service="git", hint='take="ours"'
        )
    found = repo.unmerged(paths)
    if not found:
        known = [repo.shown(path) for path in repo.unmerged()]
        named = ", ".join(paths or ())
        raise NotFoundError(
            f"no conflict in {named}" if named else "no file is in conflict",
            service="git",
            hint=did_you_mean(named, known)
            or (f"in conflict: {_listed(known)}" if known else "hub.git.status() (%git status)"),
        )
    if take is None:
        if not force:
            _refuse_marked(repo, found)
        _each(repo, ("add", "--all", "--force", "--"), found)
    else:
        _take(repo, found, take)
    return [repo.shown(path) for path in found]


def _each(repo: OpenRepository, command: Sequence[str], paths: Collection[str]) -> None:
    if paths:
        # Absolute, since git takes others as below the folder in which it runs.
        root = repo.place.root
        given = [os.path.join(root, path) for path in paths]  # noqa: PTH118 - names of git's
        repo.run(*command, *given, doing="resolve")


def _take(repo: OpenRepository, found: dict[str, Stages], take: Side) -> None:
    """Put one side of each file into the work tree and the index."""
    wanted = {path: stages.get(SIDES[take]) for path, stages in found.items()}
    gone = [path for path, stage in wanted.items() if stage is None]
    modules = {path: stage for path, stage in wanted.items() if stage and stage.is_submodule}
    files = [path for path, stage in wanted.items() if stage and path not in modules]
    _each(repo, ("checkout", "--quiet", f"--{take}", "--"), files)
    _each(repo, ("add", "--all", "--force", "--"), files)
    _each(repo, ("rm", "--quiet", "--force", "--"), gone)
    for path, stage in modules.items():
        repo.run("update-index", "--cacheinfo", f"{stage.mode},{stage.name},{path}")


def check_markers(repo: OpenRepository, paths: Sequence[str]) -> None:
    """Refuse to stage files in conflict that still have the markers of it.

    Parameters
    ----------
    repo
        The repository.
    paths
        The paths that are to be staged, as the manager has them.

    Raises
    ------
    RejectedError
        There is one.
    """
    if _may_conflict(repo):
        _refuse_marked(repo, repo.unmerged(paths))


def _may_conflict(repo: OpenRepository) -> bool:
    """Whether a merge or the like waits, or a stash is there that may have been applied.

    It spares the question to git where nothing can be in conflict.
    """
    stashed = repo.place.common_dir / "logs" / "refs" / "stash"
    return bool(operations.current(repo.place)) or stashed.exists()


def _refuse_marked(repo: OpenRepository, found: Collection[str]) -> None:
    lines = {path: marked_lines(_current(repo, path)) for path in found}
    marked = {repo.shown(path): numbers[0] for path, numbers in lines.items() if numbers}
    if marked:
        _refuse_markers(marked, f"hub.git.resolve({next(iter(marked))!r}, force=True)")


def _refuse_markers(marked: dict[str, int], anyway: str) -> None:
    listed = _listed([f"{path} line {line:,}" for path, line in marked.items()])
    path = next(iter(marked))
    raise RejectedError(
        f"conflict markers are left in {listed}",
        service="git",
        hint="hub.git.conflicts() (%git conflicts) shows both sides; edit the file, or take one: "
        f"hub.git.resolve({path!r}, 'ours') (%git resolve --ours {path}, or --theirs). "
        f"If the markers belong there: {anyway}",
    )


def check_staged_markers(repo: OpenRepository) -> None:
    """Refuse a commit in the middle of an operation while markers are staged.

    Raises
    ------
    RejectedError
        Some are.
    """
    if not operations.current(repo.place):
        return
    output = repo.run("diff", "--cached", "--check", "--no-ext-diff", "HEAD", "--", fine=(0, 2))
    marked: dict[str, int] = {}
    # It counts an underlined heading too.
    for path in dict.fromkeys(found["path"] for found in _MARKER.finditer(output.text)):
        lines = marked_lines(repo.run("cat-file", "blob", f":{path}").out)
        if lines:
            marked[repo.shown(path)] = lines[0]
    if marked:
        _refuse_markers(marked, "hub.git.merge_continue(force=True)")


def end(
    repo: OpenRepository,
    commit: Callable[[str], str],
    *,
    message: str | None,
    force: bool,
) -> str:
    """Commit the merge that waits; see `GitManager.merge_continue`."""
    _refuse_other(repo, "continue")
    repo.refuse_protected("merge")
    left = repo.unmerged()
    if left:
        raise RejectedError(
            f"still in conflict: {_listed([repo.shown(path) for path in left])}",
            service="git",
            hint=operations.advice("", conflicts=True)
            + "; a file that you have edited: hub.git.resolve(PATH) (%git resolve PATH)",
        )
    if not force:
        check_staged_markers(repo)
    return commit(message or _prepared(repo))


def _prepared(repo: OpenRepository) -> str:
    """Return the message that the merge began with, without git's list of conflicts."""
    file = repo.place.git_dir / "MERGE_MSG"
    text = file.read_text("utf-8", "surrogateescape") if file.is_file() else ""
    return _COMMENT.sub("", text).strip() or f"Merge {_branch_at(repo, 'MERGE_HEAD')}"


def abort(repo: OpenRepository) -> str:
    """Give up the merge that waits; see `GitManager.merge_abort`."""
    _refuse_other(repo, "give up")
    repo.run("merge", "--abort", doing="merge --abort")
    return repo.head()


def _refuse_other(repo: OpenRepository, doing: str) -> None:
    operation = operations.current(repo.place)
    if operation != "merge":
        raise RejectedError(
            f"there is no merge to {doing}"
            + (f": this is the middle of a {operation}" if operation else ""),
            service="git",
            hint=operations.HOW_TO_END.get(operation, "hub.git.merge(REV) (%git merge REV)"),
        )
