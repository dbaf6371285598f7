"""Ids: short, distinct, and in the order of their time."""

from __future__ import annotations

import time

# The generator of trace ids, which a notebook that seeds random's does not repeat.
from agentnb.core.trace.context import random_bits

__all__ = ["new_id"]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_BEGIN = 1_735_689_600  # 2025
_TIME, _RANDOM = 40, 20  # bits: milliseconds of 34 years, and one of a million


def new_id() -> str:
    """Return twelve characters.

    >>> first, second = new_id(), new_id()
    >>> len(first), first[:8] <= second[:8]
    (12, True)
    """
    number = int((time.time() - _BEGIN) * 1000) % (1 << _TIME) << _RANDOM | random_bits(_RANDOM)
    return "".join([_LETTERS[number >> shift & 31] for shift in range(55, -5, -5)])
