"""The changed files of a work tree, and the state of its branch to its upstream."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from agentnb.core.format import INKS
from agentnb.core.git.operations import advice
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KINDS", "WORDS", "Change", "Status", "parse"]

WORDS: Final = {
    "A": "new",
    "M": "modified",
    "D": "deleted",
    "R": "renamed",
    "C": "copied",
    "T": "another type",
    "U": "conflict",
}
# Which versions of a file in conflict there are (1 is the base, 2 ours, 3 theirs) says what the
# two sides did. Source: git-status(1), "Short Format".
KINDS: Final = {
    (1,): "deleted by both",
    (2,): "added by us",
    (3,): "added by them",
    (2, 3): "added by both",
    (1, 2): "deleted by them",
    (1, 3): "deleted by us",
    (1, 2, 3): "modified by both",
}
_STAGES: Final = {
    "DD": (1,),
    "AU": (2,),
    "UA": (3,),
    "AA": (2, 3),
    "UD": (1, 2),
    "DU": (1, 3),
    "UU": (1, 2, 3),
}
_COLOURS: Final = {
    "staged": INKS["good"],
    "changed": INKS["warn"],
    "untracked": INKS["dim"],
    "conflict": INKS["bad"],
}


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs from the last commit.

    ``index`` says how what is staged differs from the commit, ``work`` how the file differs from
    what is staged: a letter of git's (``A``, ``M``, ``D``, ``R``, ...), or ``""``. Both are ``?``
    for a file that git does not know, and ``U`` in a conflict, of which ``sides`` says how the two
    sides differ, such as ``"deleted by us"``.
    """

    path: str
    index: str
    work: str
    was: str = ""
    sides: str = ""

    @property
    def staged(self) -> bool:
        """Whether the file has staged changes."""
        return bool(self.index) and self.index not in "?U"

    @property
    def untracked(self) -> bool:
        """Whether git does not track the file."""
        return self.work == "?"

    @property
    def conflict(self) -> bool:
        """Whether both sides of a merge have changed it."""
        return self.index == "U" or self.work == "U"


