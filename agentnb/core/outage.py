"""A server's outage: logged when it begins and when it is over, and left alone for a moment."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    import logging

__all__ = ["OutageTracker"]


class OutageTracker:
    """Knows whether a server is up, and logs each outage once.

    Parameters
    ----------
    log
        Logger of the beginning, as a warning, and of the end.
    away
        Message of the beginning; the error follows it.
    back
        Message of the end; None logs no end.
    cooldown
        Seconds for which `cooling_down` holds after a failure.

    Examples
    --------
    >>> import logging
    >>> server = OutageTracker(logging.getLogger("example"), "away", "back")
    >>> server.succeeded(), server.was_up
    (False, True)
    """

    def __init__(
        self,
        log: logging.Logger | logging.LoggerAdapter[Any],
        away: str,
        back: str | None,
        *,
        cooldown: float = 1.0,
    ) -> None:
        self._log = log
        self._messages = away, back
        self._cooldown = cooldown
        self._lock = new_lock()
        self._until = 0.0
        self._away = self._was_up = False

    @property
    def is_away(self) -> bool:
        """Whether the last call failed."""
        return self._away

    @property
    def was_up(self) -> bool:
        """Whether any call has succeeded."""
        return self._was_up

    @property
    def cooling_down(self) -> bool:
        """Whether a call failed within the cooldown, so that the next should not wait for it."""
        return self._away and monotonic() < self._until

    def failed(self, error: object) -> bool:
        """Record a failed call, and return whether an outage begins with it."""
        with self._lock:
            begins, self._away = not self._away, True
            self._until = monotonic() + self._cooldown
        if begins:
            self._log.warning("%s: %s", self._messages[0], error)
        return begins

    def succeeded(self) -> bool:
        """Record a successful call, and return whether an outage is over with it."""
        if self._was_up and not self._away:
            return False
        with self._lock:
            ends, self._away = self._away, False
            self._was_up = True
        if ends and self._messages[1]:
            self._log.info("%s", self._messages[1])
        return ends
