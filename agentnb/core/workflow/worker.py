"""A worker: threads of this process that do the tasks of some agents."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Self

from agentnb.core.errors import AgentnbError, DeadlineExceeded
from agentnb.core.ranges import end_of, seconds
from agentnb.core.work.identity import describe, new_owner
from agentnb.core.workflow.ending import give_back
from agentnb.core.workflow.heart import Heart
from agentnb.core.workflow.link import listed
from agentnb.core.workflow.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.workflow.base import Base

__all__ = ["Worker"]

_LOOK = 0.02
_LEFT = "state in ('waiting', 'delayed', 'active')"


class Worker(Slots):
    """The worker of an orchestrator in this process; made by `Orchestrator.work`.

    Parameters
    ----------
    orchestrator
        The orchestrator.
    agents
        Whose tasks it does; None for all that this process registers, now and later.
    concurrency
        How many tasks it does at once.
    kind
        ``kernel``, or ``process`` for a worker process.

    Attributes
    ----------
    running
        The attempts that run here, by task and entry.
    """

    def __init__(
        self,
        orchestrator: Base,
        agents: Sequence[str] | None = None,
        *,
        concurrency: int = 4,
        kind: str = "kernel",
    ) -> None:
        super().__init__()
        self.orchestrator = orchestrator
        self.concurrency = concurrency
        self.kind = kind
        self.lease = orchestrator.lease
        self.owner = new_owner()
        self.running = {}
        self._named = None if agents is None else tuple(agents)
        self._heart = Heart(self)

    @property
    def name(self) -> str:
        """Its process's id and a few letters, as `TaskInfo.worker` has them."""
        return describe(self.owner)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents whose tasks it does."""
        named = self._named
        return tuple(sorted(self.orchestrator.registry.here())) if named is None else named

    def serve(self, agents: Sequence[str]) -> None:
        """Do the tasks of these agents from now on."""
        if tuple(agents) != self._named:
            self._named = tuple(agents)
            self._heart.look()
            self.orchestrator.bell.ring()

    def start(self) -> None:
        """Begin to take tasks.

        Raises
        ------
        AgentnbError
            The database cannot be written to.
        """
        self._heart.start()
        with self._turning:
            for _ in range(self.concurrency):
                self._add_thread()
        self.orchestrator.tell("worker started", worker=self.name, concurrency=self.concurrency)

    def same(self, agents: Sequence[str] | None, concurrency: int) -> bool:
        """Return whether another worker for these would be the same."""
        return self._named == agents and self.concurrency == concurrency

    @property
    def working(self) -> bool:
        """Whether it takes tasks."""
        return bool(self._threads) and not self._stopping

    @property
    def busy(self) -> int:
        """How many tasks run here now."""
        return sum(not one.settled for one in list(self.running.values()))

    def look(self) -> None:
        """Have it look now whether something of its own was cancelled."""
        self._heart.look()

    def stop(self, timeout: float = 30.0) -> bool:
        """Take no more tasks, and wait for those that run; what does not end is given back.

        What was given back runs elsewhere, or here when there is a worker again, and the attempt
        is not counted. Its thread may run on, and what comes of it does not count.

        Parameters
        ----------
        timeout
            Seconds to wait for what runs.

        Returns
        -------
        bool
            Whether everything ended by itself.
        """
        seconds("timeout", timeout, service="workflow", zero=True)
        with self._turning:
            if not self.working:
                return True
            self._stopping = True
        orchestrator = self.orchestrator
        orchestrator.bell.ring()
        until = monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - monotonic(), 0.0))
        left = [one for one in list(self.running.values()) if one.settle()]
        for attempt in left:
            attempt.stop(lost=True)
            orchestrator.tell(
                "task is given back",
                level=logging.WARNING,
                context=attempt.context,
                task=attempt.task.name,
            )
            with suppress(AgentnbError), orchestrator.link.write() as turn:  # then its lease ends
                give_back(turn, attempt.claimed.fence)
        with suppress(AgentnbError):  # as above
            self._heart.stop()
        orchestrator.tell("worker stopped", worker=self.name)
        orchestrator.happened({one.task.agent: 1 for one in left})
        return not left

    def drain(
        self,
        timeout: float | None = None,
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Wait until no task of its agents waits, runs or is delayed, whoever does them.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        on_progress
            Called with how many are left, whenever that changes.

        Raises
        ------
        DeadlineExceeded
            There are still some.
        """
        until = end_of(timeout, service="workflow")
        told: int | None = None
        while left := self.left():
            if on_progress is not None and left != told:
                told = left
                on_progress(left)
            if until is not None and monotonic() >= until:
                raise DeadlineExceeded(
                    f"{left} tasks have not ended within {timeout:g} s",
                    service="workflow",
                    hint="%workflow list shows whose",
                )
            sleep(_LOOK)

    def left(self) -> int:
        """Return how many tasks of its agents wait, run or are delayed."""
        agents = self.agents
        if not agents:
            return 0
        marks, values = listed(agents)
        sql = (
            f"select count(*) from {{task}} where scope = :scope and {_LEFT} and agent in ({marks})"
        )
        with self.orchestrator.link.read() as turn:
            row = turn.row(sql, scope=self.orchestrator.scope, **values)
        return int(row[0]) if row else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        if not self.working:
            return "Worker(stopped)"
        busy = self.busy
        what = f"{busy} running" if busy else "idle"
        threads = "1 thread" if self.concurrency == 1 else f"{self.concurrency} threads"
        return f"Worker({', '.join(self.agents) or 'no agents'}; {threads}, {what})"
