"""Values as the text of a file: whole, and as `%db load` reads them back."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["is_formula", "json_of", "json_values", "text_of", "texts_of"]

_FORMULA = re.compile(r"[=+\-@\t\r]")
"""The first character of a text that a spreadsheet takes for a formula."""

_NUMBER = re.compile(r"[-+](?:[\d\s().,/:-]|[eE][-+]?\d)*")  # also a telephone's; no formula


def text_of(value: Any) -> str:
    r"""Return a value as one text; None is empty.

    >>> text_of(None), text_of(True), text_of(b"\x01\xff"), text_of(0.1), text_of(Decimal("1E+2"))
    ('', 'true', '\\x01ff', '0.1', '100')
    >>> text_of(dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)), text_of({"a": [1, None]})
    ('2026-01-31 09:00:00+00:00', '{"a": [1, null]}')
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    for kinds, make in _TEXTS:
        if isinstance(value, kinds):
            return make(value)
    return text_of(value.tolist()) if _is_numpy(value) else str(value)


def _is_numpy(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "tolist")


def texts_of(values: Sequence[object]) -> Sequence[str]:
    """Return the texts of a column.

    >>> texts_of((1, 2)), texts_of(("a", None))
    (['1', '2'], ['a', ''])
    """
    kinds = set(map(type, values))
    whole = type(None) not in kinds
    kinds.discard(type(None))
    make = _OF_ONE_TYPE.get(next(iter(kinds)), text_of) if len(kinds) == 1 else text_of
    if whole:
        return list(map(make, values))
    return ["" if value is None else make(value) for value in values]


def json_values(values: Sequence[Any], note: Callable[[str], object]) -> Sequence[Any]:
    """Return the values of a column as JSON has them; see `json_of`."""
    if set(map(type, values)) <= {str, bool, int, type(None)}:
        return values
    return [json_of(value, note) for value in values]


def json_of(value: Any, note: Callable[[str], object] = str) -> Any:
    """Return a value as JSON has it.

    Parameters
    ----------
    value
        The value. A Decimal is a number where a reader's float is the same number, else text.
    note
        Called with what JSON has no word for.

    Examples
    --------
    >>> json_of({"at": dt.date(2026, 1, 31), "price": Decimal("9.50"), 1: float("nan")})
    {'at': '2026-01-31', 'price': 9.5, '1': None}
    >>> json_of(Decimal("0.12345678901234567890"))
    '0.12345678901234567890'
    """
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    for kinds, make in _PLAIN:
        if isinstance(value, kinds):
            return make(value, note)
    return json_of(value.tolist(), note) if _is_numpy(value) else text_of(value)


def _float(value: float, note: Callable[[str], object]) -> float | None:
    if math.isfinite(value):
        return float(value)
    note("NaN and infinity are null: JSON has no word for them")
    return None


def _number(value: Decimal, note: Callable[[str], object]) -> Any:
    if not value.is_finite():
        return _float(math.nan, note)
    if value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return int(value)
    number = float(value)
    if math.isfinite(number) and Decimal(repr(number)) == value:
        return number
    note("Decimals that a float would round are text")
    return text_of(value)


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet would run a text.

    >>> [is_formula(text) for text in ("=1+1", "@x", "+49 30 1234", "-", "-1e-05", "a")]
    [True, True, False, False, False, False]
    """
    return _FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


_SETS = (list, tuple, set, frozenset)
_BYTES = (bytes, bytearray, memoryview)
_OF_ONE_TYPE: dict[type, Callable[[Any], str]] = {
    str: str,
    int: str,
    float: repr,
    bool: {True: "true", False: "false"}.__getitem__,
    dt.datetime: str,
    Decimal: "{:f}".format,
}
"""The same texts, sooner: most columns have values of one type."""

_AS_THEY_ARE = frozenset({str, bool, int})
_TEXTS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (enum.Enum, lambda value: text_of(value.value)),
    (float, float.__repr__),
    (dt.datetime, lambda value: value.isoformat(sep=" ")),
    (_BYTES, lambda value: f"\\x{bytes(value).hex()}"),
    (Decimal, lambda value: format(value, "f")),
    ((dict, *_SETS), lambda value: json.dumps(json_of(value), ensure_ascii=False)),
)
_PLAIN: tuple[tuple[Any, Callable[[Any, Callable[[str], object]], Any]], ...] = (
    (enum.Enum, lambda value, note: json_of(value.value, note)),
    (float, _float),
    (Decimal, _number),
    (dict, lambda value, note: {text_of(k): json_of(v, note) for k, v in value.items()}),
    (_SETS, lambda value, note: [json_of(one, note) for one in value]),
    (dt.datetime, lambda value, _: value.isoformat()),
)
