"""The pause between two attempts at a unit of work."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["LONGEST_PAUSE", "Backoff"]

LONGEST_PAUSE = 300.0
"""Seconds that a growing pause lasts at most."""
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between attempts: two seconds, four, eight, with a fifth of jitter.

    Parameters
    ----------
    seconds
        The pause after the first attempt.
    growing
        Whether the pause doubles with every attempt, up to 300 s (``seconds``, if that is more).

    Examples
    --------
    >>> backoff = Backoff(2.0)
    >>> 1.6 <= backoff.after(1) <= 2.4, 3.2 <= backoff.after(2) <= 4.8
    (True, True)
    >>> backoff.after(1000) <= 300.0
    True
    """

    seconds: float = 2.0
    growing: bool = True

    def after(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt, counted from 1."""
        longest = max(LONGEST_PAUSE, self.seconds)
        grown = self.seconds * 2.0 ** min(max(attempt - 1, 0), 64) if self.growing else self.seconds
        spread = 1 + _JITTER * (2 * random.random() - 1)  # noqa: S311 - jitter, not cryptography
        # The longest pause limits what is slept: jitter beyond it is turned back below it.
        return longest - abs(longest - min(grown, longest) * spread)
