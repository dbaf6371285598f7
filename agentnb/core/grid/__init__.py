"""A grid over a result: pages that are sorted and filtered, and a summary of each column."""

from agentnb.core.grid.grid import Grid
from agentnb.core.grid.opening import open_grid
from agentnb.core.grid.view import Bar, Filter, GridColumn, Page, Sort, Summary, View

__all__ = ["Bar", "Filter", "Grid", "GridColumn", "Page", "Sort", "Summary", "View", "open_grid"]
