"""A server that is away, or stores nothing: said once, and left alone for a moment."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from agentnb.core.errors import AgentnbError

__all__ = ["Trouble"]


class Trouble:
    """One kind of trouble with the server, from when it begins until it is over.

    Parameters
    ----------
    log
        Where its beginning and its end are said, each once.
    begins, ends
        What is said.
    rest
        Seconds for which `resting` holds after each failure, so that not every caller waits
        for the same one.
    """

    def __init__(
        self,
        log: logging.LoggerAdapter[logging.Logger],
        begins: str,
        ends: str,
        *,
        rest: float = 1.0,
    ) -> None:
        self._log = log
        self._begins = begins
        self._ends = ends
        self._rest = rest
        self._lock = threading.Lock()
        self._there = False
        self._until = 0.0
        self.been_well = False

    @property
    def resting(self) -> bool:
        """Return whether the server has failed a moment ago."""
        return self._there and monotonic() < self._until

    def failed(self, error: AgentnbError) -> None:
        """Note a failure."""
        with self._lock:
            new, self._there = not self._there, True
            self._until = monotonic() + self._rest
        if new:
            self._log.warning("%s: %s", self._begins, error)

    def well(self) -> None:
        """Note a success."""
        if self.been_well and not self._there:
            return
        with self._lock:
            over, self._there = self._there, False
            self.been_well = True
        if over:
            self._log.info("%s", self._ends)
