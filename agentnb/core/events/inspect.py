"""Counts the events of a bus's log and its dead letters, for panels and magics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from agentnb.core.events.dead import DeadLetters
    from agentnb.core.events.log import EventLog

__all__ = ["EventInspector"]


@refuse_unknown("events")
class EventInspector:
    """Asks the server for the sizes of a bus's log and of its dead letters.

    Parameters
    ----------
    event_log, dead
        The log, and the dead letters.
    """

    def __init__(self, event_log: EventLog, dead: DeadLetters) -> None:
        self._event_log = event_log
        self._dead = dead

    def log_size(self) -> int:
        """Return the number of events in the log."""
        return self._event_log.size()

    def dead_letter_count(self) -> int:
        """Return the number of dead letters."""
        return self._dead.size()
