"""The policy of an agent's tools: their names, the folders they read, the size of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["GROUPS", "READ", "WRITE", "Policy", "chosen"]

READ: dict[str, tuple[str, ...]] = {
    "db": ("db_schema", "db_query"),
    "files": ("file_list", "file_read"),
    "git": ("git_status", "git_diff", "git_log", "git_show"),
    "events": ("events_history",),
    "queue": ("queue_list", "queue_jobs", "queue_logs"),
    "workflow": ("workflow_list", "workflow_show"),
}
"""The tools that only read, by their groups."""
GROUPS = tuple(READ)
WRITE = ("db_execute", "file_write", "git_commit", "queue_add", "workflow_create")
"""The tools that change something, each of whose calls waits for a person."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The permissions and limits of an agent's tools.

    Attributes
    ----------
    groups
        The groups whose read tools it has.
    write
        The write tools that it has.
    root
        The folder of the tools for files and git; None for the workspace.
    timeout
        Seconds that a call may take.
    """

    groups: tuple[str, ...] = GROUPS
    write: tuple[str, ...] = ()
    root: Path | None = None
    timeout: float = 20.0


def chosen(name: str, given: Any, known: Sequence[str], hint: str) -> tuple[str, ...]:
    """Return words that are known, given as a list or as one text with commas.

    Parameters
    ----------
    name
        The argument's name.
    given
        Its value.
    known
        The words that there are.
    hint
        An example.

    Raises
    ------
    UsageError
        One is not known.

    Examples
    --------
    >>> chosen("tools", "db, files", GROUPS, ""), chosen("write", (), WRITE, "")
    (('db', 'files'), ())
    """
    words: Iterable[Any] = given
    if isinstance(given, str):
        words = [word.strip() for word in given.split(",") if word.strip()]
    elif not isinstance(given, list | tuple | set | frozenset):
        raise UsageError(f"{name} must be names, got {given!r:.80}", service="tools", hint=hint)
    found = tuple(dict.fromkeys(words))
    for word in found:
        if word not in known:
            raise UsageError(
                f"{name} must be of {', '.join(known)}, got {word!r:.80}",
                service="tools",
                hint=did_you_mean(str(word), known) or hint,
            )
    return found
