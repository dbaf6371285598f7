"""The waterfall as HTML without script, for live, saved, exported and untrusted notebooks.

An untrusted notebook drops style sheets, SVG and some properties. So layout and the colours of
bars are inline, theme and hovering are in one style sheet.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from agentnb.core.format import duration
from agentnb.core.trace.view.bars import GRID, bar, colour_of, hatched
from agentnb.core.trace.view.merged import merged_body, strip
from agentnb.core.trace.view.style import OTHER, PILLS, SERVICES, STYLE
from agentnb.core.trace.view.words import details

if TYPE_CHECKING:
    from agentnb.core.trace.spans import Span
    from agentnb.core.trace.view.layout import Layout
    from agentnb.core.trace.view.rows import Row

__all__ = ["html_of"]

_MOST = 280_000  # characters
_DEEPEST = 16  # levels that are indented
_TARGET = "min-height:24px;align-items:center"
"""A row is as high as what a finger hits."""
_CUT = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_BODY = "margin:2px 0 6px {}px;padding:4px 10px;border-left:3px solid {};overflow:hidden"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere"
_SQUARE = '<span style="display:inline-block;width:10px;height:10px;border-radius:2px;{}"></span>'


def html_of(layout: Layout, *, live: bool = False) -> str:
    """Return a trace as HTML of at most 300 kB.

    Parameters
    ----------
    layout
        The trace, laid out.
    live
        Whether the rows have keys, by which a live view finds again those that were opened.
    """
    parts = [STYLE, '<div class="agentnb-trace" style="padding:4px 0">', _heading(layout)]
    parts += [_shares(layout), _axis(layout), '<div style="position:relative">', _grid(layout)]
    size, shown = sum(map(len, parts)), 0
    for row in layout.rows:
        html = _row(layout, row, live=live)
        size += len(html)
        if size > _MOST:
            break
        parts.append(html)
        shown += 1
    parts.append("</div>")
    notes = list(layout.notes)
    if shown < len(layout.rows):
        notes.append(f"{len(layout.rows) - shown:,} rows more would be too long for a notebook")
    parts += [f'<div class="d">{escape(note)}</div>' for note in notes]
    return "".join([*parts, "</div>"])


def _heading(layout: Layout) -> str:
    name, took, *facts = map(escape, layout.heading)
    big = "font-size:16px;font-weight:600"
    parts = [f'<span style="{big}">{name}</span>', f'<span style="{big}">{took}</span>']
    parts += [f'<span class="d">{fact}</span>' for fact in facts]
    if layout.failed:
        parts.append(f'<span class="x">✕ {layout.failed:,} failed</span>')
    parts.append(f'<span class="d">{escape(layout.name)}</span>')
    # Spaces between them for those who hear or copy them.
    return f'<div style="display:flex;flex-wrap:wrap;gap:14px">{" ".join(parts)}</div>'


def _shares(layout: Layout) -> str:
    bars, words = [], []
    for name, seconds, share in layout.shares():
        colour = SERVICES.get(name, OTHER)
        look = f"background:{colour}"
        if name == "waiting":
            look = f"background:{hatched(colour)};border:1px solid {colour};box-sizing:border-box"
        bars.append(f'<span style="display:block;width:{share:.2f}%;height:10px;{look}"></span>')
        square = _SQUARE.format(look)
        words.append(f"<span>{square} {escape(name)} {duration(seconds)}</span>")
    return (
        '<div style="display:flex;gap:1px;border-radius:4px;overflow:hidden;margin:6px 0 2px">'
        f"{''.join(bars)}</div>"
        f'<div class="d" style="display:flex;flex-wrap:wrap;gap:14px">{" ".join(words)}</div>'
    )


def _axis(layout: Layout) -> str:
    marks = [
        f'<span style="position:absolute;left:{at:.2f}%;white-space:nowrap">{escape(words)}</span>'
        for at, words in layout.timeline.ticks
        if not any(part.left - 7 < at < part.left + 28 for part in layout.timeline.gaps)
    ]
    marks += [
        f'<span style="position:absolute;left:{part.left:.2f}%;white-space:nowrap">'
        f"⋯ {escape(part.words)}</span>"
        for part in layout.timeline.gaps
    ]
    return (
        f'<div class="d l" style="{GRID};border-top-width:1px;border-top-style:solid;'
        'margin-top:4px"><span></span>'
        f'<span style="position:relative;display:block;height:20px">{" ".join(marks)}</span></div>'
    )


def _grid(layout: Layout) -> str:
    """Return the lines behind the rows, and the hatching of gaps."""
    line_at = '<span class="g" style="position:absolute;left:{:.2f}%;width:1px;height:100%"></span>'
    marks = [line_at.format(at) for at, _ in layout.timeline.ticks]
    marks += [
        f'<span style="position:absolute;left:{part.left:.2f}%;width:{part.width:.2f}%;height:100%;'
        f'opacity:.35;background:{hatched(OTHER)}"></span>'
        for part in layout.timeline.gaps
    ]
    return (
        f'<div style="{GRID};position:absolute;left:0;top:0;width:100%;height:100%">'
        f'<span></span><span style="position:relative;display:block;height:100%">{"".join(marks)}'
        "</span></div>"
    )


def _row(layout: Layout, row: Row, *, live: bool) -> str:
    span = row.span
    indent = 4 + 16 * min(row.level, _DEEPEST)
    drawn = strip(layout, row, colour_of(span)) if row.merged else bar(layout, span)
    key = f' data-key="{span.span_id}{"m" if row.merged else ""}"' if live else ""
    took = f'class="{"x" if row.failures and not row.merged else "t"}"'
    body = merged_body(layout, row) if row.merged else _body(layout, span)
    return (
        f'<details{key} style="position:relative"><summary style="{GRID};{_TARGET}">'
        f'<span style="padding-left:{indent}px;{_CUT}">{_name(layout, row)}</span>'
        f'<span style="position:relative;display:block;height:18px">{drawn}</span>'
        f'<span {took} style="text-align:right;white-space:nowrap">{layout.took(row)}</span>'
        f'</summary><div class="b" style="{_BODY.format(indent, colour_of(span))}">{body}</div>'
        "</details>"
    )


def _name(layout: Layout, row: Row) -> str:
    span = row.span
    shadow = ";box-shadow:2px -2px 0 -1px " + colour_of(span) if row.merged else ""
    parts = [_SQUARE.format(f"background:{colour_of(span)}{shadow}"), escape(layout.title(row))]
    if row.merged:
        parts.append(_pill(f"×{len(row.spans):,}", ""))
    for place, words in zip(layout.places(row), layout.pills(row), strict=False):
        many = words.endswith("processes")
        parts.append(_pill(words, "" if many else _pill_colour(layout, place)))
    if not row.merged and span.attempt > 1:
        parts.append(_pill(f"attempt {span.attempt}", ""))
    if not row.merged and span.outcome == "running":
        parts.append(_pill("running", ""))
    if failure := layout.failure(row):
        parts.append(f'<span class="x">✕ {escape(failure)}</span>')
    if reason := layout.reason(row):
        parts.append(f'<span class="d">{escape(reason)}</span>')
    if label := layout.label(row):
        parts.append(f'<span class="d m">{escape(label)}</span>')
    if row.hidden:
        parts.append(f'<span class="d">+ {row.hidden:,} below</span>')
    return " ".join(parts)


def _pill_colour(layout: Layout, place: object) -> str:
    processes = list(dict.fromkeys(span.process for span in layout.trace.spans))
    return PILLS[processes.index(place) % len(PILLS)]  # type: ignore[arg-type]  # one of them


def _pill(words: str, background: str) -> str:
    look = f"background:{background};color:#fff" if background else "border:1px solid"
    kind = "" if background else ' class="d l"'
    look += ";border-radius:9px;padding:0 7px;font-size:11px"
    return f'<span{kind} style="{look}">{escape(words)}</span>'


def _body(layout: Layout, span: Span) -> str:
    found = details(span, layout.record(span), layout.seconds(span), layout.masked)
    lines = (
        f'<span class="d">{escape(name)}</span>'
        f'<span style="{_TEXT}" class="m">{escape(text)}</span>'
        for name, text in found
    )
    grid = "display:grid;grid-template-columns:110px minmax(0,1fr);gap:0 8px"
    return f'<div style="{grid}">{"".join(lines)}</div>'
