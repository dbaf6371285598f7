"""The numbers of a plot, and what is said below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentnb.core.format import rows as rows_text
from agentnb.core.plot.labels import label

if TYPE_CHECKING:
    from agentnb.core.plot.asked import Asked

__all__ = [
    "BINS",
    "CATEGORIES",
    "COLORS",
    "FARTHEST",
    "OTHER",
    "POINTS",
    "STEPS",
    "Box",
    "Drawn",
    "Point",
    "steps",
]

BINS = 40
"""Bins of a histogram."""
STEPS = 500
"""Bins along a line."""
CATEGORIES = 30
"""Bars and boxes at most: the largest."""
COLORS = 20
"""Colors at most; what is left is one of them."""
POINTS = 3_000
"""Points at most: 64 kB hold them, as Vega-Lite and as SVG."""
FARTHEST = 1e300
"""The largest distance from 0 that is drawn: sums of larger numbers would be infinite."""
OTHER = "other"


def steps(colors: int) -> int:
    """Return the bins along lines of some colors.

    >>> steps(1), steps(20)
    (500, 150)
    """
    return min(STEPS, POINTS // max(colors, 1))


@dataclass(frozen=True, slots=True)
class Point:
    """A point, a bar or a bin.

    Parameters
    ----------
    x
        A number, a time as seconds since 1970, or text. Of a bin: where it begins.
    y
        A number: a mean, a sum, or a count.
    end
        Of a bin: where it ends.
    color
        The value of the color column.
    """

    x: float | str
    y: float
    end: float | None = None
    color: str | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A box: the least value, the quartiles, and the greatest.

    Parameters
    ----------
    x
        The category.
    low, first, middle, third, high
        Values of the column: each is one that is there.
    """

    x: str
    low: float
    first: float
    middle: float
    third: float
    high: float


@dataclass(slots=True)
class Drawn:
    """The numbers of a plot.

    Parameters
    ----------
    asked
        The plot that was asked for.
    rows
        Rows of the result.
    left_out
        Rows without a value, or with one that is no finite number.
    points, boxes
        What is drawn.
    categories
        Categories in all, of which the largest are drawn; 0 where there are none.
    values
        Points in all, of which some are drawn; 0 where all are.
    colors
        Values of the color column in all, the rarest of which are one; 0 where none are.
    """

    asked: Asked
    rows: int
    left_out: int = 0
    points: list[Point] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    categories: int = 0
    values: int = 0
    colors: int = 0

    @property
    def y_title(self) -> str:
        """Return the title of the y axis."""
        asked = self.asked
        if asked.y is None:
            return "rows"
        y = label(asked.y)
        return {"line": f"mean of {y}", "bar": f"sum of {y}"}.get(asked.kind, y)

    @property
    def caption(self) -> str:
        """Return what was drawn, and what was not, in one line."""
        x = label(self.asked.x)
        parts = [f"{self.y_title} by {x}, of {rows_text(self.rows)}"]
        if self.left_out:
            parts.append(f"{rows_text(self.left_out)} without a value left out")
        drawn = len(self.boxes or {point.x for point in self.points})
        if self.categories > drawn:
            parts.append(f"the {drawn} largest of {self.categories:,} values of {x}")
        if self.values > len(self.points):
            parts.append(f"{len(self.points):,} of {self.values:,} points drawn")
        if self.colors and self.asked.color is not None:
            rest = f"{self.colors - COLORS + 1:,} of {self.colors:,} values"
            parts.append(f"{rest} of {label(self.asked.color)} are {OTHER!r}")
        return "; ".join(parts)
