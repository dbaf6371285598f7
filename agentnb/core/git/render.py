"""Differences as text, and as HTML that marks the changed parts of lines."""

from __future__ import annotations

import difflib
import re
from collections import deque
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Final

from agentnb.core.format import INKS
from agentnb.core.git.lines import between, paired, shortened, visible, windows
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentnb.core.git.cells import CellChange
    from agentnb.core.git.diff import Diff, FileDiff

__all__ = ["as_html", "as_text", "marked"]

MOST_LINES: Final = 1500
"""Lines of a difference that are shown; `str(diff)` has them all."""

_MOST_TEXT: Final = 400
_MOST_WORK: Final = 1_000_000
"""Pairs of words that are compared within lines, which takes about a second."""
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_ALIKE: Final = 0.35
_SAME: Final = "nothing but execution counts, or how the file is written"
_BINARY: Final = "no text: the contents differ"

_GREEN: Final = "var(--jp-success-color1,#388e3c)"
_RED: Final = "var(--jp-error-color1,#d32f2f)"
_BLUE: Final = "var(--jp-brand-color1,#1976d2)"
_DIM: Final = INKS["dim"]
_EDGE: Final = "var(--jp-border-color2,#e0e0e0)"
_CODE: Final = (
    "font-family:var(--jp-code-font-family,monospace);"
    "font-size:var(--jp-code-font-size,13px);line-height:1.45"
)


def _tint(colour: str, percent: int) -> str:
    return f"background:color-mix(in srgb,{colour} {percent}%,transparent)"


_HEAD: Final = "cursor:pointer;padding:3px 8px;background:var(--jp-layout-color2,#f5f5f5)"
_LINE: Final = {"+": _tint(_GREEN, 14), "-": _tint(_RED, 14), "\\": f"color:{_DIM}"}
_MARK: Final = {"+": _tint(_GREEN, 38), "-": _tint(_RED, 38)}


# As HTML


def as_html(diff: Diff, whole: str = "print(diff)") -> str:
    """Return a difference as HTML without scripts; its colours follow the page's theme.

    Parameters
    ----------
    diff
        The difference.
    whole
        The expression that shows all of it, for a part.
    """
    if not diff.files:
        return "<div>no differences</div>"
    left, marker = MOST_LINES, Marker()
    parts: list[str] = []
    for number, file in enumerate(diff.files):
        if left <= 0:
            parts.append(_dim(f"… {len(diff.files) - number:,} more files: {whole} shows them all"))
            break
        html, used = _file(file, left, marker, whole)
        left -= used + 1
        parts.append(html)
    head = f'<div style="color:{_DIM};margin-bottom:4px">{escape(diff.summary)}</div>'
    return f'<div class="agentnb-diff" style="max-width:100%">{head}{"".join(parts)}</div>'


def _dim(text: str) -> str:
    return f'<div style="padding:0 8px;color:{_DIM}">{escape(text)}</div>'


def _file(file: FileDiff, most: int, marker: Marker, whole: str) -> tuple[str, int]:
    lines = list(islice(_rows(file, marker), most + 1))
    used = len(lines)
    if used > most:
        lines[most:] = [_dim(f"… more lines: {whole} shows them all")]
    counts = (
        f'<span style="color:{INKS["good"]}">+{file.added:,}</span> '
        f'<span style="color:{INKS["bad"]}">-{file.removed:,}</span>'
    )
    cells = file.cells()
    if cells is not None:
        count = len({(cell.number, cell.kind == "removed") for cell in cells if cell.number})
        counts = f"{count:,} {'cell' if count == 1 else 'cells'}"
    summary = (
        f'<summary style="{_HEAD}">'
        f"<strong>{escape(text_of(_name(file)))}</strong> &nbsp;{counts} "
        f'<span style="color:{_DIM}">{escape(" · ".join(_about(file)))}</span></summary>'
    )
    return (
        f'<details open style="margin:0 0 6px;border:1px solid {_EDGE};border-radius:5px;'
        f'overflow:hidden;color:var(--jp-content-font-color1,inherit)">{summary}'
        f'<div style="overflow:auto;padding:2px 0;{_CODE}">{"".join(lines)}</div></details>'
    ), used


def _name(file: FileDiff) -> str:
    return f"{file.was} → {file.path}" if file.was else file.path


def _about(file: FileDiff) -> list[str]:
    """Return the note beside a file's name."""
    notes = [file.kind if file.kind != "modified" else "", file.mode, file.note]
    return [note for note in notes if note]


def _rows(file: FileDiff, marker: Marker) -> Iterator[str]:
    cells = file.cells()
    if cells is not None:
        for cell in cells:
            yield f'<div style="padding:2px 8px;color:{_BLUE}">{escape(_cell_head(cell))}</div>'
            if cell.kind != "outputs":
                yield from _lines(between(cell.before, cell.after), 1, marker)
        if not cells:
            yield _dim(_SAME)
    elif file.binary:
        yield _dim(_BINARY)
    else:
        for hunk in file.hunks:
            about = f" {hunk.about}" if hunk.about else ""
            yield (
                f'<div style="padding:0 8px;color:{_BLUE};opacity:.9">'
                f"line {hunk.new or hunk.old:,}{escape(visible(about))}</div>"
            )
            yield from _lines(hunk.lines, hunk.signs, marker)


