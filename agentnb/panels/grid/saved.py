"""The saved copy of a grid: the same page and the same histograms, without a kernel."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from agentnb.core.format import cut
from agentnb.core.format import rows as rows_text
from agentnb.panels.base.fallback import one_of_two
from agentnb.panels.grid.wire import DASH, header, is_strip, words, worth_drawing

if TYPE_CHECKING:
    from agentnb.core.grid import Bar, GridColumn, Page, Summary
    from agentnb.panels.grid.model import GridModel

__all__ = ["saved_html", "saved_text"]

BYTES: Final = 19_000
"""Bytes of a copy at most, so that a notebook of many stays small."""
_LENGTHS: Final = (120, 60, 30)
"""Characters of a cell, tried in turn."""
_WIDTH, _HEIGHT = 100, 28
_STYLE = one_of_two(".agentnb-grid")
_PLAIN = " '=/:.,-"
"""Characters that the address of a picture has as they are."""
# JupyterLab aligns cells to the right, and takes a sheet of styles out of what it does not trust.
_LEFT = ' style="text-align:left"'
_NULL = f"<td{_LEFT}><em>NULL</em></td>"
_NUMBER_NULL = '<td align="right"><em>NULL</em></td>'


def saved_html(model: GridModel, note: str = "") -> str:
    """Return what a grid shows as HTML that needs no kernel and no script.

    Where that would be too long, cells are cut, and then columns are left out, which a line says.
    """
    columns = len(model.columns)
    html = ""
    for most in _LENGTHS:
        html = _html(model, columns, most, note)
        if len(html.encode()) <= BYTES:
            return html
    while len(html.encode()) > BYTES and columns > 1:
        columns = max(1, min(columns - 1, columns * BYTES // len(html.encode())))
        html = _html(model, columns, _LENGTHS[-1], note)
    return html


def _html(model: GridModel, columns: int, most: int, note: str) -> str:
    page, shown = model.page, model.columns[:columns]
    summaries: tuple[Summary | None, ...] = model.summaries or ()
    summaries += (None,) * (columns - len(summaries))
    head = "".join(map(_head, shown, summaries))
    numbers = [column.kind == "number" for column in shown]
    body = "\n".join(
        "<tr>" + "".join(map(_cell, row, numbers, (most,) * columns)) + "</tr>" for row in page.rows
    )
    lines = [count_line(page), note]
    if columns < len(model.columns):
        lines.append(f"first {columns:,} of {len(model.columns):,} columns")
    below = escape(" · ".join(filter(None, lines)))
    scrolls = 'style="overflow-x:auto" tabindex="0" role="group" aria-label="table"'
    return (
        f'<div class="agentnb-static">{_STYLE}\n<div {scrolls}>'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
        f"<p>{below}</p>\n</div>"
    )


def count_line(page: Page) -> str:
    """Return which rows a page has, of how many.

    >>> from agentnb.core.grid import Page
    >>> count_line(Page((), 0, 0, 30))
    'no rows (30 in all)'
    """
    some = "" if page.matched == page.total else f" ({page.total:,} in all)"
    if not page.rows:
        return f"no rows{some}"
    first, last = page.first + 1, page.first + len(page.rows)
    return f"{first:,}{DASH}{last:,} of {rows_text(page.matched)}{some}"


def _head(column: GridColumn, summary: Summary | None) -> str:
    name = escape(header(column.name))
    about = ""
    if summary is not None:
        about = f"{_drawing(summary, column)}<br><small>{escape(words(summary, column))}</small>"
    side = ' align="right"' if column.kind == "number" else _LEFT
    return f'<th scope="col"{side}>{name}{about}</th>'


def _cell(text: str | None, number: bool, most: int) -> str:  # noqa: FBT001 - of a row
    if text is None:
        return _NUMBER_NULL if number else _NULL
    if number:
        return f'<td align="right">{escape(text)}</td>'
    return f"<td{_LEFT}>{escape(cut(text, most))}</td>"


def _drawing(summary: Summary, column: GridColumn) -> str:
    """Return the bars, or the parts of a strip, as a picture.

    As an image of its own: JupyterLab takes SVG out of notebooks that it does not trust.
    """
    if not summary.bars or not worth_drawing(summary, column):
        return ""
    path = _strip(summary.bars) if is_strip(column) else _bars(summary.bars)
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' "
        f"width='{_WIDTH}' height='{_HEIGHT}' fill='#1976d2'><path d='{path}'/></svg>"
    )
    label = escape(f"{header(column.name)}: {words(summary, column)}")
    source = f"data:image/svg+xml,{quote(svg, safe=_PLAIN)}"
    return f'<br><img alt="{label}" width="{_WIDTH}" height="{_HEIGHT}" src="{source}">'


def _bars(bars: tuple[Bar, ...]) -> str:
    most = max(1, *(bar.count for bar in bars))
    step = _WIDTH / len(bars)
    parts = []
    for at, bar in enumerate(bars):
        if bar.count:  # something is never drawn as nothing
            height = max(1.0, _HEIGHT * bar.count / most)
            parts.append(f"M{at * step:.4g} {_HEIGHT}v-{height:.3g}h{step - 1:.3g}v{height:.3g}z")
    return "".join(parts)


def _strip(bars: tuple[Bar, ...]) -> str:
    total = max(1, sum(bar.count for bar in bars))
    parts, left = [], 0.0
    for bar in bars:
        width = _WIDTH * bar.count / total
        parts.append(f"M{left:.4g} 6h{max(0.5, width - 1):.3g}v18H{left:.4g}z")
        left += width
    return "".join(parts)


def saved_text(text: str) -> str:
    r"""Return the text of a result, cut where it would be longer than the copy.

    >>> saved_text("n\n1")
    'n\n1'
    """
    if len(text) <= BYTES:
        return text
    lines: list[str] = []
    length = 0
    for line in text.splitlines():
        length += len(line) + 1
        if length > BYTES:
            return "\n".join([*lines, "…"])
        lines.append(line)
    return text
