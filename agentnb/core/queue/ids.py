"""The ids of jobs and batches."""

from __future__ import annotations

from agentnb.core.trace.context import random_bits

__all__ = ["new_id"]

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 60


def new_id() -> str:
    """Return an id that no other job has.

    >>> len(new_id())
    12
    """
    # The generator of trace ids, which a notebook that seeds random's does not repeat.
    bits = random_bits(_BITS)
    return "".join([_LETTERS[bits >> shift & 31] for shift in range(0, _BITS, 5)])
