"""What an option's text may stand for, where several magics mean the same."""

from __future__ import annotations

__all__ = ["count", "seconds", "times"]


def count(text: str) -> int:
    """Return how many; ValueError if it is not one at least.

    >>> count("3")
    3
    """
    value = int(text)
    if value < 1:
        raise ValueError("a whole number above 0")
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
