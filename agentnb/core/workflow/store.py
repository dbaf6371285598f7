"""The tasks that one worker can claim, in the database: what the execution engine asks for."""

from __future__ import annotations

import socket
import threading
from time import monotonic, time
from typing import TYPE_CHECKING

import msgspec

from agentnb.core.errors import AgentnbError
from agentnb.core.work.backoff import Backoff
from agentnb.core.work.identity import host_of_owners, is_dead
from agentnb.core.work.schedules.firing import FiringTimer
from agentnb.core.work.store import (
    ActiveUnit,
    Began,
    Claim,
    Finished,
    Key,
    LeaseReport,
    OutcomeKind,
    Pending,
    Pulse,
    Sign,
)
from agentnb.core.workflow import completion, parking, pulses
from agentnb.core.workflow.claiming import REF, Claimed, TaskRef, due, has_limits, promote, task_ref
from agentnb.core.workflow.claiming import claim as claim_task
from agentnb.core.workflow.deadlines import next_deadline
from agentnb.core.workflow.schedules import next_firing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.failure import Failure
    from agentnb.core.work.store import Outcome, WorkerInfo
    from agentnb.core.work.wakeup import Wakeup
    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.transactions import Transaction, Transactions

__all__ = ["SqlWorkStore"]

_HEARTBEAT = 5.0
_CONTENDED = 0.02
_FORGOTTEN = 3600.0
_ON_THEIR_WAY = 60.0
_JOIN = """
insert into {worker} (scope, owner, agents, kind, concurrency, lease, heartbeat, shared,
  host, executor, started)
values (:scope, :owner, :agents, :kind, :concurrency, :lease, {clock}, :shared,
  :host, :executor, :started)
on conflict (scope, owner) do update set agents = excluded.agents, heartbeat = excluded.heartbeat,
  shared = excluded.shared
"""
_LEAVE = "delete from {worker} where scope = :scope and owner = :owner"
_FORGET = """
delete from {worker} where scope = :scope and (heartbeat < {clock} - :seconds or (owner = :owner
  and not exists (select 1 from {task} t where t.scope = :scope and t.state = 'active'
  and t.owner = :owner)))
"""
_REF = ", ".join(f"t.{column}" for column in REF.split(", "))
_ACTIVE = f"""
select {_REF},
  (select traceparent from {{workflow}} f where f.id = t.workflow_id),
  (select correlation_id from {{workflow}} f where f.id = t.workflow_id),
  (select name from {{workflow}} f where f.id = t.workflow_id),
  t.cancel, coalesce(w.shared, 0), w.heartbeat + w.lease - {{clock}},
  {{clock}} - p.begun, p.silent - {{clock}}, p.process
from {{task}} t left join {{worker}} w on w.scope = t.scope and w.owner = t.owner
  left join {{pulse}} p on p.task_id = t.id and p.entry = t.entry
where t.scope = :scope and t.state = 'active' and (t.owner = :owner
  or w.owner is null or w.heartbeat + w.lease < {{clock}} or substr(t.owner, 1, :length) = :host)
"""
_PENDING = """
select case when t.max_parallel = 0 and t.state <> 'active' then 'paused' else t.state end, count(*)
from {agents} join {task} t on t.agent = a.agent and t.scope = :scope
  and t.state in ('waiting', 'delayed', 'active', 'parked')
group by 1
"""


