"""The ids of jobs and batches."""

from __future__ import annotations

from agentnb.core.trace.context import random_bits

__all__ = ["letters", "new_id"]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 60


def new_id() -> str:
    """Return an id that no other job has.

    >>> len(new_id())
    12
    """
    # The generator of trace ids, which a notebook that seeds random's does not repeat.
    return letters(random_bits(_BITS))


def letters(bits: int) -> str:
    """Return the id of some bits, of which the last 60 count.

    >>> letters(7)
    '700000000000'
    """
    return "".join([_LETTERS[bits >> shift & 31] for shift in range(0, _BITS, 5)])
