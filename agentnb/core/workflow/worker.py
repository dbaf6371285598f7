"""A worker: threads of this process that do the tasks of some agents."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.owner import describe, new_owner
from agentnb.core.workflow.attempt import Attempt
from agentnb.core.workflow.claiming import claim, due
from agentnb.core.workflow.ending import After, complete, fail, give_back
from agentnb.core.workflow.heart import Heart
from agentnb.core.workflow.link import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.workflow.base import Base
    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.link import Turn

__all__ = ["Worker"]

_POLL = 1.0
_AWAY = 0.5
_LOOK = 0.02
_LEFT = "state in ('waiting', 'delayed', 'active')"


class Worker:
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
        The attempts that run here, by task and number of the attempt.
    """

    def __init__(
        self,
        orchestrator: Base,
        agents: Sequence[str] | None = None,
        *,
        concurrency: int = 4,
        kind: str = "kernel",
    ) -> None:
        self.orchestrator = orchestrator
        self.concurrency = concurrency
        self.kind = kind
        self.lease = orchestrator.lease
        self.owner = new_owner()
        self.running: dict[tuple[str, int], Attempt] = {}
        self._named = None if agents is None else tuple(agents)
        self._stopping = False
        self._turning = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._heart = Heart(self)
        self._away = False

    @property
    def name(self) -> str:
        """Its process's id and a few letters, as `TaskInfo.worker` has them."""
        return describe(self.owner)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents whose tasks it does."""
        return self._named if self._named is not None else self.known()

    def known(self) -> tuple[str, ...]:
        """Return those of its agents whose function this process has registered."""
        here = self.orchestrator.registry.here()
        return tuple(sorted(here if self._named is None else {*here} & {*self._named}))

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

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="agentnb-worker", daemon=True)
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

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

    def _work(self) -> None:
        claimed: Claimed | None = None
        while claimed is not None or (claimed := self._next()) is not None:
            attempt = Attempt(self.orchestrator, claimed)
            key = (claimed.info.id, claimed.info.attempt)
            self.running[key] = attempt
            attempt.run()
            if not attempt.settle():
                self.running.pop(key, None)
                return  # another thread has taken this one's place
            claimed = self._end(attempt)
            self.running.pop(key, None)

    def _next(self) -> Claimed | None:
        """Wait until there is a task, and take it; None once it is over."""
        bell = self.orchestrator.bell
        while not self._stopping:
            seen = bell.count
            try:
                found, pause = self._try()
            except AgentnbError as error:
                self._say_away(error)
                found, pause = None, _AWAY
            else:
                self._away = False
            if found is not None:
                return found
            bell.wait(seen, pause)
        return None

    def _try(self) -> tuple[Claimed | None, float]:
        orchestrator, agents = self.orchestrator, self.agents
        if not agents:
            return None, _POLL
        with orchestrator.link.read() as turn:
            seconds = due(turn, orchestrator.scope, agents)
        if seconds is None or seconds > 0:
            return None, _POLL if seconds is None else min(seconds, _POLL)
        with orchestrator.link.write() as turn:
            found = claim(turn, orchestrator.scope, agents, self.owner)
        return found, _POLL

    def _say_away(self, error: AgentnbError) -> None:
        if not self._away:
            self._away = True
            self.orchestrator.log.warning("tasks cannot be read: %s", error)

    def _end(self, attempt: Attempt) -> Claimed | None:
        """Keep what came of an attempt, and take the next task in the same transaction."""
        while True:
            try:
                return self._kept(attempt)
            except UnavailableError as error:
                self._say_away(error)
                if self._stopping:
                    return None  # the heartbeat ends, and with it the lease
                self.orchestrator.bell.wait(self.orchestrator.bell.count, _AWAY)
            except AgentnbError as error:
                if attempt.final:
                    self.orchestrator.log.exception("the end of a task cannot be kept")
                    return None
                attempt.failure = Failure.of(
                    error, attempt.task.attempt, self.orchestrator.redactor
                )
                attempt.final = True

    def _kept(self, attempt: Attempt) -> Claimed | None:
        orchestrator, claimed = self.orchestrator, attempt.claimed
        ms = (monotonic() - attempt.began) * 1000
        following = None
        after: After | None = None
        with orchestrator.link.write() as turn:
            if attempt.failure is None:
                after = complete(turn, orchestrator.scope, claimed, attempt.result, ms)
                outcome = "completed" if after is not None else None
            else:
                outcome = self._fail(turn, attempt, attempt.failure)
            if not self._stopping:
                following = claim(turn, orchestrator.scope, self.agents, self.owner)
        self._tell(attempt, outcome, ms)
        ready = after.ready if after is not None else {}
        if following is not None and ready.get(following.info.agent):
            ready[following.info.agent] -= 1  # that is this thread's own
        ready = {agent: count for agent, count in ready.items() if count}
        ended = after is None or after.last or following is None
        orchestrator.happened(ready, ring=bool(ready) or ended)
        return following

    def _fail(self, turn: Turn, attempt: Attempt, failure: Failure) -> str | None:
        if attempt.cancelled:
            failure = Failure(CANCELLED, attempt.task.attempt)
        return fail(
            turn,
            self.orchestrator.scope,
            attempt.claimed,
            failure,
            cancelled=attempt.cancelled,
            final=attempt.final,
        )

    def replace(self, attempt: Attempt) -> None:
        """Let an attempt fail whose thread does not come back, and have another thread instead."""
        with self._turning:
            if not self._stopping:
                self._add_thread()
        threading.Thread(
            target=self._end_left, args=(attempt,), name="agentnb-end", daemon=True
        ).start()

    def _end_left(self, attempt: Attempt) -> None:
        claimed = self._end(attempt)
        if claimed is not None:
            with suppress(AgentnbError), self.orchestrator.link.write() as turn:
                give_back(turn, claimed.fence)

    def _tell(self, attempt: Attempt, outcome: str | None, ms: float) -> None:
        task, failure = attempt.task, attempt.failure
        words = {
            None: "task is not this worker's any more",
            "delayed": "task is tried again",
        }.get(outcome, f"task {outcome}")
        data: dict[str, Any] = {}
        if failure is not None:
            data = {"attempt": task.attempt, "left": task.attempts - task.attempt}
            data["error"] = failure.error
        self.orchestrator.tell(
            words,
            workflow=task.workflow_id,
            task=task.name,
            task_id=task.id,
            agent=task.agent,
            ms=ms,
            **data,
        )

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
            orchestrator.tell("task is given back", level="warning", task=attempt.task.name)
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
        until = None if timeout is None else monotonic() + timeout
        told: int | None = None
        while left := self.left():
            if on_progress is not None and left != told:
                told = left
                on_progress(left)
            if until is not None and monotonic() >= until:
                raise DeadlineExceeded(
                    f"{left} tasks have not ended within {timeout:g} s",
                    service="workflows",
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
            row = turn.row(f"{sql} and {_LEFT}", scope=self.orchestrator.scope, **values)
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
