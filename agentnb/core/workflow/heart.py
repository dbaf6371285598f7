"""The heart of a worker: a thread that shows that it lives, and looks after what has been left.

- Its own heartbeat, which is the lease of all that the worker has taken.
- A task of ours that was cancelled, or is another's by now: its attempt is told.
- A task of ours that nobody here runs: its handing over was cut off; it is given back.
- A task that takes too long in a thread: the attempt has failed, and the thread is left behind.
- A task whose worker is dead, on this host at once, elsewhere once its lease has run out: the
  attempt is used up.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import AgentnbError
from agentnb.core.failure import CANCELLED, DIED, Failure
from agentnb.core.work.identity import describe, is_dead
from agentnb.core.workflow.claiming import Claimed
from agentnb.core.workflow.ending import fail, give_back
from agentnb.core.workflow.info import TASK, task_info

if TYPE_CHECKING:
    from agentnb.core.workflow.link import Turn
    from agentnb.core.workflow.worker import Worker

__all__ = ["Heart"]

ROUND = 0.5
"""Seconds between two looks."""
_SIGN = 5.0
_STRANGE = 2.0
_SECOND_LOOK = 0.3
_ASYNC_GRACE = 5.0
_FORGOTTEN = 3600.0

_BEAT = """
insert into {worker} (scope, owner, agents, kind, concurrency, lease, heartbeat)
values (:scope, :owner, :agents, :kind, :concurrency, :lease, {now})
on conflict (scope, owner) do update set agents = excluded.agents, heartbeat = excluded.heartbeat
"""
_OURS = """
select id, entry, cancel from {task} where scope = :scope and state = 'active' and owner = :owner
"""
_COLUMNS = ", ".join(f"t.{column}" for column in TASK.split(", "))
_OTHERS = f"""
select {_COLUMNS}, t.owner, t.entry, t.backoff, t.frees, t.place, t.cancel,
  w.heartbeat + w.lease - {{now}}, w.heartbeat,
  (select traceparent from {{workflow}} f where f.id = t.workflow_id),
  (select correlation_id from {{workflow}} f where f.id = t.workflow_id)
