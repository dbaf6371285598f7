"""Values of options that several magics share, read from their text."""

from __future__ import annotations

import re
from typing import Any

from agentnb.core.ranges import read_seconds, read_whole

__all__ = [
    "alone",
    "count",
    "delay",
    "names",
    "number",
    "pair",
    "pairs",
    "rows",
    "seconds",
    "times",
]

_MOST_ROWS = 1_000_000
_NAMED = re.compile(r"[A-Za-z_]\w*=", re.ASCII)


def count(text: str) -> int:
    """Return a whole number, 1 or more; OutsideError for another text.

    >>> count("3")
    3
    """
    return read_whole(text)


def rows(text: str) -> int:
    """Return a number of rows to show; OutsideError for none and for too many.

    >>> rows("1000000")
    1000000
    """
    return read_whole(text, most=_MOST_ROWS)


def seconds(text: str) -> float:
    """Return a time greater than 0; OutsideError for another text.

    >>> seconds("0.5")
    0.5
    """
    return read_seconds(text)


def delay(text: str) -> float:
    """Return a time of 0 s or more; OutsideError for another text.

    >>> delay("0")
    0.0
    """
    return read_seconds(text, zero=True)


def times(text: str) -> int:
    """Return a whole number, 0 or more; OutsideError for another text.

    >>> times("0")
    0
    """
    return read_whole(text, least=0)


def number(given: Any) -> Any:
    """Return a whole number; what is none is left to the call, whose error says what it takes.

    >>> number("3"), number("many"), number(4)
    (3, 'many', 4)
    """
    try:
        return int(given) if isinstance(given, str) else given
    except ValueError:
        return given


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