def _lines(lines: Sequence[str], signs: int, marker: Marker) -> Iterator[str]:
    """Yield lines of a hunk as HTML, with the changed parts of replaced lines marked."""
    later: deque[str] = deque()  # the new lines whose old ones have been shown
    for line, other in paired(lines, signs):
        sign = line[:signs] or " "
        if other is None:
            html = escape(visible(shortened(line[signs:])))
        elif sign == "-":
            html, new = marker.mark(line[1:], other[1:])
            later.append(new)
        else:
            html = later.popleft()
        yield _line(sign, html)


def _line(sign: str, html: str) -> str:
    style = _LINE.get(sign.strip()[:1], "")
    shown = escape(sign).replace(" ", "&nbsp;")
    return (
        f'<div style="white-space:pre;padding:0 8px;min-width:max-content;{style}">'
        f'<span style="opacity:.6;user-select:none">{shown} </span>{html}</div>'
    )


class Marker:
    """Marks the changed parts of replaced lines, up to an amount of work in one difference."""

    def __init__(self) -> None:
        self._left = _MOST_WORK

    def mark(self, old: str, new: str) -> tuple[str, str]:
        """Return both lines as HTML; unmarked once there was too much to compare."""
        old, new = windows(old, new)
        if self._left <= 0:
            return escape(visible(old)), escape(visible(new))
        words = _WORD.findall(old), _WORD.findall(new)
        self._left -= len(words[0]) * len(words[1])
        return _marked(old, new, *words)


def marked(old: str, new: str) -> tuple[str, str]:
    """Return both lines as HTML, with the words marked in which they differ.

    >>> marked("a = 1", "a = 2")[1].count("<mark"), marked("a = 1", "for x in y:")[1].count("<mark")
    (1, 0)
    """
    return Marker().mark(old, new)


def _marked(
    old: str, new: str, old_words: Sequence[str], new_words: Sequence[str]
) -> tuple[str, str]:
    match = difflib.SequenceMatcher(None, old_words, new_words, autojunk=False)
    if match.ratio() < _ALIKE:  # another line, and not this one changed
        return escape(visible(old)), escape(visible(new))
    sides: tuple[list[str], list[str]] = ([], [])
    for kind, a, b, c, d in match.get_opcodes():
        for side, sign, part in ((0, "-", old_words[a:b]), (1, "+", new_words[c:d])):
            if part:
                html = escape(visible("".join(part)))
                sides[side].append(html if kind == "equal" else _mark(sign, html))
    return "".join(sides[0]), "".join(sides[1])


def _mark(sign: str, html: str) -> str:
    return f'<mark style="{_MARK[sign]};color:inherit;border-radius:2px">{html}</mark>'


# As text


def as_text(diff: Diff, whole: str = "print(diff)") -> str:
    """Return a difference as text: notebooks by cells, the rest as git writes it.

    Parameters
    ----------
    diff
        The difference.
    whole
        The expression that shows all of it, for a part.
    """
    if not diff.files:
        return "no differences"
    lines, more, counted = [diff.summary], 0, True
    for file in diff.files:
        left = _MOST_TEXT - len(lines)
        rows = list(islice(_file_text(file), left + 1)) if left > 0 else []
        lines += rows[:left]
        if left <= 0 or len(rows) > left:  # from here on no notebook is compared
            counted = counted and not (rows and file.is_notebook)
            more += 1 + sum(1 + len(hunk.lines) for hunk in file.hunks) - len(rows[:left])
    if more or not counted:
        number = f"{more:,} " if counted else ""
        lines.append(f"… {number}more lines: {whole} shows them all")
    return "\n".join(lines)


def _file_text(file: FileDiff) -> Iterator[str]:
    about = ", ".join(_about(file))
    yield text_of(_name(file)) + (f" ({about})" if about else "")
    cells = file.cells()
    if cells is not None:
        for cell in cells:
            yield f"@@ {_cell_head(cell)}"
            if cell.kind != "outputs":
                yield from _text(between(cell.before, cell.after), 1)
        if not cells:
            yield _SAME
    elif file.binary:
        yield _BINARY
    else:
        for hunk in file.hunks:
            yield f"@@ line {hunk.new or hunk.old}" + (
                f" {visible(hunk.about)}" if hunk.about else ""
            )
            yield from _text(hunk.lines, hunk.signs)


def _text(lines: Sequence[str], signs: int) -> Iterator[str]:
    for line, other in paired(lines, signs):
        text = line[signs:]
        text = shortened(text) if other is None else windows(text, other[signs:])[0]
        yield line[:signs] + visible(text)


def _cell_head(cell: CellChange) -> str:
    also = ", its outputs too" if cell.kind == "changed" and cell.outputs else ""
    if cell.type == "notebook":
        return f"notebook: {cell.kind}"
    return f"{cell.type} cell {cell.number}: {cell.kind}{also}"
