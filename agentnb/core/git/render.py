"""Differences as people read them: as text, and as HTML with what differs in a line marked."""

from __future__ import annotations

import difflib
import re
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentnb.core.git.cells import CellChange
    from agentnb.core.git.diff import Diff, FileDiff, Hunk

__all__ = ["as_html", "as_text", "file_html", "marked"]

MOST_LINES: Final = 1500
"""Lines of a difference that are shown; `str(diff)` has them all."""

_MOST_TEXT: Final = 400
_LONGEST: Final = 400
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ALIKE: Final = 0.35

_GREEN: Final = "var(--jp-success-color1,#388e3c)"
_RED: Final = "var(--jp-error-color1,#d32f2f)"
_BLUE: Final = "var(--jp-brand-color1,#1976d2)"
_DIM: Final = "var(--jp-ui-font-color2,#757575)"
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


def as_html(diff: Diff) -> str:
    """Return a difference as HTML without scripts; its colours follow the page's theme."""
    if not diff.files:
        return "<div>no differences</div>"
    left = MOST_LINES
    parts: list[str] = []
    for file in diff.files:
        if left <= 0:
            count = len(diff.files) - len(parts)
            parts.append(f'<div style="color:{_DIM}">… {count:,} more files</div>')
            break
        html, used = _file(file, left)
        left -= used
        parts.append(html)
    head = f'<div style="color:{_DIM};margin-bottom:4px">{escape(diff.summary)}</div>'
    return f'<div class="agentnb-diff" style="max-width:100%">{head}{"".join(parts)}</div>'


def file_html(file: FileDiff) -> str:
    """Return what differs in one file as HTML."""
    return _file(file, MOST_LINES)[0]


def _file(file: FileDiff, most: int) -> tuple[str, int]:
    lines = list(_rows(file, most + 1))
    used = len(lines)
    if used > most:
        lines[most:] = [f'<div style="color:{_DIM}">… more lines</div>']
    name = f"{file.was} → {file.path}" if file.was else file.path
    notes = [file.kind if file.kind != "modified" else "", file.mode]
    about = " · ".join(note for note in notes if note)
    counts = (
        f'<span style="color:{_GREEN}">+{file.added:,}</span> '
        f'<span style="color:{_RED}">-{file.removed:,}</span>'
    )
    if file.is_notebook and file.cells() is not None:
        changed = file.cells() or []
        counts = f"{len(changed):,} {'cell' if len(changed) == 1 else 'cells'}"
    summary = (
        f'<summary style="{_HEAD}">'
        f"<strong>{escape(text_of(name))}</strong> &nbsp;{counts} "
        f'<span style="color:{_DIM}">{escape(about)}</span></summary>'
    )
    return (
        f'<details open style="margin:0 0 6px;border:1px solid {_EDGE};border-radius:5px;'
        f'overflow:hidden;color:var(--jp-content-font-color1,inherit)">{summary}'
        f'<div style="overflow:auto;padding:2px 0;{_CODE}">{"".join(lines)}</div></details>'
    ), used


def _rows(file: FileDiff, most: int) -> Iterator[str]:
    cells = file.cells() if file.is_notebook else None
    if cells is not None:
        yield from _limited((row for cell in cells for row in _cell(cell)), most)
        if not cells:
            yield f'<div style="padding:0 8px;color:{_DIM}">nothing but metadata</div>'
    elif file.binary:
        yield f'<div style="padding:0 8px;color:{_DIM}">no text: the contents differ</div>'
    else:
        yield from _limited((row for hunk in file.hunks for row in _hunk(hunk)), most)


def _limited(rows: Iterator[str], most: int) -> Iterator[str]:
    for number, row in enumerate(rows):
        if number >= most:
            return
        yield row


def _hunk(hunk: Hunk) -> Iterator[str]:
    about = f" {hunk.about}" if hunk.about else ""
    yield (
        f'<div style="padding:0 8px;color:{_BLUE};opacity:.9">'
        f"line {hunk.new:,}{escape(_visible(about))}</div>"
    )
    yield from _lines(hunk.lines)


def _cell(cell: CellChange) -> Iterator[str]:
    words = {"outputs": "its outputs differ", "changed": "changed"}.get(cell.kind, cell.kind)
    if cell.kind == "changed" and cell.outputs:
        words += ", its outputs too"
    yield (
        f'<div style="padding:2px 8px;color:{_BLUE}">{escape(cell.type)} cell {cell.number}: '
        f"{words}</div>"
    )
    if cell.kind != "outputs":
        yield from _lines(list(_between(cell.before, cell.after)))


