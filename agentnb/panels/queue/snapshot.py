"""A snapshot of the queues, by a bounded number of calls however many jobs there are."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from agentnb.panels.queue.rates import Rates, Speed

if TYPE_CHECKING:
    from agentnb.core.queue import Batch, Queue, Queues
    from agentnb.core.queue.arguments import State
    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.queue.registry import WorkerInfo
    from agentnb.core.queue.search import JobSummary
    from agentnb.core.work.schedules.schedule import ScheduleInfo

__all__ = ["STATES", "Filter", "Poller", "QueueSnapshot", "Snapshot"]

STATES: Final = ("active", "failed", "waiting", "delayed", "completed", "cancelled")
"""The states in the order of the list; the waiting jobs of a paused queue are paused."""
LISTED: Final = 500
_EACH = 100  # jobs of each state, where all are listed
_QUEUES = 200
_BATCHES = 20
_RUNNING = 500  # active jobs of a queue that are counted by worker
_SEARCHED = 100_000
# Looking for jobs may take this share of the time: with a text, and many jobs, it is slow.
_SHARE = 0.2
_LONGEST_PAUSE = 5.0  # also after a look during which the machine was busy or asleep


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of jobs: those of a queue, in a state, that hold a text; None and "" for all."""

    queue: str | None = None
    state: str | None = None
    text: str = ""

    @property
    def states(self) -> tuple[str, ...]:
        """Return the states that it lets pass."""
        return STATES if self.state is None else (self.state,)


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """A queue at one moment.

    Attributes
    ----------
    overview
        Its jobs by state and its workers.
    running
        How many jobs each worker runs, by its name: of now, not of its latest heartbeat.
    """

    overview: QueueOverview
    running: dict[str, int]

    @property
    def queue(self) -> Queue:
        """The queue."""
        return self.overview.queue

    @property
    def counts(self) -> Counts:
        """The number of jobs by state."""
        return self.overview.counts

    @property
    def workers(self) -> list[WorkerInfo]:
        """The workers that are alive."""
        return self.overview.workers

    def count(self, state: str) -> int:
        """Return how many jobs are in one of `STATES`."""
        return self.counts.waiting if state == "waiting" else self.counts[state]


@dataclass(slots=True)
class Listed:
    """The first jobs that pass a filter, and a note about those that are left out."""

    jobs: list[JobSummary] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The queues, their schedules, jobs that pass a filter and batches, at one moment."""

    request: Filter
    queues: list[QueueSnapshot]
    more: int
    listed: Listed
    speed: Speed
    batches: list[Batch]
    schedules: list[ScheduleInfo]


class Poller:
    """Takes snapshots again and again, and computes from each two how fast the queues are."""

    def __init__(self) -> None:
        self._rates = Rates()
        self._listed: tuple[Filter, Listed] | None = None
        self._next_listing = 0.0

    def forget(self) -> None:
        """List the jobs anew at the next snapshot, however long that took."""
        self._listed = None

    def poll(self, queues: Queues, request: Filter) -> Snapshot:
        """Return a snapshot of the queues, and of the jobs that pass a filter."""
        names = queues.names()
        kept = names[:_QUEUES]
        if request.queue is not None and request.queue not in kept:
            kept.append(request.queue)
        seen = [QueueSnapshot(one, _running(one)) for one in queues.overview(kept)]
        chosen = [one for one in seen if request.queue in {None, one.queue.name}]
        speed = self._rates.of(
            request.queue, [(one.queue, one.counts) for one in chosen], time.monotonic()
        )
        more, listed = len(names) - len(kept), self._list(chosen, request)
        batches = chosen[0].queue.batches(_BATCHES) if request.queue and chosen else []
        schedules = [one for one in queues.schedule_infos() if request.queue in {None, one.target}]
        return Snapshot(request, seen, more, listed, speed, batches, schedules)

    def _list(self, chosen: list[QueueSnapshot], request: Filter) -> Listed:
        begun = time.monotonic()
        listed = self._listed
        if listed is None or listed[0] != request or begun >= self._next_listing:
            listed = self._listed = (request, listing(chosen, request))
            ended = time.monotonic()
            self._next_listing = ended + min((ended - begun) * (1 / _SHARE - 1), _LONGEST_PAUSE)
        return listed[1]


def _running(seen: QueueOverview) -> dict[str, int]:
    active = seen.counts["active"]
    if active > _RUNNING:  # as their latest heartbeats have it
        return {one.name: one.running for one in seen.workers}
    if not (active and seen.workers):
        return {}
    return Counter(one.worker for one in seen.queue.search("active", n=_RUNNING).jobs)


def listing(chosen: list[QueueSnapshot], request: Filter) -> Listed:
    """Return the first jobs of some queues that pass a filter, state by state."""
    found = Listed()
    total = looked = searched = 0
    complete = True
    for state in request.states:
        room = LISTED if request.state else _EACH
        for one in chosen:
            there = one.count(state)
            total += there
            if not there:
                continue
            left = _SEARCHED - searched
            if room <= 0 or left <= 0:
                complete = False
                continue
            part = one.queue.search(cast("State", state), request.text, n=room, most=left)
            found.jobs += part.jobs
            room -= len(part.jobs)
            looked += part.looked
            searched += part.looked if request.text else 0
            complete = complete and part.complete
    if not complete and request.text and looked < total:
        found.note = f"found in {looked:,} of {total:,}"
    elif not complete:
        each = "" if request.state else " of each state"
        found.note = f"the first {LISTED if request.state else _EACH:,}{each}, of {total:,}"
    return found
