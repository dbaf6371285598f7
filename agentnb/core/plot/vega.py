"""A plot as Vega-Lite 5, which JupyterLab draws without a network.

Its numbers are text, as a CSV file has them, which is a third of the size of objects. Numbers and
times along an axis are rounded: to one of 10,000 or more places from the least to the greatest.

Source: https://vega.github.io/vega-lite/docs/
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agentnb.core.plot.labels import label, labels
from agentnb.core.plot.svg import COLORS, GREY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.plot.drawn import Drawn, Point

__all__ = ["EMBED", "MIME", "spec"]

MIME = "application/vnd.vegalite.v5+json"
"""The version that JupyterLab 4 knows."""

EMBED: dict[str, Any] = {
    "defaultStyle": False,
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
    "i18n": {"PNG_ACTION": "\u2003Save as PNG"},
}
"""Two links to save the drawing: the menu has no name, and a link to a page of the network."""

_WIDTH, _HEIGHT = 520, 240
_DIGITS = 4  # an axis has 10 ** 4 steps and up to ten times as many
_LEAST = 300  # a step is 10 ** -300 or more, as a float holds its inverse, too
_TIMES = (
    (86_400.0, "%Y-%m-%d"),
    (3_600.0, "%Y-%m-%d %H:%M"),
    (60.0, "%Y-%m-%d %H:%M"),
    (1.0, "%Y-%m-%d %H:%M:%S"),
    (0.001, "%Y-%m-%d %H:%M:%S.%L"),
)  # seconds of a step along an axis of times, and how a time is written with it


def spec(drawn: Drawn) -> dict[str, Any]:
    """Return the specification of a plot, with its few numbers in it."""
    found: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": drawn.caption,
        "width": _WIDTH,
        "height": _HEIGHT,
        "background": None,
        "config": _config(),
    }
    return found | (_boxes(drawn) if drawn.asked.kind == "box" else _points(drawn))


def _config() -> dict[str, Any]:
    """Return colors that stay readable: a drawing keeps its own when the page's theme changes."""
    texts = {"labelColor": GREY, "titleColor": GREY}
    lines = {"domainColor": GREY, "tickColor": GREY, "gridColor": GREY, "gridOpacity": 0.25}
    return {
        "axis": texts | lines,
        "legend": dict(texts),
        "title": {"color": GREY},
        "rule": {"color": GREY},
        "view": {"stroke": GREY, "strokeOpacity": 0.25},
        "range": {"category": list(COLORS)},
    }


def _points(drawn: Drawn) -> dict[str, Any]:
    asked, points = drawn.asked, drawn.points
    textual = asked.kind == "bar"
    x: dict[str, Any] = {"field": "x", "title": label(asked.x)}
    if textual:
        x |= {"type": "nominal", "sort": None}
    elif asked.axis == "time":
        x |= {"type": "temporal", "scale": {"type": "utc"}}
    else:
        x |= {"type": "quantitative", "scale": {"zero": False}}
    y = {"field": "y", "type": "quantitative", "title": drawn.y_title}
    encoding: dict[str, Any] = {"x": x, "y": y}
    table = _Table(points)
    if textual:
        table.names("x", [str(point.x) for point in points])
    else:
        time = asked.axis == "time"
        fields = {"x": [float(point.x) for point in points]}
        if asked.kind == "hist":
            fields["end"] = [point.end or 0.0 for point in points]
            encoding["x2"] = {"field": "end"}
            x["bin"] = {"binned": True}
        table.steps(fields, time=time)
        if time:
            # Vega-Lite 5.6 writes the time of a bin as a number.
            moment = {"field": "moment", "type": "nominal", "title": x["title"]}
            encoding["tooltip"] = [moment, y]
    if asked.kind in {"line", "scatter"}:
        table.steps({"y": [point.y for point in points]})
    else:
        table.numbers("y", [point.y for point in points])
    if asked.color is not None:
        table.names("color", [point.color or "NULL" for point in points])
        color = {"field": "color", "type": "nominal", "title": label(asked.color)}
        encoding["color"] = color
        encoding.get("tooltip", []).append(color)
    marks: dict[str, dict[str, Any]] = {
        # A line alone has one tooltip; its points, which are not seen, have one each.
        "line": {"type": "line", "point": "transparent"},
        "bar": {"type": "bar"},
        "hist": {"type": "bar"},
        "scatter": {"type": "point", "filled": True, "size": 14, "opacity": 0.7},
    }
    return table.made() | {"mark": marks[asked.kind] | {"tooltip": True}, "encoding": encoding}


