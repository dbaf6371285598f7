"""Rows and summaries as the page is sent them: short enough for the wire, and fit to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from agentnb.core.format import cut
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.grid import Filter, GridColumn, Summary

__all__ = ["DASH", "OTHERS", "cells", "header", "matches", "summary_words"]

DASH: Final = "\N{EN DASH}"
OTHERS: Final[dict[int, tuple[str, Literal["null", "not_null"]]]] = {
    -1: ("NULL", "null"),
    -2: ("not NULL", "not_null"),
}
"""The parts of a column that are no bars of its summary, by number: label and filter."""
BYTES: Final = 4000
"""Bytes of the cells of a page, beyond which the longest texts are cut shorter."""
_LENGTHS: Final = (200, 120, 80, 60, 40, 30, 20)
_NAME: Final = 80
_LABEL: Final = 40
_FEW: Final = 0.02
"""Share of the values below which the largest categories together are not worth a drawing."""


def cells(rows: Sequence[Sequence[str | None]], numbers: Sequence[bool]) -> list[list[str | None]]:
    """Return the cells, the longest texts cut so that a wide page stays short. Numbers are whole.

    >>> cells([["ab", None]], [False, True])
    [['ab', None]]
    >>> len(cells([["x" * 200] * 30] * 20, [False] * 30)[0][0])
    20
    """
    sizes = [_size(text) for row in rows for text in row if text is not None]
    most = next(
        (most for most in _LENGTHS if sum(min(size, most) for size in sizes) <= BYTES), _LENGTHS[-1]
    )
    return [
        [
            text if text is None or number else cut(text, most)
            for text, number in zip(row, numbers, strict=True)
        ]
        for row in rows
    ]


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def header(name: str) -> str:
    """Return the name of a column as one short line."""
    return cut(text_of(name), _NAME)


def matches(filter: Filter, column: int, kind: str) -> bool:  # noqa: A002 - what it is
    """Return whether a filter is one of a kind on a column."""
    return filter.column == column and filter.kind == kind


def summary_words(summary: Summary, column: GridColumn, chosen: Filter | None) -> dict[str, Any]:
    """Return the summary of a column as the page draws it.

    A bar is its label, its rows, whether it filters, and its number, which is negative for those
    of `OTHERS`. ``on`` is the number of the one that is chosen. Where hardly any value comes
    twice, one bar stands for all values, beside that of the nulls.
    """
    on = next((at for at, (_, kind) in OTHERS.items() if chosen and chosen.kind == kind), None)
    bars: list[list[Any]] = []
    if worth_drawing(summary, column):
        for at, bar in enumerate(summary.bars):
            if chosen is not None and bar.filter == chosen:
                on = at
            can = bar.filter is not None
            bars.append([cut(text_of(bar.label), _LABEL), bar.count, can, at])
    elif summary.nulls:
        bars.append(["not NULL", sum(bar.count for bar in summary.bars), True, -2])
    return {
        "bars": bars,
        "nulls": summary.nulls,
        "strip": is_strip(column),
        "words": words(summary, column),
        "on": on,
    }


def is_strip(column: GridColumn) -> bool:
    """Return whether the values are categories, drawn as the parts of a strip."""
    return column.kind not in {"number", "time"}


def worth_drawing(summary: Summary, column: GridColumn) -> bool:
    """Return whether bars tell anything: not where hardly any value comes twice."""
    if not is_strip(column) or len(summary.bars) < 2:  # noqa: PLR2004 - one bar is all there is
        return True
    total = sum(bar.count for bar in summary.bars)
    named = [bar.count for bar in summary.bars if bar.filter is not None]
    return max(named, default=0) > 1 and sum(named) > total * _FEW


def words(summary: Summary, column: GridColumn) -> str:
    """Return a summary in words: its range or its number of values, and the nulls."""
    parts = []
    if is_strip(column):
        # Where the bars are all values, their number is exact; DuckDB's is about right.
        # Values of other kinds, such as bytes, are one bar.
        every = column.kind != "other" and all(bar.filter is not None for bar in summary.bars)
        parts.append(f"{len(summary.bars) if every else f'~{summary.distinct:,}'} distinct")
    elif summary.low == summary.high:
        parts.append(summary.low)
    else:
        parts.append(f"{summary.low} {DASH} {summary.high}")
    if summary.nulls:
        parts.append(f"{summary.nulls:,} null")
    return ", ".join(filter(None, parts))
