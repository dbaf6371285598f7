"""Git's commands, by how much of a repository they read or change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["changes_work_tree", "reads"]

_READ: Final = frozenset(
    {"status", "diff", "log", "show", "for-each-ref", "rev-parse", "symbolic-ref", "cat-file"}
    | {"ls-files", "ls-tree", "diff-tree", "remote", "version", "config", "merge-file"}
)
_READ_VERBS: Final = frozenset({("stash", "list"), ("stash", "show"), ("worktree", "list")})
# Those that change files in no more than one step: any other may check something out, and then
# start git again, which reads its settings as they have become by then.
_CHANGE_NO_TREE: Final = frozenset(
    {"add", "branch", "clone", "commit", "commit-tree", "fetch", "init", "push", "read-tree"}
    | {"hash-object", "reset", "restore", "rm", "switch", "tag", "update-index", "update-ref"}
    | {"write-tree"}
)


def reads(words: Sequence[str]) -> bool:
    """Return whether a command only reads.

    >>> reads(["stash", "list"]), reads(["stash", "pop"])
    (True, False)
    """
    return words[0] in _READ or tuple(words[:2]) in _READ_VERBS


def changes_work_tree(words: Sequence[str]) -> bool:
    """Return whether a command may change files of the work tree in several steps.

    >>> changes_work_tree(["rebase"]), changes_work_tree(["commit"])
    (True, False)
    """
    return not reads(words) and words[0] not in _CHANGE_NO_TREE
