"""The verbs of ``%git`` that leave a conflict or go back: each is given git and the line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import UsageError
from agentnb.magics.base import Message
from agentnb.magics.git.arguments import choice, text
from agentnb.magics.git.paths import has_paths, paths_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.git import GitManager
    from agentnb.core.git.conflicts import Conflicts
    from agentnb.core.git.objects import CommitView
    from agentnb.core.git.solving import Side
    from agentnb.core.git.status import Status
    from agentnb.core.git.versions import FileVersion
    from agentnb.magics.grammar import Call

__all__ = ["STASHES", "amend", "conflicts", "merge", "resolve", "restore", "show", "stash", "tag"]

STASHES: Final = ("push", "list", "show", "apply", "pop", "drop")
# :0:PATH is what is staged, :2:PATH and :3:PATH are sides of a conflict. (:PATH would be a bind.)
_OF_STAGE: Final = re.compile(r":(?P<stage>[0-3]):(?P<path>.+)", re.DOTALL)
_OF_REVISION: Final = re.compile(r"(?P<revision>[^:]+):(?P<path>.+)", re.DOTALL)
_LISTED: Final = 10


def merge(git: GitManager, call: Call) -> Any:
    """Begin a merge, end it or give it up."""
    revision, options = text(call, 0), call.options
    ending = [name for name in ("abort", "continue") if name in options]
    if ending and revision is not None:
        raise UsageError(
            f"--{ending[0]} takes no revision: {revision}",
            service="git",
            hint=f"%git merge --{ending[0]}",
        )
    if "abort" in options:
        sha = git.merge_abort()
        return Message(f"the merge is given up; {git.current_branch() or 'HEAD'} is at {sha[:10]}")
    if "continue" in options:
        sha = git.merge_continue(options.get("message"))
        return Message(f"merged: {git.current_branch() or 'HEAD'} is at {sha[:10]}")
    if revision is None:
        raise UsageError(
            "a merge needs a revision",
            service="git",
            hint="%git merge BRANCH; of one that waits: %git merge --continue, or --abort",
        )
    return git.merge(revision, message=options.get("message"), fast_forward="no_ff" not in options)


def conflicts(git: GitManager, call: Call) -> Conflicts:
    """Return the files in conflict."""
    paths = paths_of(git, call) if has_paths(call) else None
    return git.conflicts(paths, base="base" in call.options)


def resolve(git: GitManager, call: Call) -> Status:
    """Solve files in conflict."""
    options = call.options
    if ("all" in options) == has_paths(call):
        raise UsageError(
            "%git resolve needs files, or --all",
            service="git",
            hint="%git resolve --ours PATH, %git resolve --theirs --all",
        )
    paths = paths_of(git, call) if has_paths(call) else None
    take: Side | None = "ours" if "ours" in options else "theirs" if "theirs" in options else None
    git.resolve(paths, take, parts="parts" in options, force="force" in options)
    return git.status()


def restore(git: GitManager, call: Call) -> Any:
    """Discard the changes of files."""
    if not has_paths(call):
        raise UsageError(
            "%git restore needs files", service="git", hint="%git restore PATH; . is all here"
        )
    source, paths = call.options.get("from"), paths_of(git, call)
    found = git.restore(paths, source=source, dry_run=True)
    if "dry_run" in call.options:
        return Message(f"would be restored: {_listed(found)}")
    if not found:
        return Message(f"nothing to restore: as in {source}" if source else _NOTHING)
    if len(found) > 1 and "yes" not in call.options:
        raise UsageError(
            f"the changes of {len(found):,} files would be lost: {_listed(found)}; "
            "nothing was restored",
            service="git",
            hint=f"%git {call.line.strip().replace('restore', 'restore --yes', 1)}",
        )
    return Message(f"restored: {_listed(git.restore(paths, source=source))}")


_NOTHING: Final = (
    "nothing to restore: no change that is not staged; of the last commit: --from HEAD"
)


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _LISTED
    return (", ".join(paths[:_LISTED]) or "nothing") + (f" and {more:,} more" if more > 0 else "")


def stash(git: GitManager, call: Call) -> Any:
    """Put changes aside; list, show, apply, pop or drop them."""
    verb, number = choice(call, STASHES), _number(call)
    if verb not in {None, "push"} and "message" in call.options:
        raise UsageError(
            f"--message has no effect on {verb}", service="git", hint="%git stash -m MESSAGE"
        )
    if verb == "list":
        return git.stashes()
    if verb == "show":
        return git.stash_show(number)
    if verb == "drop":
        sha = git.stash_drop(number)
        return Message(
            f"stash {number} is forgotten; in a terminal git stash apply {sha[:10]} has it"
        )
    if verb in {"pop", "apply"}:
        (git.stash_pop if verb == "pop" else git.stash_apply)(number)
        return git.status()
    stashed = git.stash(call.options.get("message", ""))
    return Message("put aside; %git stash pop brings it back" if stashed else "nothing to stash")


def _number(call: Call) -> int:
    """Return which stash is meant: ``2``, or ``stash@{2}`` as the list has it."""
    given = text(call, 1)
    if given is None:
        return 0
    digits = given.removeprefix("stash@{").removesuffix("}")
    if text(call, 0) in {"push", "list"} or not digits.isascii() or not digits.isdecimal():
        raise UsageError(
            f"%git stash {text(call, 0)} takes no {given!r}",
            service="git",
            hint="%git stash pop 1: the number of %git stash list",
        )
    return int(digits)


def tag(git: GitManager, call: Call) -> Any:
    """List the tags, make one, or delete one."""
    name, options = text(call, 0), call.options
    if "delete" in options:
        if name is None or len(call.arguments) > 1:
            raise UsageError(
                "--delete takes the name of one tag", service="git", hint="%git tag --delete NAME"
            )
        return Message(f"{name}: deleted, it was at {git.delete_tag(name)[:10]}")
    if name is None:
        if options.keys() & {"message", "force"}:
            raise UsageError(
                "a new tag needs a name", service="git", hint="%git tag NAME -m MESSAGE"
            )
        return git.tags()
    sha = git.create_tag(
        name,
        text(call, 1) or "HEAD",
        message=options.get("message"),
        force="force" in options,
    )
    return Message(f"{name}: names {sha[:10]}")


def amend(git: GitManager, call: Call) -> str:
    """Replace the last commit; return its sha."""
    options = call.options
    if has_paths(call):
        raise UsageError(
            "--amend takes what is staged, and no paths",
            service="git",
            hint="%git add PATH, then %git commit --amend",
        )
    if "all" in options:
        git.add_files()
    return git.amend(options.get("message"), author=options.get("author"), force="force" in options)


def show(git: GitManager, name: str, paths: list[str]) -> CommitView | FileVersion:
    """Return a commit, or a file as a commit has it."""
    if paths:
        return git.show(name, paths=paths)
    found = _OF_STAGE.fullmatch(name)
    if found is not None:
        return git.show_file(found["path"], found["stage"])
    found = _OF_REVISION.fullmatch(name)
    if found is not None:
        return git.show_file(found["path"], found["revision"])
    return git.show(name)
