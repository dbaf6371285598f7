"""The grid of a result: sort, filter and page through its rows, with a summary of each column."""

from agentnb.panels.grid.view import GridPanel, make

__all__ = ["GridPanel", "make"]
