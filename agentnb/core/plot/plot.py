"""A plot that shows itself: Vega-Lite, SVG and text of the same few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.plot import svg, vega, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.plot.drawn import Drawn

__all__ = ["Plot", "of_rows"]


class Plot:
    """A plot of a result, made of all of its rows.

    JupyterLab draws it by Vega-Lite, which it has; everything else shows the SVG, or text. None
    of them needs a network.

    Parameters
    ----------
    drawn
        Its numbers.

    Examples
    --------
    >>> from agentnb.core.db import Result
    >>> Result(["city", "eur"], [("Oslo", 2), ("Rome", 4), ("Oslo", 1)]).plot("city", "eur")
    Rome ████████████████████████████████████████ 4
    Oslo ██████████████████████████████ 3
    sum of eur by city, of 3 rows
    """

    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn

    @property
    def caption(self) -> str:
        """The line below the drawing: the rows that it shows, and those that it leaves out."""
        return self._drawn.caption

    @property
    def spec(self) -> dict[str, Any]:
        """The Vega-Lite 5 specification, as a dictionary."""
        return vega.spec(self._drawn)

    @property
    def svg(self) -> str:
        """The drawing as SVG."""
        return svg.draw(self._drawn)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        spec = self.spec
        spec["title"] = {
            "text": self.caption,
            "anchor": "start",
            "fontSize": 11,
            "fontWeight": "normal",
            "orient": "bottom",
        }
        data = {vega.MIME: spec, "image/svg+xml": self.svg, "text/plain": repr(self)}
        return data, {vega.MIME: {"embed_options": vega.EMBED}}

    def __repr__(self) -> str:
        return words.draw(self._drawn)


def of_rows(
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    x: str,
    y: str | None,
    color: str | None,
    kind: Any,
) -> Plot:
    """Return the plot of rows in memory.

    Raises
    ------
    UsageError
        As `agentnb.core.plot.asked.asked`.
    """
    from agentnb.core.plot.asked import asked
    from agentnb.core.plot.memory import axis_of, draw

    axes = {
        name: axis_of(row[number] for row in rows)
        for number, name in enumerate(columns)
        if name in {x, y, color}
    }
    return Plot(draw(asked(columns, axes, x, y, color, kind), columns, rows))
