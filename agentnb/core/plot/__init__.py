"""Plots of results: few numbers, made of all rows where they are."""

from agentnb.core.plot.plot import Plot

__all__ = ["Plot"]