class _Table:
    """The numbers as CSV, and what makes values of them.

    Parameters
    ----------
    points
        One a line.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._lines: list[list[str]] = [[] for _ in points]
        self._fields: list[str] = []
        self._transform: list[dict[str, Any]] = []

    def names(self, field: str, names: Sequence[str]) -> None:
        """Add names, each kept once."""
        shown = labels(names)
        places = {name: place for place, name in enumerate(shown)}
        self._add(f"{field}_", (str(places[name]) for name in names))
        values = [{"n": place, field: one} for place, one in enumerate(shown.values())]
        source = {"data": {"values": values}, "key": "n", "fields": [field]}
        self._transform.append({"lookup": f"{field}_", "from": source})

    def numbers(self, field: str, values: Iterable[float]) -> None:
        """Add numbers with twelve digits."""
        self._add(field, (f"{value:.12g}" for value in values))

    def steps(self, fields: dict[str, list[float]], *, time: bool = False) -> None:
        """Add numbers, or seconds since 1970, as steps along one axis."""
        every = [one for values in fields.values() for one in values]
        if time:
            place, value, form = _time_axis(every)
        else:
            place, value = _axis(every)
        for field, values in fields.items():
            self._add(f"{field}_", (str(place(one)) for one in values))
            self._transform.append({"calculate": value.replace("{}", f"{field}_"), "as": field})
        if time:
            texts = " + ' to ' + ".join(f"utcFormat(datum.{field}, '{form}')" for field in fields)
            self._transform.append({"calculate": texts, "as": "moment"})

    def _add(self, field: str, texts: Iterable[str]) -> None:
        self._fields.append(field)
        for line, text in zip(self._lines, texts, strict=True):
            line.append(text)

    def made(self) -> dict[str, Any]:
        """Return the data and the transforms."""
        lines = [",".join(one) for one in (self._fields, *self._lines)]
        form = {"type": "csv", "parse": dict.fromkeys(self._fields, "number")}
        data = {"values": "\n".join(lines), "format": form}
        return {"data": data, "transform": self._transform}


def _axis(values: Sequence[float]) -> tuple[Callable[[float], int], str]:
    """Return a number's step along an axis, and the expression that makes it a number again.

    A step is a power of ten, so that a short number stays what it is:

    >>> place, expression = _axis([3.5, 7.25])
    >>> place(7.25), expression
    (37500, '(35000 + datum.{}) / 10000')
    """
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    power = math.floor(math.log10(high - low)) - _DIGITS if high > low else -_DIGITS
    power = max(power, -_LEAST)
    unit = 10.0**power
    if abs(low / unit) > 2**53:  # a float has no such digits
        return lambda one: round((one - low) / unit), f"{low!r} + datum.{{}} * {unit!r}"
    first = round(low / unit)
    tail = f"/ {10.0**-power:.17g}" if power < 0 else f"* {unit:.17g}"
    return lambda one: round(one / unit) - first, f"({first} + datum.{{}}) {tail}"


def _time_axis(values: Sequence[float]) -> tuple[Callable[[float], int], str, str]:
    """Return a time's step along an axis, the expression of its milliseconds, and its form.

    >>> place, *rest = _time_axis([0.0, 86_400.0 * 730])
    >>> place(7_200.0), rest
    (2, ['(0 + datum.{}) * 3600000', '%Y-%m-%d %H:%M'])
    """
    width = max(values) - min(values) if values else 0.0
    seconds, form = next(
        one for one in _TIMES if one[0] * 10**_DIGITS <= width or one is _TIMES[-1]
    )
    # Cut, not rounded: an evening is not written as the next day.
    first = math.floor(min(values) / seconds) if values else 0
    tail = f"* {seconds * 1_000:.0f}"
    return lambda one: math.floor(one / seconds) - first, f"({first} + datum.{{}}) {tail}", form


def _boxes(drawn: Drawn) -> dict[str, Any]:
    shown = labels(box.x for box in drawn.boxes)
    values = [
        {
            "x": shown[box.x],
            "low": box.low,
            "q1": box.first,
            "median": box.middle,
            "q3": box.third,
            "high": box.high,
        }
        for box in drawn.boxes
    ]
    x = {"field": "x", "type": "nominal", "sort": None, "title": label(drawn.asked.x)}
    y: dict[str, Any] = {"type": "quantitative", "title": drawn.y_title, "scale": {"zero": False}}
    numbers = [
        {"field": one, "type": "quantitative"} for one in ("low", "q1", "median", "q3", "high")
    ]
    tooltip = [{"field": "x", "type": "nominal", "title": label(drawn.asked.x)}, *numbers]
    return {
        "data": {"values": values},
        "encoding": {"x": x, "tooltip": tooltip},
        "layer": [
            {"mark": "rule", "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}}},
            {
                "mark": {"type": "bar", "size": 14},
                "encoding": {"y": y | {"field": "q1"}, "y2": {"field": "q3"}},
            },
            {
                "mark": {"type": "tick", "color": "white", "size": 14, "thickness": 2},
                "encoding": {"y": y | {"field": "median"}},
            },
        ],
    }
