"""How many rows and bytes of a result are fetched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MAX_BYTES", "Bounds", "fetch_all", "human"]

MAX_BYTES = 1_000_000_000
CHUNK = 2_000
# One row in sixteen stands for its neighbours, unless the rows are so large that measuring
# each one costs nothing beside fetching it.
_STEP = 16
_LARGE = 1_000


class Bounds(NamedTuple):
    """The bounds of one result.

    Parameters
    ----------
    limit
        Rows at most; None for all.
    max_bytes
        Bytes that the rows may take in memory; None for any number.
    preview
        Whether the limit is for display only: a result that it cuts refuses to be used.
    pushed
        Whether the limit may be part of the statement, which then runs for fewer rows.
    """

    limit: int | None = None
    max_bytes: int | None = MAX_BYTES
    preview: bool = False
    pushed: bool = True

    def check(self, size: float, rows: int) -> None:
        """Raise if a result that has grown to this size is too large.

        Raises
        ------
        UsageError
            It is larger than ``max_bytes``.
        """
        if self.max_bytes is None or size <= self.max_bytes:
            return
        raise UsageError(
            f"the result is larger than {human(self.max_bytes)}: stopped after {rows:,} rows",
            service="db",
            hint="read it in parts with hub.db.stream(SQL), ask for fewer rows with "
            "limit= (%db -n ROWS), or raise max_bytes= (AGENTNB_DB_MAX_BYTES)",
        )


def fetch_all(
    fetchmany: Callable[[int], Sequence[tuple[Any, ...]]], bounds: Bounds
) -> list[tuple[Any, ...]]:
    """Fetch all rows, or one more than the limit.

    Parameters
    ----------
    fetchmany
        Returns at most that number of the next rows, none at the end.

    Raises
    ------
    UsageError
        They are larger than ``max_bytes``.
    """
    left = sys.maxsize if bounds.limit is None else bounds.limit + 1
    rows: list[tuple[Any, ...]] = []
    size = 0.0
    while left:
        wanted = min(left, CHUNK)
        chunk = fetchmany(wanted)
        rows += chunk
        if bounds.max_bytes is not None:
            size += _size(chunk)
            if size > bounds.max_bytes:
                bounds.check(size, len(rows))
        if len(chunk) < wanted:
            break
        left -= wanted
    return rows


def _size(rows: Sequence[tuple[Any, ...]]) -> float:
    """Estimate the bytes that rows take in memory."""
    if len(rows) <= _STEP:
        return _exact(rows)
    some = rows[::_STEP]
    size = _exact(some)
    if size > _LARGE * len(some):
        return _exact(rows)
    return size * len(rows) / len(some)


def _exact(rows: Sequence[tuple[Any, ...]]) -> int:
    measure = sys.getsizeof
    size = 0
    for row in rows:
        size += measure(row) + sum(map(measure, row))
    return size


def human(size: int) -> str:
    """Return a number of bytes as people write it.

    >>> human(1_000_000_000), human(1_500_000), human(999)
    ('1 GB', '1.5 MB', '999 bytes')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} bytes"
