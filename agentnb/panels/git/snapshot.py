"""The state of a repository that the git panel displays."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentnb.core.git import GitManager, Log, Status
    from agentnb.core.git.status import Change

__all__ = ["COMMITS", "Snapshot", "sync_text", "take"]

COMMITS: Final = 40


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The repository at one time.

    Parameters
    ----------
    generation
        Counts the actions before it: a snapshot that an action has overtaken is not shown.
    status
        The changes.
    branches
        The names of the branches.
    log
        The newest commits of every branch.
    picked
        The selected file.
    changes
        The changes of that file as HTML; both sides where it is in conflict.
    """

    generation: int
    status: Status
    branches: list[str]
    log: Log
    picked: str | None
    changes: str


def take(git: GitManager, generation: int, picked: str | None) -> Snapshot:
    """Read the repository."""
    status = git.status(untracked="all")
    change = next((each for each in status.changes if each.path == picked), None)
    return Snapshot(
        generation=generation,
        status=status,
        branches=[found.branch for found in git.branches()],
        log=git.log(COMMITS, every=True),
        picked=picked,
        changes="" if change is None else _changes_html(git, change),
    )


def _changes_html(git: GitManager, change: Change) -> str:
    if change.conflict:
        return git.conflicts([change.path]).files_html()
    if change.untracked:
        return _titled("untracked", git.diff_of_unknown(change.path)._repr_html_())
    html = ""
    if change.work:
        html += _titled("not staged", git.diff(paths=[change.path])._repr_html_())
    if change.staged:
        paths = [path for path in (change.was, change.path) if path]
        html += _titled("staged", git.diff(cached=True, paths=paths)._repr_html_())
    return html


def _titled(title: str, html: str) -> str:
    return f'<div class="agentnb-dim">{escape(title)}</div>{html}'


def sync_text(status: Status) -> str:
    """Return how the branch stands to the one that it follows."""
    if not status.upstream:
        return "follows no remote branch" if status.sha else "no commits yet"
    parts = []
    if status.ahead:
        parts.append(f"↑ {status.ahead} to push")
    if status.behind:
        parts.append(f"↓ {status.behind} to pull")
    return f"{' · '.join(parts) or 'up to date'} · {status.upstream}"
