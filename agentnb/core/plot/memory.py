"""The numbers of a plot, made of rows in memory."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter, defaultdict
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentnb.core.bins import Bins
from agentnb.core.plot.drawn import (
    BINS,
    CATEGORIES,
    COLORS,
    FARTHEST,
    OTHER,
    POINTS,
    Box,
    Drawn,
    Point,
    steps,
)
from agentnb.core.quartiles import SHARES, rank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.plot.asked import Asked, Axis

__all__ = ["axis_of", "draw"]

_DAY = 86_400.0
_BEGINS_WITH_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").match


def axis_of(values: Iterable[Any]) -> Axis:
    """Return what a column holds: numbers, times, or text.

    SQLite has times as text, as ISO 8601 has them.

    >>> axis_of([1, None, 2.5]), axis_of([dt.date(2026, 1, 1)]), axis_of(["a", 1]), axis_of([])
    ('number', 'time', 'text', 'text')
    >>> axis_of(["2026-01-01 12:00:00"]), axis_of(["2026-01-01", "soon"]), axis_of(["2026"])
    ('time', 'text', 'text')
    """
    found: set[Axis] = set()
    for value in values:
        if value is None:
            continue
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            found.add("number")
        elif _moment(value) is not None:
            found.add("time")
        else:
            return "text"
    return found.pop() if len(found) == 1 else "text"


def draw(asked: Asked, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Drawn:
    """Return the numbers of a plot of rows.

    Parameters
    ----------
    asked
        The plot.
    columns, rows
        The result.
    """
    place = {name: number for number, name in enumerate(columns)}
    drawn = Drawn(asked, len(rows))
    take_x = _text if asked.axis == "text" or asked.kind in {"bar", "box"} else _number
    at = place[asked.x]
    at_y = None if asked.y is None else place[asked.y]
    at_color = None if asked.color is None else place[asked.color]
    kept: list[tuple[Any, float, str | None]] = []
    for row in rows:
        x = take_x(row[at])
        y = 1.0 if at_y is None else _number(row[at_y])
        if x is None or y is None:
            continue
        kept.append((x, y, None if at_color is None else _text(row[at_color], null="NULL")))
    drawn.left_out = len(rows) - len(kept)
    _MAKERS[asked.kind](drawn, _colored(drawn, kept))
    return drawn


def _number(value: Any) -> float | None:
    """Return a number, a time as seconds since 1970, or None for what cannot be drawn."""
    moment = _moment(value)
    if isinstance(moment, dt.datetime):
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
        return zoned.timestamp()
    if moment is not None:
        return (moment.toordinal() - dt.date(1970, 1, 1).toordinal()) * _DAY
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < FARTHEST else None


def _moment(value: Any) -> dt.date | None:
    if isinstance(value, dt.date):
        return value
    if isinstance(value, str) and _BEGINS_WITH_DAY(value):
        with suppress(ValueError):
            return dt.datetime.fromisoformat(value)
    return None


def _text(value: Any, null: str | None = None) -> str | None:
    return null if value is None else str(value)


def _colored(
    drawn: Drawn, kept: list[tuple[Any, float, str | None]]
) -> list[tuple[Any, float, str | None]]:
    """Return the rows with the rarest colors made one."""
    counts = Counter(color for _, _, color in kept)
    if len(counts) <= COLORS:
        return kept
    drawn.colors = len(counts)
    ordered = sorted(counts, key=lambda color: (-counts[color], color or ""))
    known = set(ordered[: COLORS - 1])
    return [(x, y, color if color in known else OTHER) for x, y, color in kept]


def _bins(
    drawn: Drawn,
    kept: list[tuple[Any, float, str | None]],
    most: int,
    value: Callable[[list[float]], float],
) -> None:
    if not kept:
        return
    bins = Bins(min(x for x, _, _ in kept), max(x for x, _, _ in kept), most)
    found: dict[tuple[str | None, int], list[float]] = defaultdict(list)
    for x, y, color in kept:
        found[color, bins.of(x)].append(y)
    drawn.points = [
        Point(bins.start(number), value(ys), bins.start(number + 1), color)
        for (color, number), ys in sorted(
            found.items(), key=lambda one: (one[0][0] or "", one[0][1])
        )
    ]


def _hist(drawn: Drawn, kept: list[tuple[Any, float, str | None]]) -> None:
    _bins(drawn, kept, BINS, lambda ys: float(len(ys)))


def _line(drawn: Drawn, kept: list[tuple[Any, float, str | None]]) -> None:
    most = steps(len({color for _, _, color in kept}))
    _bins(drawn, kept, most, lambda ys: math.fsum(ys) / len(ys))


def _bar(drawn: Drawn, kept: list[tuple[Any, float, str | None]]) -> None:
    sums: dict[str, float] = defaultdict(float)
    parts: dict[tuple[str, str | None], float] = defaultdict(float)
    for x, y, color in kept:
        sums[x] += y
        parts[x, color] += y
    shown = sorted(sums, key=lambda x: (-sums[x], x))[:CATEGORIES]
    order = {x: number for number, x in enumerate(shown)}
    drawn.categories = len(sums)
    drawn.points = [
        Point(x, y, None, color)
        for (x, color), y in sorted(
            parts.items(), key=lambda one: (order.get(one[0][0], 0), one[0][1] or "")
        )
        if x in order
    ]


def _scatter(drawn: Drawn, kept: list[tuple[Any, float, str | None]]) -> None:
    step = max(1, math.ceil(len(kept) / POINTS))
    drawn.points = [Point(x, y, None, color) for x, y, color in kept[::step]]
    drawn.values = len(kept)


def _box(drawn: Drawn, kept: list[tuple[Any, float, str | None]]) -> None:
    groups: dict[str, list[float]] = defaultdict(list)
    for x, y, _ in kept:
        groups[x].append(y)
    drawn.categories = len(groups)
    for x in sorted(groups, key=lambda x: (-len(groups[x]), x))[:CATEGORIES]:
        ys = sorted(groups[x])
        first, middle, third = (ys[rank(len(ys), share)] for share in SHARES)
        drawn.boxes.append(Box(x, ys[0], first, middle, third, ys[-1]))


_MAKERS = {"hist": _hist, "line": _line, "bar": _bar, "scatter": _scatter, "box": _box}
