"""The waterfall as text, for terminals and for viewers that show no HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.format import cut, duration

if TYPE_CHECKING:
    from agentnb.core.trace.view.layout import Layout
    from agentnb.core.trace.view.rows import Row

__all__ = ["text_of"]

_BAR = 24
_DEEPEST = 12  # levels that are indented
_LABEL = 60
_MOST = 250_000  # characters


def text_of(layout: Layout) -> str:
    """Return a trace as lines of text: when a row began, how long it took, its bar, its name."""
    head = [*layout.heading, *([f"✕ {layout.failed:,} failed"] if layout.failed else [])]
    lines = [" · ".join([*head, layout.name])]
    shares = [f"{name} {duration(seconds)}" for name, seconds, _ in layout.shares()]
    lines += [" · ".join(shares)] if shares else []
    began = layout.timeline.began
    table = [
        (_offset(row.span.began - began), layout.took(row), _bar(layout, row), _words(layout, row))
        for row in layout.rows
    ]
    if table:
        widths = [max(len(cells[at]) for cells in table) for at in (0, 1)]
        lines.append("")
        lines += [
            f"{start:>{widths[0]}}  {took:>{widths[1]}}  {bar}  {words}"
            for start, took, bar, words in table
        ]
    lines, left_out = _within(lines)
    if left_out:
        layout.notes.append(f"{left_out:,} rows more would be too long for a notebook")
    gaps = [f"{part.words}: cut from the bars (┊)" for part in layout.timeline.gaps]
    notes = [*gaps, *layout.notes]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _within(lines: list[str]) -> tuple[list[str], int]:
    """Return the first lines that are short enough together, and the number of the others."""
    size = 0
    for number, text in enumerate(lines):
        size += len(text) + 1
        if size > _MOST:
            return lines[:number], len(lines) - number
    return lines, 0


def _offset(seconds: float) -> str:
    return duration(seconds) if seconds > 0 else "0"


def _bar(layout: Layout, row: Row) -> str:
    began, ended = (layout.timeline.at(moment) for moment in layout.bounds(row))
    first = min(int(began * _BAR / 100), _BAR - 1)
    last = min(max(first, int(ended * _BAR / 100 - 1e-9)), _BAR - 1)
    sign = "█"
    if not row.merged:
        sign = {"Lost": "▚", "running": "▒"}.get(row.span.outcome, sign)
        sign = "░" if row.span.kind == "wait" else sign
        sign = "✕" if row.span.failed and sign == "█" else sign
    cells = [sign if first <= at <= last else " " for at in range(_BAR)]
    for part in layout.timeline.gaps:
        at = min(int((part.left + part.width / 2) * _BAR / 100), _BAR - 1)
        cells[at] = "┊"
    return "".join(cells)


def _words(layout: Layout, row: Row) -> str:
    words = [layout.title(row)]
    if row.merged:
        words.append(f"×{len(row.spans):,}")
    words += [f"({pill})" for pill in layout.pills(row)]
    if not row.merged and row.span.attempt > 1:
        words.append(f"attempt {row.span.attempt}")
    if not row.merged and row.span.outcome == "running":
        words.append("running")
    failure = layout.failure(row)
    words += [f"✕ {failure}"] if failure else []
    words += [cut(text, _LABEL) for text in (layout.reason(row), layout.label(row)) if text]
    words += [f"(+ {row.hidden:,} below)"] if row.hidden else []
    indent = "  " * min(row.level, _DEEPEST)
    return indent + " ".join(words)
