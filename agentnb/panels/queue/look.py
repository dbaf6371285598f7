"""One look at the queues: what is asked of the server, never more than a bounded lot."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentnb.core.queue.glance import Glance, glances
from agentnb.panels.queue.rates import Rates, Speed

if TYPE_CHECKING:
    from agentnb.core.queue import Queue, TaskQueue
    from agentnb.core.queue.registry import WorkerInfo

__all__ = ["STATES", "Filter", "Look", "Looker", "QueueLook"]

STATES: Final = ("active", "failed", "waiting", "delayed", "completed", "cancelled")
"""The states, those first that one looks for; a paused queue's waiting jobs are paused."""
LISTED: Final = 500
_EACH = 100  # jobs of each state, where all are listed
_QUEUES = 200
_RUNNING = 500  # jobs of a queue, of which it is told who runs them
_SEARCHED = 100_000
# Looking for jobs may take this share of the time: with a text, and many jobs, it is slow.
_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are shown: those of a queue, in a state, that hold a text; None and "" for all."""

    queue: str | None = None
    state: str | None = None
    text: str = ""

    @property
    def states(self) -> tuple[str, ...]:
        """Return the states that it lets pass."""
        return STATES if self.state is None else (self.state,)


@dataclass(frozen=True, slots=True)
class QueueLook:
    """A queue: its jobs by state, its workers, whether it is paused, why its jobs wait or None.

    `running` are the jobs of each worker by its name: of now, not of its latest sign of life.
    """

    queue: Queue
    counts: dict[str, int]
    workers: list[WorkerInfo]
    running: dict[str, int]
    paused: bool
    why: str | None

    @property
    def waiting(self) -> int:
        """Return how many jobs wait, whether the queue is paused or not."""
        return self.counts["waiting"] + self.counts["paused"]

    def count(self, state: str) -> int:
        """Return how many jobs are in one of `STATES`."""
        return self.waiting if state == "waiting" else self.counts[state]


@dataclass(slots=True)
class Listed:
    """The jobs that pass a filter, and what is to be said of those that are not among them."""

    jobs: list[Glance] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """All that was seen at once."""

    wanted: Filter
    queues: list[QueueLook]
    more: int
    listed: Listed
    speed: Speed


class Looker:
    """Looks at queues again and again; it remembers what it needs to tell how fast they are."""

    def __init__(self) -> None:
        self._rates = Rates()
        self._listed: tuple[Filter, Listed] | None = None
        self._next_listing = 0.0

    def forget(self) -> None:
        """List the jobs anew at the next look, however long that took."""
        self._listed = None

    def look(self, queues: TaskQueue, wanted: Filter) -> Look:
        """Return what is to be seen of the queues, and of the jobs that are wanted."""
        names = queues.names()
        kept = names[:_QUEUES]
        if wanted.queue is not None and wanted.queue not in kept:
            kept.append(wanted.queue)
        seen = [look_at(queues.get_queue(name)) for name in kept]
        chosen = [one for one in seen if wanted.queue in {None, one.queue.name}]
        speed = self._rates.of(
            wanted.queue, [(one.queue, one.counts) for one in chosen], time.monotonic()
        )
        return Look(wanted, seen, len(names) - len(kept), self._list(chosen, wanted), speed)

    def _list(self, chosen: list[QueueLook], wanted: Filter) -> Listed:
        begun = time.monotonic()
        listed = self._listed
        if listed is None or listed[0] != wanted or begun >= self._next_listing:
            listed = self._listed = (wanted, listing(chosen, wanted))
            ended = time.monotonic()
            self._next_listing = ended + (ended - begun) * (1 / _SHARE - 1)
        return listed[1]


def look_at(queue: Queue) -> QueueLook:
    """Return what is to be seen of one queue."""
    counts = queue.counts()
    workers = queue.workers()
    waits = counts["waiting"] + counts["paused"] + counts["delayed"]
    paused = queue.paused
    why = queue.why_waiting() if waits and (paused or not workers) else None
    return QueueLook(queue, counts, workers, _running(queue, counts, workers), paused, why)


def _running(queue: Queue, counts: dict[str, int], workers: list[WorkerInfo]) -> dict[str, int]:
    if counts["active"] > _RUNNING:  # as they said with their latest sign of life
        return {one.name: one.running for one in workers}
    if not (counts["active"] and workers):
        return {}
    return Counter(one.worker for one in glances(queue, "active", n=_RUNNING).jobs)


def listing(chosen: list[QueueLook], wanted: Filter) -> Listed:
    """Return the first jobs of the queues that are wanted, state by state."""
    found = Listed()
    total = looked = searched = 0
    complete = True
    for state in wanted.states:
        room = LISTED if wanted.state else _EACH
        for one in chosen:
            there = one.count(state)
            total += there
            if not there:
                continue
            left = _SEARCHED - searched
            if room <= 0 or left <= 0:
                complete = False
                continue
            part = glances(one.queue, state, wanted.text, n=room, most=left)
            found.jobs += part.jobs
            room -= len(part.jobs)
            looked += part.looked
            searched += part.looked if wanted.text else 0
            complete = complete and part.complete
    if not complete and wanted.text and looked < total:
        found.note = f"found in {looked:,} of {total:,}"
    elif not complete:
        each = "" if wanted.state else " of each state"
        found.note = f"the first {LISTED if wanted.state else _EACH:,}{each}, of {total:,}"
    return found
