"""What an option's text may stand for, where several magics mean the same."""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "OutsideError",
    "alone",
    "count",
    "names",
    "pair",
    "pairs",
    "rows",
    "seconds",
    "times",
]

_MOST_ROWS = 1_000_000
_NAMED = re.compile(r"[A-Za-z_]\w*=", re.ASCII)


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


def alone(value: Any) -> list[Any]:
    """Return a list of one value; a list that a ``:name`` stands for is taken as it is.

    >>> alone("a,b"), alone(["a", "b"])
    (['a,b'], ['a', 'b'])
    """
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def names(value: Any) -> list[str]:
    """Return the names that commas separate, or those of a list that a ``:name`` stands for.

    >>> names("a, b"), names(["a,b"])
    (['a', 'b'], ['a,b'])
    """
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(one) for one in alone(value)]


def pairs(value: Any) -> dict[str, Any]:
    """Return ``A=1,B=2`` as a dictionary, or the dictionary that a ``:name`` stands for.

    The commas separate variables only where each part is a NAME=value; else all of it is one.

    >>> pairs("A=1,B=2"), pairs("A=x,y"), pairs("A=")
    ({'A': '1', 'B': '2'}, {'A': 'x,y'}, {'A': ''})
    """
    if isinstance(value, dict):
        return dict(value)
    parts = str(value).split(",")
    if not all(_NAMED.match(part.strip()) for part in parts):
        return pair(value)
    found: dict[str, Any] = {}
    for part in parts:
        name, _, text = part.strip().partition("=")
        if name in found:
            raise ValueError(f"{name} is there twice")
        found[name] = text
    return found


def pair(value: Any) -> dict[str, Any]:
    """Return ``NAME=value``, of which no comma is a separator; ValueError without a name.

    >>> pair("DB=postgres://h/db?a=1,b=2")
    {'DB': 'postgres://h/db?a=1,b=2'}
    """
    if isinstance(value, dict):
        return dict(value)
    name, equals, text = str(value).partition("=")
    if not name.strip() or not equals:
        raise ValueError(value)
    return {name.strip(): text}
