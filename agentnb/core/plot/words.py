"""A plot as text, for terminals and for readers of a notebook's source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.plot.labels import label
from agentnb.core.plot.scale import number_text, span, time_text

if TYPE_CHECKING:
    from agentnb.core.plot.drawn import Drawn

__all__ = ["draw"]

_WIDTH, _HEIGHT = 64, 12
_BAR = 40
_LABEL = 24


def draw(drawn: Drawn) -> str:
    """Return a plot as lines of text, its caption last."""
    if drawn.boxes:
        lines = _boxes(drawn)
    elif not drawn.points:
        lines = ["nothing to draw"]
    elif drawn.asked.kind in {"bar", "hist"}:
        lines = _bars(drawn)
    else:
        lines = _grid(drawn)
    return "\n".join([*lines, drawn.caption])


def _bars(drawn: Drawn) -> list[str]:
    sums: dict[float | str, float] = {}
    low, high = span([float(p.x) for p in drawn.points if not isinstance(p.x, str)], zero=False)
    for point in drawn.points:
        sums[point.x] = sums.get(point.x, 0.0) + point.y
    most = max(map(abs, sums.values())) or 1.0
    names = [_name(x, drawn, high - low) for x in sums]
    wide = max(map(len, names))
    return [
        f"{name:>{wide}} {'█' * round(abs(value) / most * _BAR)} {number_text(value)}"
        for name, value in zip(names, sums.values(), strict=True)
    ]


def _name(x: float | str, drawn: Drawn, width: float) -> str:
    if isinstance(x, str):
        return label(x, _LABEL)
    return time_text(x, width) if drawn.asked.axis == "time" else number_text(float(f"{x:.6g}"))


def _grid(drawn: Drawn) -> list[str]:
    xs = [float(p.x) for p in drawn.points]
    ys = [p.y for p in drawn.points]
    (left, right), (low, high) = span(xs, zero=False), span(ys, zero=False)
    cells = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for x, y in zip(xs, ys, strict=True):
        column = min(int((x - left) / (right - left) * _WIDTH), _WIDTH - 1)
        row = min(int((y - low) / (high - low) * _HEIGHT), _HEIGHT - 1)
        cells[_HEIGHT - 1 - row][column] = "•"
    marks = {0: number_text(float(f"{high:.6g}")), _HEIGHT - 1: number_text(float(f"{low:.6g}"))}
    wide = max(map(len, marks.values()))
    lines = [f"{marks.get(n, ''):>{wide}} │{''.join(row).rstrip()}" for n, row in enumerate(cells)]
    first, last = _name(left, drawn, right - left), _name(right, drawn, right - left)
    lines.append(f"{'':>{wide}} └{'─' * _WIDTH}")
    lines.append(f"{'':>{wide}}  {first}{last:>{max(_WIDTH - len(first), 1)}}")
    return lines


def _boxes(drawn: Drawn) -> list[str]:
    names = [label(box.x, _LABEL) for box in drawn.boxes]
    wide = max(map(len, names))
    return [
        f"{name:>{wide}}  "
        + "  ".join(
            number_text(float(f"{one:.6g}"))
            for one in (box.low, box.first, box.middle, box.third, box.high)
        )
        for name, box in zip(names, drawn.boxes, strict=True)
    ]
