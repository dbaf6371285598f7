"""The parts of the git panel that leave a conflict and discard changes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.git.operations import ABORTED_BY, HOW_TO_END
from agentnb.panels.base import Confirm, button, label, row
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.git import GitManager, Status
    from agentnb.core.git.solving import Side
    from agentnb.core.git.status import Change
    from agentnb.panels.base import Panel

    Done = Callable[[Callable[..., str]], Callable[..., str]]

__all__ = ["MergeBar", "SolveButtons"]

_MERGE: Final = "merge"


class MergeBar:
    """A line that is there while an operation waits to be ended; it ends a merge, or gives it up.

    Parameters
    ----------
    panel
        Shows what was done, and errors.
    git
        The repository.
    done
        Wraps an action, after which the repository is read anew.
    """

    def __init__(
        self,
        panel: Panel,
        git: GitManager,
        done: Done,
    ) -> None:
        self._git = git
        self._doing = ""
        self.text = label("")
        self.proceed = button(
            "Continue merge",
            panel.action(done(self._continue), panel.say),
            tooltip="Commit the merge, once no file is in conflict",
            icon="check",
            primary=True,
        )
        self.abort = Confirm(
            panel,
            "Abort",
            lambda: (f"Go back to before the {self._doing}", None),
            done(self._abort),
            tooltip="Abort; every file becomes as it was before",
            icon="undo",
        )
        self.widget = row(self.text, self.proceed, self.abort)
        self.show(None)

    def show(self, status: Status | None) -> None:
        """Show the operation that waits, or nothing."""
        doing = "" if status is None else status.doing
        left = 0 if status is None else len(status.conflicts)
        self.widget.layout.display = None if doing or left else "none"
        self.text.value = escape(_text(doing, left))
        self.proceed.layout.display = None if doing == _MERGE else "none"
        self.proceed.disabled = left > 0
        self.abort.widget.layout.display = None if doing in ABORTED_BY else "none"
        if doing != self._doing:
            self.abort.reset()
            self.abort.rename(f"Abort {doing}")
        self._doing = doing

    def _continue(self) -> str:
        return f"merged: {self._git.merge_continue()[:10]}"

    def _abort(self, _: object) -> str:
        return f"the {self._git.abort()} is given up"


def _text(doing: str, left: int) -> str:
    files = f"{left:,} {'file' if left == 1 else 'files'} in conflict"
    if doing == _MERGE:
        return f"Merging · {files if left else 'no file is in conflict'}"
    if doing:
        return f"In the middle of a {doing} · {files} · {HOW_TO_END[doing]}"
    return files


class SolveButtons:
    """Buttons of the selected file: take one side of its conflict, or discard its changes.

    Parameters
    ----------
    panel
        Shows what was done, and errors.
    git
        The repository.
    done
        Wraps an action, after which the repository is read anew.
    picked
        Returns the selected file, or raises where there is none.
    """

    def __init__(
        self,
        panel: Panel,
        git: GitManager,
        done: Done,
        picked: Callable[[], str],
    ) -> None:
        self._git, self._picked = git, picked
        self._path: str | None = None

        def taking(side: Side, text: str, tooltip: str) -> Any:
            take = panel.action(done(lambda: self._take(side)), panel.say)
            return button(text, take, tooltip=tooltip)

        self.ours = taking(
            "ours", "Take ours", "Where both sides changed the file, keep the current branch's"
        )
        self.theirs = taking(
            "theirs", "Take theirs", "Where both sides changed the file, take the merged branch's"
        )
        self.discard = Confirm(
            panel,
            "Discard",
            self._ask,
            done(self._discard),
            tooltip="Discard the changes of the selected file that are not staged",
            icon="trash",
        )
        self.widget = row(self.ours, self.theirs, self.discard)
        self.show(None)

    def show(self, change: Change | None) -> None:
        """Offer the actions for the selected file."""
        path = None if change is None else change.path
        if path != self._path:
            self.discard.reset()
        self._path = path
        conflict = change is not None and change.conflict
        for part in (self.ours, self.theirs):
            part.layout.display = None if conflict else "none"
        self.discard.widget.layout.display = "none" if conflict else None
        known = change is not None and bool(change.work) and not change.untracked
        self.discard.first.disabled = not known

    def _take(self, side: Side) -> str:
        path = self._picked()
        conflicts = self._git.conflicts([path])
        # What is shown are the parts that both changed: it is of these that a side is taken.
        self._git.resolve([path], side, parts=all(each.has_parts for each in conflicts))
        return f"{plain(path)}: {side} taken and staged"

    def _ask(self) -> tuple[str, str]:
        path = self._picked()
        return f"Discard the changes of {plain(path)}", path

    def _discard(self, path: str) -> str:
        self._git.restore([path])
        return f"{plain(path)}: changes discarded"
