"""The workers of one process: they die together, so they share a gate and know of each other."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from agentnb.core.forking import ForkGuard, new_lock
from agentnb.core.work.gate import Gate

if TYPE_CHECKING:
    from agentnb.core.work.worker import Worker

__all__ = ["Company", "of_process"]


class Company:
    """The workers of this process that claim units, whatever their stores.

    A store sees its own units only: of two workers that died with their process, each for a
    queue of its own, either seems to have run its unit alone. So each records that it shares its
    process.

    Attributes
    ----------
    gate
        Admits the attempts of all of them.
    """

    def __init__(self) -> None:
        self.gate = Gate()
        self._lock = new_lock()
        self._workers: weakref.WeakSet[Worker] = weakref.WeakSet()

    def join(self, worker: Worker) -> list[Worker]:
        """Add a worker, and return those that were there before."""
        with self._lock:
            others = [one for one in self._workers if one is not worker]
            self._workers.add(worker)
            return others

    def leave(self, worker: Worker) -> None:
        """Remove a worker."""
        with self._lock:
            self._workers.discard(worker)


_company = Company()
_guard = ForkGuard()
_creating = new_lock()


def of_process() -> Company:
    """Return the company of this process; a forked child has another than its parent.

    >>> of_process() is of_process()
    True
    """
    global _company  # noqa: PLW0603 - a process has one, as it has one death
    with _creating:
        if _guard.forked:
            _company = Company()
            _guard.reset()
        return _company