class SqlWorkStore:
    """The tasks of some agents, for one worker.

    A worker has one heartbeat, which is the lease of all tasks that it runs.

    Parameters
    ----------
    transactions, scope
        The database.
    registry
        Knows the agents of this process.
    agents
        Returns the names of the agents whose tasks the worker claims now.
    wakeup
        Wakes the worker when a task could run.
    lease
        Seconds that a silent worker keeps its tasks.
    on_commit
        Called with the tasks that could run now by agents after something was committed, and
        whether those who wait here are to look at once.
    fire_due
        Fires the schedules and deadlines that are due, and returns the seconds until the next.
    """

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        registry: Registry,
        *,
        agents: Callable[[], tuple[str, ...]],
        wakeup: Wakeup,
        lease: float,
        on_commit: Callable[[dict[str, int], bool], object],
        fire_due: Callable[[], float | None],
    ) -> None:
        self.lease = lease
        self._transactions = transactions
        self._scope = scope
        self._registry = registry
        self._agents = agents
        self._wakeup = wakeup
        self._on_commit = on_commit
        self._firing = FiringTimer(fire_due)
        self._of_thread = threading.local()
        self._limited: bool | None = None
        self._held: dict[str, tuple[int, float]] = {}
        self._about: WorkerInfo | None = None
        self._known: tuple[str, ...] | None = None
        self._next = 0.0
        self._next_by_clock = 0.0

    # The worker

    def join(self, owner: str, about: WorkerInfo) -> None:
        """Record the worker and its agents."""
        self._about = about
        self._next = 0.0
        self._transactions.clock.on_advance(self._advanced)
        self._beat(owner)

    def leave(self, owner: str) -> None:
        """Remove the worker from the record."""
        self._wakeup.unlisten()
        with self._transactions.write() as tx:
            tx.run(_LEAVE, scope=self._scope, owner=owner)

    def _beat(self, owner: str) -> None:
        agents, about = self._agents(), self._about
        # The clock of leases goes on while a machine sleeps, and the other does not.
        early = monotonic() < self._next and time() < self._next_by_clock
        if about is None or (early and agents == self._known):
            return
        # Its own row alone: a heartbeat waits for no transaction of another worker.
        self._transactions.run(
            _JOIN,
            scope=self._scope,
            owner=owner,
            agents=msgspec.json.encode(agents).decode(),
            kind=about.kind,
            concurrency=about.concurrency,
            lease=self.lease,
            shared=int(about.shared),
            host=socket.gethostname(),
            executor=about.executor,
            started=about.started or None,
        )
        self._registry.save(self._transactions, agents)
        if agents != self._known:
            self._wakeup.listen(agents)
        self._known = agents
        pause = min(_HEARTBEAT, self.lease / 4)
        self._next = monotonic() + pause
        self._next_by_clock = time() + pause

    def renew(self, owner: str, running: Sequence[Key]) -> LeaseReport:
        """Write the heartbeat where it is due, and return the state of all leases."""
        self._beat(owner)
        self._forget_ended(running)
        agents = self._agents()
        host = host_of_owners()
        values = {"scope": self._scope, "owner": owner, "host": host, "length": len(host)}
        with self._transactions.read() as tx:
            rows = tx.rows(_ACTIVE, **values)
            soon = self._due(tx, agents, look=True) if agents else None
            firing = _first(next_firing(tx, self._scope), next_deadline(tx, self._scope))
        self._firing.set(firing)
        if soon is not None and soon <= 0:
            with self._transactions.write() as tx:
                promote(tx, self._scope, agents)
        mine: dict[Key, tuple[TaskRef, int]] = {}
        others = []
        found: dict[Key, Pulse] = {}
        for *row, cancel, shared, left, age, silent, process in rows:
            ref = task_ref(row)
            if ref.owner == owner:
                mine[Key(ref.id, ref.entry)] = (ref, cancel)
                if process is not None:
                    found[Key(ref.id, ref.entry)] = Pulse(float(age), float(silent), process)
            else:
                ends = -1.0 if left is None else float(left)
                others.append(_held(ref, ends, shared=bool(shared)))
        known = set(running)
        return LeaseReport(
            lost=[key for key in running if key not in mine],
            cancelled=[key for key in running if key in mine and mine[key][1]],
            unknown=[_held(ref, self.lease) for key, (ref, _) in mine.items() if key not in known],
            others=others,
            due=self._firing.until(soon),
            pulses=found,
        )

    # Tasks

    def claim(self, owner: str) -> Claim | float | None:
        """Claim the first task that could run."""
        self._of_thread.seen = self._wakeup.count
        agents = self._agents()
        if not agents:
            return None
        with self._transactions.read() as tx:
            soon = self._due(tx, agents)
        if soon is None or soon > 0:
            return self._firing.until(soon)
        return self._claim_now(owner, agents, promoted=True)

    def _claim_now(
        self, owner: str, agents: tuple[str, ...], *, promoted: bool = False
    ) -> Claim | float | None:
        with self._transactions.write(once=True) as tx:
            if promoted:
                promote(tx, self._scope, agents)
            claimed = self._claim_task(tx, agents, owner)
        if claimed is not None:
            return _claim(claimed)
        if tx.contended:
            self._limited = None
        return _CONTENDED if tx.contended else None

    def _claim_task(self, tx: Transaction, agents: tuple[str, ...], owner: str) -> Claimed | None:
        held = {unit: entry for unit, (entry, _) in list(self._held.items())}
        known = self._registry.known
        limited = self._limited is not False
        claimed = claim_task(tx, self._scope, agents, owner, known, held=held, limited=limited)
        if claimed is not None:
            self._held[claimed.ref.id] = (claimed.ref.entry, monotonic())
        return claimed

    def _forget_ended(self, running: Sequence[Key]) -> None:
        """Forget the entries of claims that run no longer, except of those on their way."""
        known, now = {key.id for key in running}, monotonic()
        for unit, (_, since) in list(self._held.items()):
            if unit not in known and now - since > _ON_THEIR_WAY:
                self._held.pop(unit, None)

    def finish(self, claim: Claim, outcome: Outcome, *, then_claim: bool) -> Finished:
        """End an attempt, and claim the next task."""
        claimed: Claimed = claim.payload
        following: Claim | float | None = None
        # SQLite has one writer: two transactions would only wait for each other.
        together = then_claim and not self._transactions.postgres
        agents = self._agents() if then_claim else ()
        # The end of a completed task is one message; others read before they write.
        once = outcome.kind is OutcomeKind.COMPLETED
        with self._transactions.write(once=once) as tx:
            done = self._end(tx, claimed.ref, outcome)
            state = done.state if done is not None else completion.ended_state(tx, claimed.ref)
            if together and agents:
                found = self._claim_task(tx, agents, claim.owner)
                following = None if found is None else _claim(found)
        if then_claim and agents and not together:
            try:
                self._of_thread.seen = self._wakeup.count
                following = self._claim_now(claim.owner, agents)
            except AgentnbError:
                following = None  # the outcome is kept, and the next claim says what it is
        self._announce(claimed, done, following)
        return Finished(state, following)

    def _end(self, tx: Transaction, ref: TaskRef, outcome: Outcome) -> completion.Completion | None:
        failure = outcome.failure
        if outcome.kind is OutcomeKind.COMPLETED:
            kept = outcome.value
            return completion.complete(tx, self._scope, ref, kept.data, outcome.ms, kept.unkept)
        if outcome.kind is OutcomeKind.SUSPENDED:
            return parking.park(tx, self._scope, ref)
        if outcome.kind is OutcomeKind.RELEASED or failure is None:
            return completion.release(tx, self._scope, ref)
        if outcome.kind is OutcomeKind.RETRY:
            return completion.retry(tx, self._scope, ref, failure, pause=outcome.delay)
        cancelled = outcome.kind is OutcomeKind.CANCELLED
        return completion.fail(tx, self._scope, ref, failure, cancelled=cancelled)

    def _announce(
        self, claimed: Claimed, done: completion.Completion | None, following: Claim | float | None
    ) -> None:
        """Wake those who could do what is ready, the worker's own next task left out."""
        ref, ready = claimed.ref, dict(done.ready) if done is not None else {}
        if claimed.limited:  # one more task of its agent may run now
            ready[ref.agent] = ready.get(ref.agent, 0) + 1
        following_ref = following.payload.ref if isinstance(following, Claim) else None
        if following_ref is not None and ready.get(following_ref.agent):
            ready[following_ref.agent] -= 1
        ready = {agent: number for agent, number in ready.items() if number}
        # Where the workflow is bounded, one more of its tasks may run now.
        turned = following_ref is None or following_ref.workflow_id != ref.workflow_id
        self._on_commit(ready, bool(ready) or done is None or done.last or turned)

    def release(self, claim: Claim | ActiveUnit) -> bool:
        """Put a task back at its first place, without counting the attempt."""
        ref: TaskRef = getattr(claim.payload, "ref", claim.payload)
        with self._transactions.write() as tx:
            done = completion.release(tx, self._scope, ref)
        if done is not None:
            self._on_commit(done.ready, True)  # noqa: FBT003 - see the parameter
        return done is not None

    def reclaim(self, held: ActiveUnit, failure: Failure, *, counted: bool) -> str | None:
        """Take a task from a worker that is gone."""
        ref: TaskRef = getattr(held.payload, "ref", held.payload)
        with self._transactions.write() as tx:
            if not counted:
                done = completion.release(tx, self._scope, ref, failure)
            elif held.attempt >= held.attempts:
                done = completion.fail(tx, self._scope, ref, failure, own=False)
            else:
                done = completion.retry(tx, self._scope, ref, failure, own=False)
            owner = held.owner if is_dead(held.owner) else ""
            tx.run(_FORGET, scope=self._scope, owner=owner, seconds=_FORGOTTEN)
        if done is None:
            return None
        # Where its agent has a limit, one more of its tasks may run now.
        self._on_commit({ref.agent: 1} | done.ready, True)  # noqa: FBT003 - as above
        return done.state

    def due(self) -> float | None:
        """Return the seconds until the next task could run; None for none."""
        with self._transactions.read() as tx:
            return self._due(tx, self._agents(), look=True)

    def _due(self, tx: Transaction, agents: tuple[str, ...], *, look: bool = False) -> float | None:
        # A limit that is set meanwhile is seen by the claim itself.
        if look or self._limited is None:
            self._limited = has_limits(tx, self._scope)
        return due(tx, self._scope, agents, limited=self._limited)

    # Attempts in other processes

    def begin(self, key: Key, owner: str, by: str, lease: float) -> Claim | Began:
        """Begin the attempt at a task, in the process that runs it."""
        with self._transactions.write() as tx:
            found = pulses.begin(tx, key, owner, by, lease)
        return found if isinstance(found, Began) else _claim(found)

    def unpack(self, key: Key, owner: str, attempt: int, unit: bytes) -> Claim:
        """Refuse: a task is read from the database where it runs."""
        raise NotImplementedError

    def touch(self, key: Key, owner: str, lease: float) -> Sign:
        """Note a sign of life of an attempt, and return what its worker wants."""
        with self._transactions.write() as tx:
            return pulses.touch(tx, key, owner, lease)

    def pulse(self, key: Key, owner: str) -> Pulse | None:
        """Return the last sign of life of an attempt, None if it was not begun."""
        del owner  # no entry is used twice
        with self._transactions.read() as tx:
            return pulses.pulse(tx, key)

    def fire_due(self) -> None:
        """Fire what is due of the schedules, and note when the next one is."""
        self._firing.fire()

    def _advanced(self) -> None:
        """Look for what is due by a clock that was moved."""
        self.fire_due()
        self.wake()

    def pending(self) -> Pending:
        """Return how many tasks of the worker's agents wait, run or are delayed.

        Those of paused workflows that do not run are counted apart: nothing is done about them.
        """
        agents = msgspec.json.encode(self._agents()).decode()
        with self._transactions.read() as tx:
            found = {
                str(state): int(n)
                for state, n in tx.rows(_PENDING, scope=self._scope, agents=agents)
            }
        parked, paused = found.pop("parked", 0), found.pop("paused", 0)
        left = sum(found.values())
        return Pending(left, delayed=found.get("delayed", 0), parked=parked, paused=paused)

    # Waiting

    def wait(self, seconds: float) -> None:
        """Return when a task may be ready, or after some seconds."""
        seen = getattr(self._of_thread, "seen", self._wakeup.count)
        self._wakeup.wait(seen, seconds)

    def wake(self) -> None:
        """Let the thread that waits return now; the lease keeper calls it when work is due."""
        self._firing.look()
        self._wakeup.notify()


def _first(*seconds: float | None) -> float | None:
    return min((one for one in seconds if one is not None), default=None)


def _claim(claimed: Claimed) -> Claim:
    ref = claimed.ref
    return Claim(
        ref.id,
        ref.entry,
        ref.owner,
        ref.attempt,
        ref.attempts,
        Backoff(claimed.backoff),
        claimed.timeout,
        ref.deaths,
        claimed,
        _waited(claimed),
    )


def _waited(claimed: Claimed) -> float | None:
    info = claimed.info
    if claimed.ref.entry > 1 or info.ready_at is None or info.started is None:
        return None
    return (info.started - info.ready_at).total_seconds()


def _held(ref: TaskRef, left: float, *, shared: bool = False) -> ActiveUnit:
    return ActiveUnit(
        *(ref.id, ref.entry, ref.owner, ref.attempt, ref.attempts, left, ref.deaths, shared),
        payload=ref,
    )