from {{task}} t left join {{worker}} w on w.scope = t.scope and w.owner = t.owner
where t.scope = :scope and t.state = 'active' and t.owner <> :owner
"""


class Heart:
    """The heart of a worker.

    Parameters
    ----------
    worker
        The worker.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._orchestrator = worker.orchestrator
        self._mine = {"scope": worker.orchestrator.scope, "owner": worker.owner}
        self._wake = threading.Event()
        self._stopped = False
        self._next = 0.0
        self._next_by_clock = 0.0
        self._said: tuple[str, ...] = ()
        self._strange: dict[tuple[Any, ...], float] = {}
        self._away = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin: the worker is known, and what the dead have left can be taken, after this.

        Raises
        ------
        AgentnbError
            The database cannot be written to.
        """
        self._beat()
        self._look_at_others()
        self._thread = threading.Thread(target=self._run, name="agentnb-heart", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Have it look now."""
        self._wake.set()

    def stop(self) -> None:
        """End it, and let the worker be forgotten."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)
        with self._orchestrator.link.write() as turn:
            sql = "delete from {worker} where scope = :scope and owner = :owner"
            turn.run(sql, **self._mine)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(ROUND)
            self._wake.clear()
            if self._stopped:
                return
            try:
                self._end_overdue()
                self._beat()
                self._look_at_ours()
                self._look_at_others()
            except AgentnbError as error:
                if not self._away:
                    self._away = True
                    self._orchestrator.log.warning("no heartbeat: %s", error)
                continue
            if self._away:
                self._away = False
                self._orchestrator.log.info("the heart beats again")

    def _beat(self) -> None:
        worker = self._worker
        agents = worker.agents
        # The clock of leases goes on while a machine sleeps, and the other does not.
        early = monotonic() < self._next and time() < self._next_by_clock
        if early and agents == self._said:
            return
        with self._orchestrator.link.write() as turn:
            self._orchestrator.registry.write(turn, agents)
            turn.run(
                _BEAT,
                agents=msgspec.json.encode(agents).decode(),
                kind=worker.kind,
                concurrency=worker.concurrency,
                lease=worker.lease,
                **self._mine,
            )
        if agents != self._said:
            self._orchestrator.bell.listen(agents)
        self._said = agents
        pause = min(_SIGN, worker.lease / 4)
        self._next = monotonic() + pause
        self._next_by_clock = time() + pause

    def _look_at_ours(self) -> None:
        # First those here: what is taken after that is not missed below.
        here = dict(self._worker.running)
        with self._orchestrator.link.read() as turn:
            rows = turn.rows(_OURS, **self._mine)
        there = {(row[0], row[1]): row[2] for row in rows}
        for key, attempt in here.items():
            if attempt.settled or attempt.stopped:
                continue
            if key not in there:
                attempt.stop(lost=True)
            elif there[key]:
                attempt.stop(lost=False)
        self._give_back_strange(there)

    def _give_back_strange(self, there: dict[tuple[str, int], int]) -> None:
        now = monotonic()
        strange = {key: self._strange.get(key, now) for key in there}
        for key in list(strange):
            if key in self._worker.running:
                del strange[key]
            elif now - strange[key] > _STRANGE:
                fence = {"id": key[0], "entry": key[1], "owner": self._worker.owner}
                with self._orchestrator.link.write() as turn:
                    give_back(turn, fence)
                self._orchestrator.bell.ring()
        self._strange = {
            **strange,
            **{key: at for key, at in self._strange.items() if key[0] == "expired"},
        }

    def _end_overdue(self) -> None:
        now = monotonic()
        for attempt in list(self._worker.running.values()):
            grace = _ASYNC_GRACE if attempt.is_async else 0.0
            if attempt.overdue is None or now < attempt.overdue + grace or not attempt.settle():
                continue
            words = attempt.too_long("its thread may run on, and what comes of it does not count")
            attempt.failure = Failure(str(words), attempt.task.attempt)
            attempt.stop(lost=True)
            self._worker.replace(attempt)

    def _look_at_others(self) -> None:
        with self._orchestrator.link.read() as turn:
            rows = turn.rows(_OTHERS, **self._mine)
        expired: dict[tuple[Any, ...], float] = {}
        for row in rows:
            *info, owner, entry, backoff, frees, place, cancel, left, beat, trace, said = row
            if not is_dead(owner):
                if left is not None and left >= 0:
                    continue
                # Twice, since its worker may have slept as long as we have.
                key = ("expired", owner, beat)
                expired[key] = self._strange.get(key, monotonic())
                if left is not None and monotonic() - expired[key] < _SECOND_LOOK:
                    continue
            claimed = Claimed(
                task_info(info), owner, entry, None, backoff, frees, place, trace, said
            )
            self._expire(claimed, cancelled=bool(cancel))
        self._strange = {
            **{key: at for key, at in self._strange.items() if key[0] != "expired"},
            **expired,
        }

    def _expire(self, claimed: Claimed, *, cancelled: bool) -> None:
        task, orchestrator = claimed.info, self._orchestrator
        failure = Failure(CANCELLED if cancelled else DIED, task.attempt)
        with orchestrator.link.write() as turn:
            state = fail(
                turn, orchestrator.scope, claimed, failure, cancelled=cancelled, wait=False
            )
            if is_dead(claimed.owner):
                _forget(turn, orchestrator.scope, claimed.owner)
        if state is None:
            return
        orchestrator.tell(
            "task was left by its worker",
            level=logging.WARNING,
            context=claimed.context,
            workflow=task.workflow_id,
            task=task.name,
            agent=task.agent,
            attempt=task.attempt,
            worker=describe(claimed.owner),
            state=state,
        )
        orchestrator.happened({task.agent: 1} if state == "delayed" else {})


def _forget(turn: Turn, scope: str, owner: str) -> None:
    sql = "delete from {worker} where scope = :scope and (owner = :owner or heartbeat < {now} - :s)"
    turn.run(sql, scope=scope, owner=owner, s=_FORGOTTEN)
