"""Waits until the queues are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import UnavailableError

if TYPE_CHECKING:
    from agentnb.cli.worker.show import Screen
    from agentnb.core.queue import Queue

__all__ = ["Draining"]


class Draining:
    """Counts the jobs that are left in some queues, those of other workers too.

    Parameters
    ----------
    queues
        The queues.
    screen
        Shows the number.
    """

    def __init__(self, queues: list[Queue], screen: Screen) -> None:
        self._queues = queues
        self._screen = screen
        self._warned: set[str] = set()
        self._first = sum(queue.counts().ended for queue in queues)

    def done(self) -> bool:
        """Show how far it is, and return whether nothing waits, runs or is delayed."""
        try:
            counts = [queue.counts() for queue in self._queues]
        except UnavailableError:
            return False  # the workers say so
        for queue, one in zip(self._queues, counts, strict=True):
            if one["paused"] and queue.name not in self._warned:
                self._warned.add(queue.name)
                self._screen.say(f"{queue.name}  {queue.why_waiting()}")
        ended = sum(one.ended for one in counts) - self._first
        left = sum(one.left for one in counts)
        self._screen.progress(ended, ended + left)
        return not left
