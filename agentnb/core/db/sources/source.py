"""Columns with types, and the rows under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Source"]


@dataclass(slots=True)
class Source:
    """Named and typed columns, and the rows under them.

    Parameters
    ----------
    columns
        Name and kind of each: ``integer real text boolean date datetime datetimetz time
        timetz interval decimal bytes json uuid``.
    rows
        Read once, in order.
    """

    columns: list[tuple[str, str]]
    rows: Iterable[Sequence[Any]]