def _between(before: str, after: str) -> Iterator[str]:
    """Yield the lines of two sources as a hunk has them, three around each change."""
    old, new = before.splitlines(), after.splitlines()
    for line in list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]:
        if not line.startswith("@@"):
            yield line


def _lines(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines of a hunk as HTML; lines that were replaced show what differs within them."""
    at = 0
    while at < len(lines):
        removed = _run(lines, at, "-")
        added = _run(lines, at + len(removed), "+")
        if not removed and not added:
            yield _line(lines[at][:1] or " ", escape(_visible(lines[at][1:])))
            at += 1
            continue
        pairs = [marked(old[1:], new[1:]) for old, new in zip(removed, added, strict=False)]
        for line, pair in zip_longest(removed, pairs[: len(removed)]):
            yield _line("-", pair[0] if pair else escape(_visible(line[1:])))
        for line, pair in zip_longest(added, pairs[: len(added)]):
            yield _line("+", pair[1] if pair else escape(_visible(line[1:])))
        at += len(removed) + len(added)


def _run(lines: Sequence[str], at: int, sign: str) -> list[str]:
    end = at
    while end < len(lines) and lines[end].startswith(sign):
        end += 1
    return list(lines[at:end])


def _line(sign: str, html: str) -> str:
    style = _LINE.get(sign, "")
    shown = escape(sign) if sign != " " else "&nbsp;"
    return (
        f'<div style="white-space:pre;padding:0 8px;min-width:max-content;{style}">'
        f'<span style="opacity:.6;user-select:none">{shown} </span>{html}</div>'
    )


def marked(old: str, new: str) -> tuple[str, str]:
    """Return both lines as HTML, with the words marked in which they differ.

    >>> marked("a = 1", "a = 2")[1].count("<mark"), marked("a = 1", "for x in y:")[1].count("<mark")
    (1, 0)
    """
    if len(old) > _LONGEST or len(new) > _LONGEST:
        return escape(_visible(old)), escape(_visible(new))
    words = _WORD.findall(old), _WORD.findall(new)
    match = difflib.SequenceMatcher(None, *words, autojunk=False)
    if match.ratio() < _ALIKE:  # another line, and not this one changed
        return escape(_visible(old)), escape(_visible(new))
    sides: tuple[list[str], list[str]] = ([], [])
    for kind, a, b, c, d in match.get_opcodes():
        for side, sign, part in ((0, "-", words[0][a:b]), (1, "+", words[1][c:d])):
            if part:
                html = escape(_visible("".join(part)))
                sides[side].append(html if kind == "equal" else _mark(sign, html))
    return "".join(sides[0]), "".join(sides[1])


def _mark(sign: str, html: str) -> str:
    return f'<mark style="{_MARK[sign]};color:inherit;border-radius:2px">{html}</mark>'


def _visible(text: str) -> str:
    """Return a line in which nothing moves the cursor or turns text around."""
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


# As text


def as_text(diff: Diff) -> str:
    """Return a difference as text: notebooks by cells, the rest as git writes it."""
    if not diff.files:
        return "no differences"
    lines = [diff.summary]
    for file in diff.files:
        lines += _file_text(file)
    if len(lines) > _MOST_TEXT:
        more = len(lines) - _MOST_TEXT
        lines[_MOST_TEXT:] = [f"… {more:,} more lines: print(diff) shows them all"]
    return "\n".join(lines)


def _file_text(file: FileDiff) -> list[str]:
    name = f"{file.was} → {file.path}" if file.was else file.path
    notes = [file.kind if file.kind != "modified" else "", file.mode]
    about = ", ".join(note for note in notes if note)
    lines = [text_of(name) + (f" ({about})" if about else "")]
    cells = file.cells() if file.is_notebook else None
    if cells is not None:
        for cell in cells:
            also = ", its outputs too" if cell.kind == "changed" and cell.outputs else ""
            lines.append(f"@@ {cell.type} cell {cell.number}: {cell.kind}{also}")
            if cell.kind != "outputs":
                lines += [_visible(line) for line in _between(cell.before, cell.after)]
        return lines
    if file.binary:
        return [*lines, "no text: the contents differ"]
    for hunk in file.hunks:
        lines.append(f"@@ line {hunk.new}" + (f" {_visible(hunk.about)}" if hunk.about else ""))
        lines += [_visible(line) for line in hunk.lines]
    return lines
