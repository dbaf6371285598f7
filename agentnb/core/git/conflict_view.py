"""Conflicts as people read them: both sides beside each other, as text and as HTML."""

from __future__ import annotations

import re
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from agentnb.core.format import INKS
from agentnb.core.git.render import marked
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentnb.core.git.conflicts import Block, Conflict, Conflicts

__all__ = ["as_html", "as_text", "files_html"]

MOST_LINES: Final = 600
"""Lines of conflicts that are shown in all; `Conflict.blocks` has every one."""

_WIDEST: Final = 400
_DIM: Final = INKS["dim"]
_EDGE: Final = "var(--jp-border-color2,#e0e0e0)"
_TINT: Final = {
    "ours": "background:color-mix(in srgb,var(--jp-brand-color1,#1976d2) 12%,transparent)",
    "theirs": "background:color-mix(in srgb,var(--jp-warn-color1,#f57c00) 14%,transparent)",
    "base": "",
}
_CODE: Final = (
    "font-family:var(--jp-code-font-family,monospace);"
    "font-size:var(--jp-code-font-size,13px);line-height:1.45"
)
_HEAD: Final = "cursor:pointer;padding:3px 8px;background:var(--jp-layout-color2,#f5f5f5)"
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NO_BLOCKS: Final = (
    "no part conflicts: take a side by parts, parts=True (--parts), which keeps all changes of both"
)
_NO_CELLS: Final = (
    "the sources of no cell conflict, but outputs, counts or metadata: take a side by parts, "
    "parts=True (--parts), which keeps the cells of both"
)
_BINARY: Final = "no text: take one of the sides"
_NO_PARTS: Final = "not a file on both sides: take one of the sides"


def _visible(text: str) -> str:
    """Return a line in which nothing moves the cursor or turns text around, cut where too long."""
    shown = _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text[:_WIDEST])
    more = len(text) - _WIDEST
    return f"{shown}… {more:,} more characters" if more > 0 else shown


def _note(file: Conflict) -> str:
    """Return the note for a file that has no blocks."""
    if file.binary:
        return _BINARY
    if not file.has_parts:
        return _NO_PARTS
    return _NO_CELLS if file.is_notebook else _NO_BLOCKS


def _summary(conflicts: Conflicts) -> str:
    if not conflicts.files:
        return "no conflicts"
    count = len(conflicts.files)
    return (
        f"{count:,} {'file' if count == 1 else 'files'} in conflict; "
        f"ours: {conflicts.ours}, theirs: {conflicts.theirs}"
    )


def _sides(conflicts: Conflicts) -> tuple[str, ...]:
    return ("ours", "base", "theirs") if conflicts.base else ("ours", "theirs")


# As text


def as_text(conflicts: Conflicts) -> str:
    """Return conflicts as text: of each part the lines of one side below those of the other."""
    lines = [_summary(conflicts)]
    for file in conflicts:
        lines += _file_text(file, _sides(conflicts))
    if len(lines) > MOST_LINES:
        more = len(lines) - MOST_LINES
        lines[MOST_LINES:] = [f"… {more:,} more lines: conflicts[0].blocks() has them all"]
    lines += conflicts.advice.splitlines()
    return "\n".join(lines)


def _file_text(file: Conflict, sides: Sequence[str]) -> Iterator[str]:
    yield f"{text_of(file.path)} ({file.kind})"
    blocks = file.blocks()
    if not blocks:
        yield f"  {_note(file)}"
    for block in blocks:
        yield f"@@ {block.title}"
        for side in sides:
            lines = getattr(block, side)
            for line in lines or ["(nothing)"]:
                yield f"{side:>6} | {_visible(line)}"


# As HTML


def as_html(conflicts: Conflicts) -> str:
    """Return conflicts as HTML without scripts; its colours follow the page's theme."""
    head = f'<div style="color:{_DIM};margin-bottom:4px">{escape(_summary(conflicts))}</div>'
    how = "".join(
        f'<div style="color:{_DIM}">{escape(line)}</div>' for line in conflicts.advice.splitlines()
    )
    body = f"{head}{files_html(conflicts)}{how}"
    return f'<div class="agentnb-conflicts" style="max-width:100%">{body}</div>'


def files_html(conflicts: Conflicts) -> str:
    """Return both sides of the files as HTML."""
    left = MOST_LINES
    parts = []
    for file in conflicts:
        html, used = _file(file, _sides(conflicts), (conflicts.ours, conflicts.theirs), left)
        parts.append(html)
        left = max(0, left - used)
    return "".join(parts)


def _file(
    file: Conflict, sides: Sequence[str], names: tuple[str, str], most: int
) -> tuple[str, int]:
    titles = {"ours": f"ours: {names[0]}", "theirs": f"theirs: {names[1]}", "base": "base"}
    share = f"{100 / len(sides):.0f}%"
    heads = "".join(
        f'<th scope="col" style="text-align:left;padding:1px 8px;width:{share};font-weight:600;'
        f'color:var(--jp-content-font-color1,inherit)">{escape(titles[side])}</th>'
        for side in sides
    )
    rows: list[str] = []
    used = 0
    blocks = file.blocks()
    for number, block in enumerate(blocks):
        if used >= most:
            rows.append(_wide(f"… {len(blocks) - number:,} more parts", len(sides)))
            break
        html, lines = _block(block, sides, most - used)
        rows += html
        used += lines
    if not blocks:
        rows = [_wide(_note(file), len(sides))]
    return (
        f'<details open style="margin:0 0 6px;border:1px solid {_EDGE};border-radius:5px;'
        f'overflow:hidden;color:var(--jp-content-font-color1,inherit)">'
        f'<summary style="{_HEAD}"><strong>{escape(text_of(file.path))}</strong> '
        f'<span style="color:{_DIM}">{escape(file.kind)}</span></summary>'
        f'<div style="overflow:auto;padding:2px 0"><table style="border-collapse:collapse;'
        f'table-layout:fixed;width:100%;margin:0;{_CODE}"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    ), used


def _wide(text: str, columns: int) -> str:
    return (
        f'<tr><td colspan="{columns}" style="text-align:left;padding:1px 8px;color:{_DIM}">'
        f"{escape(text)}</td></tr>"
    )


def _block(block: Block, sides: Sequence[str], most: int) -> tuple[list[str], int]:
    columns = [list(getattr(block, side)) for side in sides]
    longest = max(map(len, columns))
    rows = [_wide(block.title, len(sides))]
    cut = [column[:most] for column in columns]
    rows += [_row(sides, cells) for cells in zip_longest(*cut)]
    if longest > most:
        rows.append(_wide(f"… {longest - most:,} more lines", len(sides)))
    return rows, min(longest, most)


def _row(sides: Sequence[str], cells: Sequence[str | None]) -> str:
    shown = ["" if cell is None else escape(_visible(cell)) for cell in cells]
    if cells[0] is not None and cells[-1] is not None:
        shown[0], shown[-1] = marked(_visible(cells[0]), _visible(cells[-1]))
    return (
        "<tr>"
        + "".join(_cell(side, html) for side, html in zip(sides, shown, strict=True))
        + "</tr>"
    )


def _cell(side: str, html: str) -> str:
    return (
        f'<td style="text-align:left;vertical-align:top;padding:0 8px;white-space:pre-wrap;'
        f'overflow-wrap:anywhere;{_TINT[side]}">{html or "&nbsp;"}</td>'
    )
