"""The row of many spans of one name: when they ran, what they did, which were the slowest."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from agentnb.core.format import duration
from agentnb.core.trace.view.bars import GRID, LEAST, bar
from agentnb.core.trace.view.style import FAILED
from agentnb.core.trace.view.words import label, line

if TYPE_CHECKING:
    from agentnb.core.trace.spans import Span
    from agentnb.core.trace.view.layout import Layout
    from agentnb.core.trace.view.rows import Row

__all__ = ["merged_body", "strip"]

_BUCKETS = 150
_HEIGHT = 16
_SLOWEST = 5
_LABELS = 8
_LABELLED = 2_000  # spans that are looked at for their labels, the slowest first


def strip(layout: Layout, row: Row, colour: str) -> str:
    """Return when the spans of a row ran: higher where more did, red where one failed.

    Below the drawing, which an untrusted notebook drops, lies a bar from the first to the last.
    """
    counts, failed = [0] * _BUCKETS, [0] * _BUCKETS
    at, scale, last = layout.timeline.at, _BUCKETS / 100, _BUCKETS - 1
    for span in row.spans:
        began, ended = layout.extent(span)
        first = min(int(at(began) * scale), last)
        end = min(int(at(ended) * scale), last)
        for number in range(first, end + 1):
            counts[number] += 1
        if span.failed:
            failed[first] += 1
    most = max(counts)
    heights = [1 + (_HEIGHT - 2) * count // most if count else 0 for count in counts]
    began, ended = (at(moment) for moment in layout.bounds(row))
    return (
        f'<span style="position:absolute;left:{began:.2f}%;width:{max(LEAST, ended - began):.2f}%;'
        f'top:15px;height:3px;background:{colour}"></span>'
        f'<svg aria-hidden="true" viewBox="0 0 {_BUCKETS} {_HEIGHT}" preserveAspectRatio="none" '
        f'style="position:absolute;left:0;top:1px;width:100%;height:{_HEIGHT}px">'
        f'<path fill="{colour}" d="{_path(heights)}"/>'
        f'<path fill="{FAILED}" d="{_path([_HEIGHT if count else 0 for count in failed])}"/></svg>'
    )


def _path(heights: list[int]) -> str:
    """Return the outline of columns of these heights; equal neighbours are one."""
    parts, at = [], 0
    for height, group in groupby(heights):
        width = sum(1 for _ in group)
        if height:
            parts.append(f"M{at} {_HEIGHT}v-{height}h{width}v{height}z")
        at += width
    return "".join(parts)


def merged_body(layout: Layout, row: Row) -> str:
    """Return the details of a merged row: what was done by total time, and the slowest spans."""
    spans = sorted(row.spans, key=layout.seconds, reverse=True)
    times = [layout.seconds(span) for span in spans]
    each = f"p50 {_of(times, 0.5)} · p95 {_of(times, 0.05)} · max {duration(times[0])}"
    parts = [_line(f"{count:,}×", f"{what}  {duration(total)}") for what, count, total in
             _by_label(layout, spans)]  # fmt: skip
    parts.append(_line("each", each))
    parts.append(f'<div class="d">the {_SLOWEST} slowest of {len(spans):,}</div>')
    parts += [_slow(layout, span) for span in spans[:_SLOWEST]]
    return "".join(parts)


def _of(times: list[float], share: float) -> str:
    """Return the time that this share of them exceeds; the longest come first."""
    return duration(times[min(int(len(times) * share), len(times) - 1)])


def _by_label(layout: Layout, spans: list[Span]) -> list[tuple[str, int, float]]:
    """Return what the spans did, how often and for how long, the longest first."""
    # Masked only once: spans that are alike have the same text before it is masked, too.
    groups: dict[str, list[Span]] = {}
    for span in spans[:_LABELLED]:
        groups.setdefault(label({"attributes": span.attributes}), []).append(span)
    found = []
    for members in groups.values():
        text = label(layout.record(members[0]))
        found.append((text, len(members), sum(map(layout.seconds, members))))
    found = [one for one in found if one[0]]
    return sorted(found, key=lambda one: -one[2])[:_LABELS]


def _slow(layout: Layout, span: Span) -> str:
    record = layout.record(span)
    sign = f'<span class="x">✕ {escape(line(str(record["outcome"]), 60))}</span> ' * span.failed
    words = f'{sign}<span class="m d">{escape(label(record, 60))}</span>'
    return (
        f'<div style="{GRID}"><span style="overflow:hidden;white-space:nowrap">{words}</span>'
        f'<span style="position:relative;display:block;height:18px">{bar(layout, span)}</span>'
        f'<span class="t" style="text-align:right">{duration(layout.seconds(span))}</span></div>'
    )


def _line(name: str, text: str) -> str:
    return (
        '<div style="display:grid;grid-template-columns:60px minmax(0,1fr);gap:8px">'
        f'<span class="d">{escape(name)}</span>'
        f'<span class="m" style="overflow-wrap:anywhere">{escape(text)}</span></div>'
    )
