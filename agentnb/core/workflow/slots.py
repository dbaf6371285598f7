"""The threads of a worker: each does one task after the other."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, ConfigError, UnavailableError
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.workflow.attempt import Attempt
from agentnb.core.workflow.claiming import claim, due
from agentnb.core.workflow.ending import After, complete, fail, give_back

if TYPE_CHECKING:
    from agentnb.core.workflow.base import Base
    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.link import Turn

__all__ = ["Slots"]

_POLL = 1.0
_AWAY = 0.5
_SOON = 0.01


class Slots:
    """The part of a `Worker` that does tasks."""

    orchestrator: Base
    owner: str
    running: dict[tuple[str, int], Attempt]

    def __init__(self) -> None:
        self._stopping = False
        self._turning = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._away = False

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents whose tasks it does."""
        raise NotImplementedError

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="agentnb-worker", daemon=True)
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _work(self) -> None:
        claimed: Claimed | None = None
        while claimed is not None or (claimed := self._next()) is not None:
            attempt = Attempt(self.orchestrator, claimed)
            key = (claimed.info.id, claimed.entry)
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
        return found, _SOON if turn.contended else _POLL

    def _say_away(self, error: AgentnbError) -> None:
        if not self._away:
            self._away = True
            self.orchestrator.log.warning("tasks cannot be read: %s", error)

    def _end(self, attempt: Attempt) -> Claimed | None:
        """Keep what came of an attempt, and take the next task in the same transaction."""
        told = False
        while True:
            try:
                return self._kept(attempt)
            except (UnavailableError, ConfigError) as error:
                # The database is at fault, and not what came of the attempt.
                if not told:
                    told = True
                    said = "what came of task %s cannot be kept yet: %s"
                    self.orchestrator.log.warning(said, attempt.task.name, error)
                if self._stopping:
                    return None  # the heartbeat ends, and with it the lease
                self.orchestrator.bell.wait(self.orchestrator.bell.count, _AWAY)
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
                if attempt.unkeep(error):
                    continue
                if attempt.final:
                    self.orchestrator.log.warning("the end of a task cannot be kept: %s", error)
                    return None  # its heart finds that nobody runs it, and gives it back
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
                kept = attempt.result
                after = complete(turn, orchestrator.scope, claimed, kept.data, ms, kept.unkept)
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
        # One more of the workflow that this thread turns from may run now, where that is bounded.
        turns = following is None or following.info.workflow_id != claimed.info.workflow_id
        ended = after is None or after.last or turns
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
        level, message = {
            None: (logging.WARNING, "task is not this worker's any more"),
            "delayed": (logging.WARNING, "task is tried again"),
            "failed": (logging.ERROR, "task failed"),
        }.get(outcome, (logging.INFO, f"task {outcome}"))
        data: dict[str, Any] = {}
        if failure is not None:
            data = {"attempt": task.attempt, "left": task.attempts - task.attempt}
            data["error"] = failure.error
        self.orchestrator.tell(
            message,
            level=level,
            context=attempt.context,
            workflow=task.workflow_id,
            task=task.name,
            task_id=task.id,
            agent=task.agent,
            ms=ms,
            **data,
        )
