"""The interface of the engines of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.grid.judged import Condition
    from agentnb.core.grid.view import Sort, Summary

__all__ = ["WIDEST", "Conditions", "Engine"]

Conditions = tuple["Condition", ...]

WIDEST = 60
"""Columns that have a summary at most: the first ones."""


class Engine(Protocol):
    """It sorts, filters and counts the rows of a result.

    Attributes
    ----------
    name
        Its name, as in `Grid.engine`.
    names, details
        The names of the columns and their types.
    refuses
        A line that says why it cannot sort or filter; ``""`` if it can.
    """

    name: str
    names: Sequence[str]
    details: Sequence[str]
    refuses: str

    def count(self, conditions: Conditions) -> int:
        """Return how many rows the conditions let through."""

    def rows(
        self, sort: Sort | None, conditions: Conditions, offset: int, count: int
    ) -> Sequence[tuple[Any, ...]]:
        """Return a part of the rows that the conditions let through, in an order."""

    def summaries(self, conditions: Conditions) -> tuple[Summary, ...]:
        """Return the summaries of the rows that the conditions let through."""

    def close(self) -> None:
        """Release what it holds."""
