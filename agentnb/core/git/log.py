"""A history: commits with their graph."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.format import INKS
from agentnb.core.git import graph
from agentnb.core.table import Table, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FORMAT", "Commit", "Log", "parse"]

FORMAT: Final = "tformat:%H%x00%aI%x00%an%x00%s%x00%D%x00%P"
"""What `parse` reads: with ``-z``, fields and commits alike end with a NUL."""

_FIELDS: Final = 6
_NOTHING: Final = "no commits yet: hub.git.commit(TEXT) (%git commit -m TEXT) makes the first"
_DRAWN: Final = 200
_LABEL: Final = (
    "display:inline-block;padding:0 6px;margin-right:5px;border:1px solid currentColor;"
    "border-radius:8px;font-size:.85em;line-height:16px;color:"
)
_DIM: Final = "color:var(--jp-ui-font-color2,#757575)"
_CODE: Final = "font-family:var(--jp-code-font-family,monospace)"


class Commit(NamedTuple):
    """A commit of a log, as its table has it."""

    sha: str
    when: str
    author: str
    subject: str
    refs: str
    parents: str


class Log(Table):
    """Commits, the newest first; shown with their graph.

    Parameters
    ----------
    commits
        With every field of `Commit`.
    more
        Whether there are older ones.
    nothing
        The text of an empty table, if the repository has commits.
    """

    __slots__ = ("more",)

    def __init__(
        self, commits: Sequence[tuple[str, ...]], *, more: bool = False, nothing: str = ""
    ) -> None:
        super().__init__(Commit._fields, commits, empty=nothing or _NOTHING)
        self.more = more

    def graph(self) -> list[graph.Row]:
        """Return the position of each commit in the graph."""
        return graph.lay_out([(row[0], row[5].split()) for row in self.rows])

    def svg(self) -> str:
        """Return the graph as an SVG that needs no style or script."""
        return graph.svg(self.graph(), f"Graph of {len(self.rows)} commits")

    def __repr__(self) -> str:
        if not self.rows:
            return self.empty
        lines = []
        drawn = graph.text(self.graph())[: self.display]
        for row, lanes in zip(self.rows, drawn, strict=False):
            refs = f" ({row[4]})" if row[4] else ""
            about = f"{text_of(row[3])}{text_of(refs)}"
            lines.append(f"{lanes} {row[0][:10]}  {_day(row[1])}  {text_of(row[2])}  {about}")
        return "\n".join([*lines, *self._cuts(len(drawn))])

    def _cuts(self, drawn: int) -> list[str]:
        """Return the notes on commits that are not displayed or were not read."""
        count = len(self.rows)
        lines = [f"{drawn:,} of {count:,} commits shown"] if count > drawn else []
        return (
            [*lines, f"there are older commits than these {count:,}: -n N"] if self.more else lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<div>{escape(self.empty)}</div>"
        rows = "".join(_row_html(row) for row in self.rows[:_DRAWN])
        drawing = graph.svg(self.graph()[:_DRAWN], f"Graph of {len(self.rows)} commits")
        note = "".join(f'<div style="{_DIM}">{line}</div>' for line in self._cuts(_DRAWN))
        return (
            '<div class="agentnb-log" style="display:flex;overflow:auto;'
            'color:var(--jp-content-font-color1,inherit)">'
            f'{drawing}<div style="flex:1 1 auto;min-width:0">{rows}</div></div>{note}'
        )


def _row_html(row: tuple[str, ...]) -> str:
    labels = "".join(_label(ref) for ref in row[4].split(", ") if ref)
    return (
        f'<div style="height:{graph.ROW}px;line-height:{graph.ROW}px;white-space:nowrap;'
        'overflow:hidden;text-overflow:ellipsis">'
        f'<span style="{_CODE};{_DIM}" title="{escape(row[0])}">{escape(row[0][:8])}</span> &nbsp;'
        f"{labels}{escape(text_of(row[3]))} &nbsp;"
        f'<span style="{_DIM}">{escape(text_of(row[2]))}, {_day(row[1])}</span></div>'
    )


def _label(ref: str) -> str:
    name = ref.removeprefix("HEAD -> ")
    if name.startswith("tag: "):
        colour = "var(--jp-warn-color1,#f57c00)"
    elif ref != name or ref == "HEAD":
        colour = f"{INKS['good']};font-weight:600"
    else:
        colour = "var(--jp-brand-color1,#1976d2)"
    return f'<span style="{_LABEL}{colour}">{escape(text_of(name))}</span>'


def _day(when: str) -> str:
    """Return day and minute as the author's clock had them.

    >>> _day("2026-01-31T09:05:00+01:00")
    '2026-01-31 09:05'
    """
    return escape(when[:16].replace("T", " "))


def parse(text: str) -> list[tuple[str, ...]]:
    """Return the commits in the output of ``git log -z`` in `FORMAT`."""
    fields = text.split("\0")
    return list(zip(*[iter(fields)] * _FIELDS, strict=False))
