"""A commit as an object: its header, its message and its changes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, ClassVar, Final

from agentnb.core.table import text_of

if TYPE_CHECKING:
    from agentnb.core.git.diff import Diff

__all__ = ["CommitView"]

_MOST_LINES: Final = 200
_WHOLE: Final = "print(_.diff)"


@dataclass(frozen=True, slots=True, repr=False)
class CommitView:
    """A commit with its changes.

    Parameters
    ----------
    sha
        Its name.
    author, email, when
        The author, and the time by the author's clock.
    message
        All of it.
    parents
        The commits before it.
    diff
        The changes against the first of these.
    """

    FORMAT: ClassVar[str] = "%H%x00%an%x00%ae%x00%aI%x00%P%x00%B%x00%x01"
    END: ClassVar[str] = "\0\x01\0"

    sha: str
    author: str
    email: str
    when: str
    message: str
    parents: tuple[str, ...]
    diff: Diff

    @classmethod
    def parse(cls, text: str, diff: Diff) -> CommitView:
        """Return the commit in git's output in `FORMAT`."""
        sha, author, email, when, parents, message = text.split("\0", 5)
        return cls(sha, author, email, when, message.strip("\n"), tuple(parents.split()), diff)

    def _head(self) -> list[str]:
        who = f"{text_of(self.author)} <{text_of(self.email)}>, {self.when}"
        lines = [f"commit {self.sha}", who]
        if len(self.parents) > 1:
            lines.append("merges " + " and ".join(parent[:10] for parent in self.parents))
        return lines

    def __repr__(self) -> str:
        from agentnb.core.git.render import as_text

        return "\n".join([*self._head(), "", *self._message(), "", as_text(self.diff, _WHOLE)])

    def _message(self) -> list[str]:
        lines = self.message.splitlines()
        shown = [text_of(line) if line else "" for line in lines[:_MOST_LINES]]
        if len(lines) > _MOST_LINES:
            more = len(lines) - _MOST_LINES
            shown.append(f"… {more:,} more lines: print(_.message) shows them all")
        return shown

    def _repr_html_(self) -> str:
        from agentnb.core.git.render import as_html

        subject, *body = self._message() or [""]
        head = "<br>".join(escape(line) for line in self._head())
        text = "\n".join(body).strip("\n")
        return (
            '<div style="color:var(--jp-content-font-color1,inherit)">'
            f'<div style="font-weight:600">{escape(subject)}</div>'
            f'<div style="color:var(--jp-ui-font-color2,#757575)">{head}</div>'
            f'<div style="white-space:pre-wrap;margin:4px 0">{escape(text)}</div></div>'
            f"{as_html(self.diff, _WHOLE)}"
        )
