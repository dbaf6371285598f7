"""A plot as Vega-Lite 5, which JupyterLab draws without a network.

Source: https://vega.github.io/vega-lite/docs/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.plot.svg import COLORS, GREY

if TYPE_CHECKING:
    from agentnb.core.plot.drawn import Drawn

__all__ = ["MIME", "spec"]

MIME = "application/vnd.vegalite.v5+json"
"""The version that JupyterLab 4 knows."""

_WIDTH, _HEIGHT = 520, 240
_LONGEST = 60


def spec(drawn: Drawn) -> dict[str, Any]:
    """Return the specification of a plot, with its few numbers in it."""
    asked = drawn.asked
    found: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": drawn.caption,
        "width": _WIDTH,
        "height": _HEIGHT,
        "background": None,
        "config": _config(),
        "data": {"values": _values(drawn)},
    }
    if asked.kind == "box":
        return found | _boxes(drawn)
    x: dict[str, Any] = {"field": "x", "title": asked.x}
    if asked.kind == "bar":
        x |= {"type": "nominal", "sort": None}
    elif asked.axis == "time":
        x |= {"type": "temporal", "scale": {"type": "utc"}}
    else:
        x |= {"type": "quantitative", "scale": {"zero": False}}
    y: dict[str, Any] = {"field": "y", "type": "quantitative", "title": drawn.y_title}
    encoding: dict[str, Any] = {"x": x, "y": y}
    if asked.kind == "hist":
        encoding |= {"x": x | {"bin": {"binned": True}}, "x2": {"field": "end"}}
        if asked.axis == "time":
            encoding["x"].pop("bin")
    if asked.color is not None:
        encoding["color"] = {"field": "color", "type": "nominal", "title": asked.color}
    marks = {"line": "line", "bar": "bar", "hist": "bar", "scatter": "point"}
    return found | {"mark": {"type": marks[asked.kind], "tooltip": True}, "encoding": encoding}


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


def _values(drawn: Drawn) -> list[dict[str, Any]]:
    if drawn.boxes:
        return [
            {
                "x": _cut(box.x),
                "low": box.low,
                "q1": box.first,
                "median": box.middle,
                "q3": box.third,
                "high": box.high,
            }
            for box in drawn.boxes
        ]
    time = drawn.asked.axis == "time" and drawn.asked.kind not in {"bar", "box"}
    values = []
    for point in drawn.points:
        one: dict[str, Any] = {"x": _place(point.x, time=time), "y": _short(point.y)}
        if point.end is not None and drawn.asked.kind == "hist":
            one["end"] = _place(point.end, time=time)
        if drawn.asked.color is not None:
            one["color"] = _cut(point.color or "NULL")
        values.append(one)
    return values


def _boxes(drawn: Drawn) -> dict[str, Any]:
    x = {"field": "x", "type": "nominal", "sort": None, "title": drawn.asked.x}
    y: dict[str, Any] = {"type": "quantitative", "title": drawn.y_title, "scale": {"zero": False}}
    return {
        "encoding": {"x": x},
        "layer": [
            {"mark": "rule", "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}}},
            {
                "mark": {"type": "bar", "size": 14, "tooltip": True},
                "encoding": {"y": y | {"field": "q1"}, "y2": {"field": "q3"}},
            },
            {
                "mark": {"type": "tick", "color": "white", "size": 14},
                "encoding": {"y": y | {"field": "median"}},
            },
        ],
    }


def _place(value: float | str, *, time: bool) -> float | str:
    if isinstance(value, str):
        return _cut(value)
    return round(value * 1000) if time else _short(value)


def _short(value: float) -> float:
    """Return a number with the digits that a drawing shows."""
    return float(f"{value:.9g}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
