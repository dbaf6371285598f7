"""The gate of a process: runs a unit alone that has died beside others."""

from __future__ import annotations

from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.forking import new_condition, new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Gate", "Pass"]

ALONE_SECONDS = 60.0
"""How long others wait for a unit that runs alone, and it for others: units may need each other."""


def _never() -> bool:
    return False


class Pass(Enum):
    """The way in which an attempt was admitted."""

    BESIDE = "beside others"
    ALONE = "alone"


class Gate:
    """Admits the attempts of all workers of a process: many at once, or one that runs alone.

    A process that dies takes all that runs in it along, and nobody knows which unit was to blame.
    Each of them is then run alone, so that the next death has one suspect. Claims on their way are
    counted, too: a unit that is claimed, and not yet put back, would be another suspect.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._changed = new_condition(self._lock)
        self._running = 0
        self._claims = 0
        self._alone = False
        self._begun = False
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether more units may be claimed."""
        return not self._alone or monotonic() >= self._until

    def wait_open(self, seconds: float) -> bool:
        """Wait until more units may be claimed, and return whether they may."""
        if self.is_open:
            return True
        with self._lock:
            self._changed.wait(min(seconds, max(self._until - monotonic(), 0.0)))
        return self.is_open

    def begin_claim(self) -> bool:
        """Count a claim on its way, if more units may be claimed; see `end_claim`."""
        with self._lock:
            if not self.is_open:
                return False
            self._claims += 1
            return True

    def end_claim(self) -> None:
        """Count a claim no longer: it found nothing, or its unit was admitted or put back."""
        with self._lock:
            self._claims -= 1
            if self._alone:
                self._changed.notify_all()

    def enter(self, *, alone: bool, stopping: Callable[[], bool] = _never) -> Pass | None:
        """Admit an attempt, and return its pass; None if its unit is to be put back.

        Parameters
        ----------
        alone
            Whether the unit runs with nothing beside it.
        stopping
            Returns whether its worker stops, so that it is not to wait; see `recheck`.
        """
        with self._lock:
            # A unit that has had its time alone is joined by the others, those too.
            if alone and not (self._alone and self.is_open):
                return self._enter_alone(stopping)
            if self._begun and not self.is_open:
                return None
            self._running += 1
            return Pass.BESIDE

    def _enter_alone(self, stopping: Callable[[], bool]) -> Pass | None:
        if self._alone:
            return None
        self._alone = True
        self._until = monotonic() + ALONE_SECONDS
        while self._is_beside_others() and not stopping():
            if (left := self._until - monotonic()) <= 0:
                break
            self._changed.wait(left)
        if stopping():
            self._open()
            return None
        self._begun = True
        self._until = monotonic() + ALONE_SECONDS
        return Pass.ALONE

    def _is_beside_others(self) -> bool:
        return self._running > 0 or self._claims > 1  # one of the claims is its own

    def leave(self, ticket: Pass) -> None:
        """Count an attempt that has ended, by its pass."""
        with self._lock:
            if ticket is Pass.ALONE:
                self._open()
            else:
                self._running -= 1
                if self._alone:
                    self._changed.notify_all()

    def _open(self) -> None:
        self._alone = self._begun = False
        self._changed.notify_all()

    def recheck(self) -> None:
        """Turn away the unit that waits to run alone if its worker stops by now."""
        with self._lock:
            self._changed.notify_all()
