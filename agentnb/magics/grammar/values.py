"""What an option's text may stand for, where several magics mean the same."""

from __future__ import annotations

__all__ = ["OutsideError", "count", "rows", "seconds", "times"]

_MOST_ROWS = 1_000_000


class OutsideError(ValueError):
    """A number outside of its range, which the text of the error names."""


def count(text: str) -> int:
    """Return how many; ValueError if it is not one at least.

    >>> count("3")
    3
    """
    value = int(text)
    if value < 1:
        raise OutsideError("1 or more")
    return value


def rows(text: str) -> int:
    """Return how many rows of a list are to be shown; ValueError if it is none or too many.

    >>> rows("1000000")
    1000000
    """
    value = int(text)
    if not 1 <= value <= _MOST_ROWS:
        raise OutsideError(f"1 to {_MOST_ROWS:,}")
    return value


def seconds(text: str) -> float:
    """Return a time; ValueError if it is none or never ends.

    >>> seconds("0.5")
    0.5
    """
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0")
    return value


def times(text: str) -> int:
    """Return how often, which may be never; ValueError if it is less.

    >>> times("0")
    0
    """
    value = int(text)
    if value < 0:
        raise ValueError("a whole number, 0 or more")
    return value
