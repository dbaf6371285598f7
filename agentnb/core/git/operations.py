"""Operations that wait in a repository to be ended: a merge, a rebase, and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentnb.core.errors import RejectedError
from agentnb.core.hints import rendered

if TYPE_CHECKING:
    from agentnb.core.git.discovery import Folders

__all__ = ["ABORTED_BY", "HOW_TO_END", "advice", "current", "refuse_during"]

# Files of a .git folder that are there while the operation waits. A rebase comes first: while it
# runs, the files of a merge or a cherry-pick can be there too.
_FILES: Final = {
    "rebase-merge": "rebase",
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
_GIVE_UP: Final = "hub.git.abort() (%git abort) gives it up"
HOW_TO_END: Final = {
    "merge": "hub.git.merge_continue() (%git merge --continue) ends the merge, "
    "hub.git.merge_abort() (%git merge --abort) gives it up",
    "rebase": f"{_GIVE_UP}; to go on, in a terminal: git rebase --continue",
    "am": f"{_GIVE_UP}; to go on, in a terminal: git am --continue",
    "cherry-pick": f"hub.git.commit(MESSAGE) (%git commit -m MESSAGE) ends it, {_GIVE_UP}",
    "revert": f"hub.git.commit(MESSAGE) (%git commit -m MESSAGE) ends it, {_GIVE_UP}",
    "bisect": "in a terminal: git bisect reset",
}
# What gives an operation up runs no command that the repository has noted; to go on with a rebase
# would run those of its list.
ABORTED_BY: Final = ("merge", "rebase", "am", "cherry-pick", "revert")
_SOLVE: Final = (
    "hub.git.conflicts() (%git conflicts) shows both sides, "
    "hub.git.resolve(PATHS, 'ours') (%git resolve --ours PATH, or --theirs) takes one"
)


def current(folders: Folders) -> str:
    """Return the operation that waits to be ended, such as ``"merge"``; ``""`` for none."""
    for name, operation in _FILES.items():
        if (folders.git_dir / name).exists():
            return operation
    return ""


def advice(operation: str, *, conflicts: bool) -> str:
    """Return how to go on, in one or two lines; ``""`` where nothing waits.

    >>> advice("bisect", conflicts=False)
    'in a terminal: git bisect reset'
    """
    lines = [_SOLVE] if conflicts else []
    lines += [HOW_TO_END[operation]] if operation in HOW_TO_END else []
    return rendered("\n".join(lines))


def refuse_during(folders: Folders, doing: str) -> None:
    """Refuse an action while another operation waits to be ended. A bisection is no hindrance.

    Raises
    ------
    RejectedError
        One waits.
    """
    operation = current(folders)
    if operation in {"", "bisect"}:
        return
    raise RejectedError(
        f"no {doing} in the middle of a {operation}",
        service="git",
        hint=HOW_TO_END[operation],
    )
