"""Positions on an axis, and its tick labels."""

from __future__ import annotations

import datetime as dt
import math

__all__ = ["number_text", "span", "ticks", "time_text"]

_STEPS = (1.0, 2.0, 5.0, 10.0)
_CLOSE = 1e-14  # closer than this, floats have no places between two others
_LEAST = 1e-290


def span(values: list[float], *, zero: bool) -> tuple[float, float]:
    """Return the least and the greatest place of an axis.

    >>> span([2.0, 4.0], zero=True), span([3.0], zero=False), span([], zero=False)
    ((0.0, 4.0), (2.5, 3.5), (0.0, 1.0))
    """
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low > max(abs(low), abs(high)) * _CLOSE and high - low > _LEAST:
        return low, high
    around = max(0.5, abs(low) * 1e-3)
    return low - around, high + around


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers from one place to another.

    >>> ticks(0, 100), ticks(0.06, 0.9)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [0.2, 0.4, 0.6, 0.8])
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in _STEPS if one * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.15g}") for number in range(first, last + 1)]


def number_text(value: float) -> str:
    """Return a number as a mark shows it.

    >>> number_text(25_000_000.0), number_text(0.25), number_text(1e15)
    ('25,000,000', '0.25', '1e+15')
    """
    if abs(value) >= 1e12 or (value and abs(value) < 1e-4):  # noqa: PLR2004 - too many digits to read
        return f"{value:.3g}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.6g}"


def time_text(seconds: float, width: float) -> str:
    """Return a time as a mark shows it, by the width of its axis in seconds.

    >>> time_text(0, 1e9), time_text(3600, 7200)
    ('1970-01-01', '01:00:00')
    """
    try:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    except OverflowError:
        return number_text(seconds)
    if width > 3 * 86_400:
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%m-%d %H:%M}" if width > 86_400 else f"{moment:%H:%M:%S}"  # noqa: PLR2004 - a day
