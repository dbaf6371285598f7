"""Bars of a waterfall: where they begin, how wide they are, how they look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentnb.core.trace.view.style import FAILED, OTHER, SERVICES
from agentnb.core.trace.view.work_time import YOUR_CODE

if TYPE_CHECKING:
    from agentnb.core.trace.spans import Span
    from agentnb.core.trace.view.layout import Layout

__all__ = ["GRID", "LEAST", "bar", "colour_of", "hatched"]

GRID: Final = "display:grid;grid-template-columns:minmax(0,38%) minmax(0,1fr) 84px;gap:8px"
"""The columns of a row: its name, its bar, its time."""

LEAST: Final = 0.3
"""The least width of a bar in per cent."""


def hatched(colour: str) -> str:
    """Return a background of stripes."""
    stripe = f"{colour} 0,{colour} 2px,transparent 2px,transparent 6px"
    return f"repeating-linear-gradient(135deg,{stripe})"


def colour_of(span: Span) -> str:
    """Return the colour of a span's bar."""
    if span.kind in {"cell", "step"} or span.service == "app":
        return SERVICES[YOUR_CODE]
    return SERVICES.get(span.service, OTHER)


def bar(layout: Layout, span: Span) -> str:
    """Return the bar of a span, behind a dotted line for the time that it waited."""
    began, ended = layout.extent(span)
    colour = FAILED if span.failed else colour_of(span)
    look = f"background:{colour}"
    if span.kind == "wait" or span.outcome in {"Lost", "running"}:
        look = f"background:{hatched(colour)};border:1px solid {colour}"
    return _waited(layout, span, colour) + _box(layout, began, ended, look)


def _box(layout: Layout, began: float, ended: float, look: str) -> str:
    left, right = layout.timeline.at(began), layout.timeline.at(ended)
    width = max(LEAST, right - left)
    left = min(left, 100 - width)
    return (
        f'<span style="position:absolute;left:{left:.2f}%;width:{width:.2f}%;top:4px;height:10px;'
        f'box-sizing:border-box;border-radius:2px;{look}"></span>'
    )


def _waited(layout: Layout, span: Span, colour: str) -> str:
    waited = (span.attributes or {}).get("waited_ms")
    if not isinstance(waited, (int, float)) or not waited > 0:
        return ""
    left = layout.timeline.at(span.began - waited / 1000)
    width = layout.timeline.at(span.began) - left
    if width < LEAST:
        return ""
    return (
        f'<span style="position:absolute;left:{left:.2f}%;width:{width:.2f}%;top:9px;'
        f'height:0;border-top:2px dotted {colour}"></span>'
    )
