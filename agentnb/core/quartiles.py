"""Quartiles by the nearest rank: each is a value that is there."""

from __future__ import annotations

import math

__all__ = ["QUARTILES", "SHARES", "rank"]

SHARES = (0.25, 0.5, 0.75)

QUARTILES = {
    "duckdb": "quantile_disc({}, {share})",
    "postgresql": "percentile_disc({share}) within group (order by {})",
}
"""The function of each database that has one; ``{}`` stands for the column."""


def rank(count: int, share: float) -> int:
    """Return the index of a share among ordered values, from 0.

    >>> [rank(10, share) for share in SHARES]
    [2, 4, 7]
    """
    return max(math.ceil(share * count) - 1, 0)
