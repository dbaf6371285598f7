"""A plot as SVG, for a page without a kernel and for front ends without Vega."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from agentnb.core.plot.labels import label
from agentnb.core.plot.scale import number_text, span, ticks, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.plot.drawn import Drawn, Point

__all__ = ["COLORS", "GREY", "draw"]

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 12, 92
_LEGEND = 96
_INNER_HEIGHT = _HEIGHT - _TOP - _BOTTOM
COLORS = (
    *("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b79a20", "#b279a2", "#d67195"),
    *("#9d755d", "#858585", "#2f6db3", "#a05d00", "#b2332f", "#3a8582", "#35722f", "#8a6d00"),
    *("#7d4a6e", "#a8476c", "#6f5140", "#5c5c5c"),
)
"""Colors that can be told from a light and from a dark page."""

GREY = "#767676"
"""The color of text and axes, which is read on a light and on a dark page."""
_LABEL = 12  # characters of a category below its bar, or of a color


def draw(drawn: Drawn) -> str:
    """Return a plot as SVG: no script, and every text escaped."""
    painter = _Painter(drawn)
    body = painter.body()
    name = escape(drawn.caption, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}" '
        f'style="font:11px sans-serif;color:{GREY}">{body}</svg>'
    )


class _Painter:
    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn
        asked = drawn.asked
        self._width = _WIDTH - _LEFT - _RIGHT - (_LEGEND if asked.color else 0)
        self._textual = asked.kind in {"bar", "box"}
        if drawn.boxes:
            ys = [one for box in drawn.boxes for one in (box.low, box.high)]
            self._names = [box.x for box in drawn.boxes]
        else:
            ys = [point.y for point in drawn.points]
            self._names = list(dict.fromkeys(str(point.x) for point in drawn.points))
        if asked.kind in {"bar", "hist"}:
            ys = _heights(drawn.points)
        self._y = span(ys, zero=asked.kind in {"bar", "hist"})
        xs = [float(p.x) for p in drawn.points if not isinstance(p.x, str)]
        xs += [p.end for p in drawn.points if p.end is not None and asked.kind == "hist"]
        self._x = span(xs, zero=False)
        self._colors = sorted({p.color or "NULL" for p in drawn.points}) if asked.color else []

    def body(self) -> str:
        """Return the axes and the marks."""
        parts = [*self._axes()]
        if self._drawn.boxes:
            parts += self._boxes()
        else:
            kind = self._drawn.asked.kind
            made = {"bar": self._bars, "hist": self._bins, "line": self._lines}
            parts += made.get(kind, self._dots)()
        return "".join([*parts, *self._legend()])

    def _right(self, x: float) -> float:
        low, high = self._x
        return _LEFT + (x - low) / (high - low) * self._width

    def _up(self, y: float) -> float:
        low, high = self._y
        return _TOP + (1 - (y - low) / (high - low)) * _INNER_HEIGHT

    def _middle(self, name: str) -> float:
        return _LEFT + (self._names.index(name) + 0.5) * self._width / len(self._names)

    def _color(self, color: str | None) -> str:
        number = self._colors.index(color or "NULL") if self._colors else 0
        return COLORS[number % len(COLORS)]

    def _axes(self) -> list[str]:
        asked, base = self._drawn.asked, _TOP + _INNER_HEIGHT
        parts = []
        for tick in ticks(*self._y):
            y = self._up(tick)
            parts.append(_line(_LEFT, y, _LEFT + self._width, y, "0.25"))
            parts.append(_text(_LEFT - 6, y + 4, number_text(tick), "end"))
        if self._textual:
            for name in self._names:
                shown = label(name, _LABEL)
                parts.append(_text(self._middle(name), base + 12, shown, "end", turned=True))
        else:
            width = self._x[1] - self._x[0]
            for tick in ticks(*self._x):
                shown = time_text(tick, width) if asked.axis == "time" else number_text(tick)
                parts.append(_text(self._right(tick), base + 16, shown, "middle"))
        parts.append(_line(_LEFT, base, _LEFT + self._width, base, "1"))
        parts.append(_text(_LEFT + self._width / 2, _HEIGHT - 24, label(asked.x), "middle"))
        parts.append(_text(_LEFT, _HEIGHT - 6, self._drawn.caption, "start"))
        parts.append(
            f'<text x="12" y="{_TOP + _INNER_HEIGHT / 2:.1f}" fill="currentColor" '
            f'text-anchor="middle" transform="rotate(-90 12 {_TOP + _INNER_HEIGHT / 2:.1f})">'
            f"{escape(self._drawn.y_title)}</text>"
        )
        return parts

    def _bars(self) -> list[str]:
        width = self._width / max(len(self._names), 1) * 0.8
        tops: dict[tuple[str, bool], float] = {}
        shapes: dict[str | None, list[str]] = {}
        for point in self._drawn.points:
            name = str(point.x)
            key = (name, point.y < 0)
            start = tops.get(key, 0.0)
            tops[key] = start + point.y
            low, high = sorted((self._up(start), self._up(start + point.y)))
            left = self._middle(name) - width / 2
            shapes.setdefault(point.color, []).append(_block(left, low, width, high - low))
        return self._filled(shapes)

    def _bins(self) -> list[str]:
        tops: dict[float, float] = {}
        shapes: dict[str | None, list[str]] = {}
        for point in self._drawn.points:
            x, end = float(point.x), point.end or float(point.x)
            start = tops.get(x, 0.0)
            tops[x] = start + point.y
            top = self._up(start + point.y)
            width = max(self._right(end) - self._right(x) - 1, 1)
            block = _block(self._right(x), top, width, self._up(start) - top)
            shapes.setdefault(point.color, []).append(block)
        return self._filled(shapes)

    def _filled(self, shapes: dict[str | None, list[str]]) -> list[str]:
        """Return one path a color: a third of the size of a shape each."""
        return [
            f'<path fill="{self._color(color)}" d="{"".join(one)}"/>'
            for color, one in shapes.items()
        ]

    def _lines(self) -> list[str]:
        lines: dict[str | None, list[str]] = {}
        for point in self._drawn.points:
            place = f"{self._right(float(point.x)):.1f},{self._up(point.y):.1f}"
            lines.setdefault(point.color, []).append(place)
        return [
            f'<polyline fill="none" stroke="{self._color(color)}" stroke-width="1.5" '
            f'points="{" ".join(places)}"/>'
            for color, places in lines.items()
        ]

    def _dots(self) -> list[str]:
        dots: dict[str | None, list[str]] = {}
        for point in self._drawn.points:
            dot = f"M{self._right(float(point.x)):.1f} {self._up(point.y):.1f}h0"
            dots.setdefault(point.color, []).append(dot)
        return [
            f'<path stroke="{self._color(color)}" stroke-width="3.2" stroke-linecap="round" '
            f'd="{"".join(one)}"/>'
            for color, one in dots.items()
        ]

    def _boxes(self) -> list[str]:
        width = min(self._width / len(self._names) * 0.6, 40)
        parts = []
        for box in self._drawn.boxes:
            x = self._middle(box.x)
            parts.append(_line(x, self._up(box.low), x, self._up(box.high), "1"))
            top, bottom = self._up(box.third), self._up(box.first)
            parts.append(_rect(x - width / 2, top, width, max(bottom - top, 1), COLORS[0]))
            y = self._up(box.middle)
            parts.append(
                f'<line x1="{x - width / 2:.1f}" y1="{y:.1f}" x2="{x + width / 2:.1f}" '
                f'y2="{y:.1f}" stroke="white" stroke-width="2"/>'
            )
        return parts

    def _legend(self) -> list[str]:
        parts = []
        for number, color in enumerate(self._colors):
            y = _TOP + 6 + number * 12
            parts.append(_rect(_LEFT + self._width + 8, y - 4, 8, 8, self._color(color)))
            parts.append(_text(_LEFT + self._width + 20, y + 4, label(color, _LABEL), "start"))
        return parts


def _heights(points: Sequence[Point]) -> list[float]:
    """Return where stacks end: those above 0, and those below it."""
    ends: dict[tuple[float | str, bool], float] = {}
    for point in points:
        key = (point.x, point.y < 0)
        ends[key] = ends.get(key, 0.0) + point.y
    return list(ends.values())


def _line(x: float, y: float, to_x: float, to_y: float, opacity: str) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
        f'stroke="currentColor" stroke-opacity="{opacity}"/>'
    )


def _rect(x: float, y: float, width: float, height: float, color: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>'
    )


def _block(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"


def _text(x: float, y: float, text: str, anchor: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-40 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="currentColor" text-anchor="{anchor}"{turn}>'
        f"{escape(text)}</text>"
    )
