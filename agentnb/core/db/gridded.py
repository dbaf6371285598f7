"""A result that is to be shown as a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.ranges import whole

if TYPE_CHECKING:
    from agentnb.core.db.result import Result

__all__ = ["HEIGHT", "ROWS", "Gridded"]

ROWS = 20
HEIGHT = 540
_MOST_ROWS = 200
_HEIGHTS = (100, 10_000)


class Gridded:
    """A result that a notebook shows as a grid; everything else shows it as a table.

    Parameters
    ----------
    result
        The result.
    page
        Rows on a page.
    height
        Greatest height of the rows in pixels; what is longer scrolls.

    Raises
    ------
    UsageError
        A number is out of its range.
    """

    def __init__(self, result: Result, page: int, height: int) -> None:
        self.result = result
        self.page = whole("page", page, service="db", most=_MOST_ROWS)
        self.height = whole("height", height, service="db", least=_HEIGHTS[0], most=_HEIGHTS[1])

    def __repr__(self) -> str:
        return repr(self.result)

    def _repr_html_(self) -> str:
        return self.result._repr_html_()