class Status(Table):
    """The changed files: a row for a file's staged changes, and one for the others.

    Parameters
    ----------
    branch
        The branch, or None if none is checked out.
    sha
        The last commit; ``""`` where there is none yet.
    upstream
        The branch that it follows, such as ``origin/main``; ``""`` for none.
    ahead, behind
        Commits that only this branch has, and that only the upstream has.
    stashes
        The number of stashes.
    doing
        An operation that waits to be ended, such as ``"merge"``; ``""`` for none.
    changes
        The files.

    Examples
    --------
    >>> Status("main", "1a2b", "origin/main", 2, 0, 0, "", [Change("a.py", "A", "")])
    on main, 2 ahead of origin/main
    state   change  path
    staged  new     a.py
    """

    __slots__ = ("ahead", "behind", "branch", "changes", "doing", "sha", "stashes", "upstream")

    def __init__(
        self,
        branch: str | None,
        sha: str,
        upstream: str,
        ahead: int,
        behind: int,
        stashes: int,
        doing: str,
        changes: Sequence[Change],
    ) -> None:
        self.branch, self.sha, self.upstream = branch, sha, upstream
        self.ahead, self.behind, self.stashes, self.doing = ahead, behind, stashes, doing
        self.changes = changes
        super().__init__(
            ("state", "change", "path"),
            [row for change in changes for row in _rows(change)],
            empty="nothing has changed",
        )

    @property
    def clean(self) -> bool:
        """Whether nothing has changed since the last commit."""
        return not self.changes

    @property
    def staged(self) -> list[str]:
        """The files of which a commit would take something."""
        return [change.path for change in self.changes if change.staged]

    @property
    def changed(self) -> list[str]:
        """The tracked files with changes that are not staged."""
        return [c.path for c in self.changes if c.work and not c.untracked and not c.conflict]

    @property
    def untracked(self) -> list[str]:
        """The files and folders that git does not know."""
        return [change.path for change in self.changes if change.untracked]

    @property
    def conflicts(self) -> list[str]:
        """The files that both sides of a merge have changed."""
        return [change.path for change in self.changes if change.conflict]

    @property
    def summary(self) -> str:
        """Return where the branch stands, in a line."""
        parts = [f"on {self.branch}" if self.branch else f"on no branch, at {self.sha[:10]}"]
        if not self.sha:
            parts.append("no commits yet")
        if self.upstream and (self.ahead or self.behind):
            both = [
                text
                for number, text in (
                    (self.ahead, f"{self.ahead} ahead of {self.upstream}"),
                    (self.behind, f"{self.behind} behind {self.upstream}"),
                )
                if number
            ]
            parts += both
        elif self.upstream:
            parts.append(f"as {self.upstream}")
        if self.stashes:
            parts.append(f"{self.stashes} stashed")
        if self.doing:
            parts.append(f"in the middle of a {self.doing}")
        return ", ".join(parts)

    @property
    def advice(self) -> str:
        """Return the next steps of an operation that waits; ``""`` where none does."""
        return advice(self.doing, conflicts=bool(self.conflicts))

    def __repr__(self) -> str:
        return "\n".join([self.summary, super().__repr__(), *self.advice.splitlines()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="{_TD};color:{_COLOURS[state]}">{state}</td>'
            f'<td style="{_TD}">{escape(change)}</td>'
            f'<td style="{_TD};font-family:var(--jp-code-font-family,monospace)">'
            f"{escape(_visible(path))}</td></tr>"
            for state, change, path in self.rows[:_SHOWN]
        )
        more = len(self.rows) - _SHOWN
        note = f"<div>{_SHOWN:,} of {len(self.rows):,} rows shown</div>" if more > 0 else ""
        if self.note:
            note += f"<div>{escape(self.note)}</div>"
        body = f'<table style="border-collapse:collapse;margin:2px 0">{rows}</table>{note}'
        if not self.rows:
            body = f"<div>{escape(self.empty)}</div>{note}"
        how = "".join(
            f'<div style="color:{_COLOURS["untracked"]}">{escape(line)}</div>'
            for line in self.advice.splitlines()
        )
        return (
            '<div style="color:var(--jp-content-font-color1,inherit)">'
            f"<div>{_branch_html(self)}</div>{body}{how}</div>"
        )


_SHOWN: Final = 100
_TD: Final = "text-align:left;padding:1px 10px 1px 0;white-space:pre"


def _branch_html(status: Status) -> str:
    name = escape(status.branch or status.sha[:10])
    return escape(status.summary).replace(name, f"<strong>{name}</strong>", 1)


def _visible(text: str) -> str:
    from agentnb.core.table import text_of

    return text_of(text)


def _rows(change: Change) -> list[tuple[str, str, str]]:
    path = f"{change.was} → {change.path}" if change.was else change.path
    if change.untracked:
        return [("untracked", "", path)]
    if change.conflict:
        return [("conflict", change.sides or "modified by both", path)]
    rows = []
    if change.index:
        rows.append(("staged", WORDS.get(change.index, change.index), path))
    if change.work:
        # What is not staged has the file's present name.
        rows.append(("changed", WORDS.get(change.work, change.work), change.path))
    return rows


def parse(text: str, shown: Callable[[str], str], doing: str) -> Status:
    """Return the status in ``git status --porcelain=v2 --branch --show-stash -z``."""
    heads: dict[str, str] = {}
    changes: list[Change] = []
    fields = iter(text.split("\0"))
    for line in fields:
        kind = line[:2]
        if kind == "1 ":
            parts = line.split(" ", 8)
            changes.append(Change(shown(parts[8]), *_letters(parts[1])))
        elif kind == "2 ":
            parts = line.split(" ", 9)
            changes.append(Change(shown(parts[9]), *_letters(parts[1]), shown(next(fields))))
        elif kind == "u ":
            parts = line.split(" ", 10)
            sides = KINDS[_STAGES[parts[1]]]
            changes.append(Change(shown(parts[10]), "U", "U", sides=sides))
        elif kind == "? ":
            changes.append(Change(shown(line[2:]), "?", "?"))
        elif kind == "# ":
            _, key, value = line.split(" ", 2)
            heads[key] = value
    ahead, behind = (abs(int(number)) for number in heads.get("branch.ab", "0 0").split())
    return Status(
        branch=_unless(heads, "branch.head", "(detached)") or None,
        sha=_unless(heads, "branch.oid", "(initial)"),
        upstream=heads.get("branch.upstream", ""),
        ahead=ahead,
        behind=behind,
        stashes=int(heads.get("stash", 0)),
        doing=doing,
        changes=changes,
    )


def _unless(heads: dict[str, str], key: str, nothing: str) -> str:
    value = heads.get(key, "")
    return "" if value == nothing else value


def _letters(both: str) -> tuple[str, str]:
    return both[0].strip("."), both[1].strip(".")
