"""Workflows are looked up and looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import (
    RejectedError,
    TaskNotFound,
    UsageError,
    WorkflowNotFound,
    did_you_mean,
)
from agentnb.core.hints import rendered
from agentnb.core.ranges import whole
from agentnb.core.trace import parse_traceparent
from agentnb.core.work.identity import is_dead, shared_place
from agentnb.core.workflow.agent_limits import limits_of
from agentnb.core.workflow.forms import OpenWait, open_wait
from agentnb.core.workflow.info import TASK, WORKFLOW_STATES, task_info
from agentnb.core.workflow.spec import shown
from agentnb.core.workflow.tables import why_parked
from agentnb.core.workflow.transactions import listed, plain
from agentnb.core.workflow.waits import ASKED, waited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agentnb.core.workflow.info import TaskInfo
    from agentnb.core.workflow.transactions import Transaction, Transactions
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["COLUMNS", "Reader"]

COLUMNS = (
    "id, name, key, state, data, max_parallel, created, finished, error, traceparent, "
    "correlation_id, paused, deadline"
)
_STATE, _DEADLINE = 3, 12
_TRACE = "(select traceparent from {workflow} w where w.id = workflow_id)"
_ONE = f"select {COLUMNS} from {{workflow}} where scope = :scope and id = :id"
_NEWEST = f"select {COLUMNS} from {{workflow}} where scope = :scope"
_WORKERS = """
select w.owner, w.agents, w.concurrency, (select count(*) from {task} t
  where t.scope = w.scope and t.state = 'active' and t.owner = w.owner)
from {worker} w where w.scope = :scope and w.heartbeat + w.lease >= {clock}
"""
_RESULTS = """
select name, agent, result, unkept from {task} where workflow_id = :id and state = 'completed'
"""
_WAITS = """
select w.workflow_id, t.name, w.name, w.kind, w.question, w.form, w.addressee, w.due, w.created,
  w.error
from {task_wait} w join {task} t on t.id = w.task_id
where w.scope = :scope and w.state = 'open' and w.kind in ('ask', 'sleep', 'event', 'tasks')
  and t.state in ('parked', 'active', 'waiting', 'delayed')
"""
_SHORTEST_PREFIX = 2
_MOST_MARKS = 500
_MOST_ROWS = 10_000_000

_LISTED = (
    "hub.workflows.table() (%workflow list) shows them; prune deletes those that ended long ago"
)


class Reader:
    """Looks at the workflows of a scope.

    Parameters
    ----------
    transactions, scope
        Where they are.
    expire
        Cancels the workflows whose deadline has passed, and returns whether it could.
    """

    def __init__(
        self, transactions: Transactions, scope: str, expire: Callable[[], bool] = lambda: False
    ) -> None:
        self._transactions = transactions
        self._scope = scope
        self._expire = expire

    def _workflows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return rows of workflows; one whose deadline has passed is cancelled before."""
        with self._transactions.read() as tx:
            rows = tx.rows(sql, **values)
            late = [row for row in rows if row[_STATE] == "active" and row[_DEADLINE] is not None]
            if not late or min(row[_DEADLINE] for row in late) > tx.now():
                return rows
        if self._expire():
            with self._transactions.read() as tx:
                rows = tx.rows(sql, **values)
        return rows

    @property
    def where(self) -> str:
        """Return the database and the prefix, as messages name them."""
        return shared_place(self._transactions.where, self._scope)

    def find(self, word: str) -> tuple[Any, ...]:
        """Return a workflow's row by its id, how that alone begins, or the name of the newest.

        Raises
        ------
        NotFoundError
            There is none.
        UsageError
            Several ids begin so.
        """
        if not isinstance(word, str):
            raise UsageError(
                f"a workflow is named by its id, got {shown(word)}",
                service="workflow",
                hint="hub.workflows.list() has the ids",
            )
        word = plain(word)
        rows = self._workflows(_ONE, scope=self._scope, id=word)
        if not rows:
            where = " and name = :name order by created desc, id desc limit 1"
            rows = self._workflows(_NEWEST + where, scope=self._scope, name=word)
        if not rows and len(word) >= _SHORTEST_PREFIX and word.isalnum():
            where = " and id >= :low and id < :high order by id limit 2"
            rows = self._workflows(_NEWEST + where, scope=self._scope, low=word, high=f"{word}~")
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise UsageError(
                f"several workflows begin with {word}", service="workflow", hint="one more letter"
            )
        with self._transactions.read() as tx:
            known = tx.rows(
                "select distinct name from {workflow} where scope = :scope limit 1000",
                scope=self._scope,
            )
        raise WorkflowNotFound(
            f"there is no workflow {shown(word)} on {self.where}",
            service="workflow",
            hint=did_you_mean(word, [row[0] for row in known])
            or "hub.workflows.table() (%workflow list)",
        )

    def row(self, number: str) -> tuple[Any, ...]:
        """Return a workflow's row by its id."""
        found = self._workflows(_ONE, scope=self._scope, id=number)
        if not found:
            raise WorkflowNotFound(
                f"there is no workflow {number} on {self.where}",
                service="workflow",
                hint=_LISTED,
            )
        return found[0]

    def row_within(self, tx: Transaction, number: str) -> tuple[Any, ...]:
        """Return the row of a workflow that was made in a transaction that is open."""
        return tx.rows(_ONE, scope=self._scope, id=number)[0]

    def newest(self, state: str | None, n: int) -> list[tuple[Any, ...]]:
        """Return the rows of the newest workflows, of one state or all, newest first."""
        if state is not None and state not in WORKFLOW_STATES:
            raise UsageError(
                f"no such state: {shown(state)}",
                service="workflow",
                hint=f"states: {', '.join(WORKFLOW_STATES)}",
            )
        n = whole("n", n, service="workflow", least=0, most=_MOST_ROWS)
        where = "" if state is None else " and state = :state"
        return self._workflows(
            f"{_NEWEST}{where} order by created desc, id desc limit :n",
            scope=self._scope,
            **({} if state is None else {"state": state}),
            n=n,
        )

    def counts(self, numbers: list[str]) -> dict[str, dict[str, int]]:
        """Return how many tasks of each state some workflows have, by their ids."""
        found: dict[str, dict[str, int]] = {number: {} for number in numbers}
        if not numbers:
            return found
        marks, values = listed(numbers)
        sql = f"select workflow_id, state, count(*) from {{task}} where workflow_id in ({marks}) "
        with self._transactions.read() as tx:
            for number, state, count in tx.rows(sql + "group by workflow_id, state", **values):
                found[number][state] = count
        return found

    def waited(self, workflows: Iterable[Workflow], now: float) -> dict[str, float]:
        """Return the seconds in which workflows only waited for a person, by their ids.

        Those that no person was asked about are left out.
        """
        ends = {one.id: one.finished.timestamp() if one.finished else now for one in workflows}
        if not ends:
            return {}
        marks, values = listed(list(ends))
        types = "type in ('TASK_APPROVAL', 'TASK_PARKED')"
        asked = f"select distinct workflow_id from {{event}} where {types} and "
        sql = (
            "select workflow_id, type, data, created from {event} where workflow_id in "
            f"({asked}workflow_id in ({marks})) order by seq"
        )
        events: dict[str, list[tuple[str, str, float]]] = {}
        with self._transactions.read() as tx:
            for number, kind, data, created in tx.rows(sql, **values):
                about = msgspec.json.decode(data)
                kind = "TASK_ASKED" if "ask" in about.get("kinds", ()) else kind  # noqa: PLW2901 - of a parked one
                events.setdefault(number, []).append((kind, about.get("task", ""), created))
        return {
            number: waited(found, ends[number])
            for number, found in events.items()
            if any(kind in ASKED for kind, _, _ in found)
        }

    def tasks(self, number: str) -> list[TaskInfo]:
        """Return the tasks of a workflow, in the order in which they were given."""
        sql = f"select {TASK}, {_TRACE} from {{task}} where workflow_id = :id order by place"
        with self._transactions.read() as tx:
            return [_traced(row) for row in tx.rows(sql, id=number)]

    def task(self, number: str, word: str) -> TaskInfo | None:
        """Return a task of a workflow by its name or id, None if there is none."""
        sql = (
            f"select {TASK}, {_TRACE} from {{task}} where workflow_id = :workflow "
            "and (name = :word or id = :word) order by place limit 1"
        )
        with self._transactions.read() as tx:
            row = tx.row(sql, workflow=number, word=plain(word))
        return None if row is None else _traced(row)

    def steps(self, task: str, *, before: float | None = None) -> dict[str, Any]:
        """Return the kept results of a task's steps as plain JSON, by the task's id.

        Parameters
        ----------
        task
            The id of the task.
        before
            Only those kept before this time, in seconds since the epoch; None for all.
        """
        earlier = "" if before is None else "and created < :before "
        sql = "select name, result from {task_step} where task_id = :id "
        values: dict[str, Any] = {} if before is None else {"before": before}
        with self._transactions.read() as tx:
            rows = tx.rows(f"{sql}{earlier}order by created, name", id=task, **values)
        return {name: msgspec.json.decode(text) for name, text in rows}

    def answers(self, task: str) -> dict[str, Any]:
        """Return the answers to a task's questions as plain JSON, by the task's id."""
        sql = "select name, answer from {task_wait} where task_id = :id and kind = 'ask' "
        with self._transactions.read() as tx:
            rows = tx.rows(f"{sql}and state = 'done' order by created, name", id=task)
        return {name: msgspec.json.decode(text) for name, text in rows}

    def waits(self, number: str | None) -> list[tuple[Any, ...]]:
        """Return the open waits of a workflow, or of all, oldest first.

        Those of tasks that have ended are left out.
        """
        where = "" if number is None else "and w.workflow_id = :id "
        values = {} if number is None else {"id": number}
        with self._transactions.read() as tx:
            return tx.rows(
                f"{_WAITS}{where}order by w.created, w.name", scope=self._scope, **values
            )

    def open_waits(self, number: str | None) -> list[OpenWait]:
        """Return the open waits of a workflow, or of all, oldest first."""
        return [open_wait(row) for row in self.waits(number)]

    def log(self, task: str) -> list[str]:
        """Return what the latest attempt at a task has logged, by the task's id."""
        with self._transactions.read() as tx:
            row = tx.row("select log from {task} where id = :id", id=task)
        return row[0].split("\n") if row is not None and row[0] else []

    def results(
        self, number: str, names: Sequence[str] | None = None
    ) -> list[tuple[str, str, str, str | None]]:
        """Return name, agent, result as JSON, and unkept description of completed tasks.

        Parameters
        ----------
        number
            The workflow.
        names
            Only these tasks; None for all, in the order in which they were given.
        """
        sql = f"{_RESULTS} order by place"
        values: dict[str, Any] = {}
        if names is not None:
            values = {"names": msgspec.json.encode(names).decode()}
            sql = f"{_RESULTS} and name {{in_names}}"
        with self._transactions.read() as tx:
            rows = tx.rows(sql, id=number, **values)
        return [(name, agent, result or "null", unkept) for name, agent, result, unkept in rows]

    def result(self, number: str, name: str) -> tuple[str, str, str | None]:
        """Return agent, result as JSON, and unkept description of a completed task.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such task; it is not completed.
        """
        with self._transactions.read() as tx:
            row = tx.row(f"{_RESULTS} and name = :name", id=number, name=name)
            if row is not None:
                return row[1], row[2] or "null", row[3]
            sql = "select name, state from {task} where workflow_id = :id order by place"
            states = dict(tx.rows(sql, id=number))
        if name in states:
            raise RejectedError(
                f"task {shown(name)} of workflow {number} has no result: it is {states[name]}",
                service="workflow",
                hint=f"workflow.task({name!r}) (%workflow show {number} {name}) has its state",
            )
        raise TaskNotFound(
            f"workflow {number} has no task {shown(name)}",
            service="workflow",
            hint=did_you_mean(name, list(states)) or f"it has: {', '.join(states)}",
        )

    def ended(self, numbers: Sequence[str]) -> list[str]:
        """Return which of some workflows have ended, those that are gone among them."""
        active = set()
        for start in range(0, len(numbers), _MOST_MARKS):
            marks, values = listed(numbers[start : start + _MOST_MARKS])
            where = f"where state = 'active' and id in ({marks})"
            active |= {row[0] for row in self._states(where, **values)}
        return [number for number in numbers if number not in active]

    def progress(self, number: str) -> tuple[str, int, float]:
        """Return what changes as a workflow goes on: its state, and marks of its tasks."""
        found = self._states("where id = :id", id=number)
        if not found:
            raise WorkflowNotFound(
                f"there is no workflow {number} on {self.where}",
                service="workflow",
                hint=_LISTED,
            )
        return found[0][1:]

    def _states(self, where: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return id, state, pending tasks and end of workflows, none of which is late."""
        late = "case when state = 'active' and deadline <= {now} then 1 else 0 end"
        sql = f"select id, state, pending, coalesce(finished, 0), {late} from {{workflow}} {where}"
        with self._transactions.read() as tx:
            rows = tx.rows(sql, **values)
        if any(row[-1] for row in rows) and self._expire():
            with self._transactions.read() as tx:
                rows = tx.rows(sql, **values)
        return [row[:-1] for row in rows]

    def events(self, number: str | None, n: int) -> list[tuple[Any, ...]]:
        """Return the last events of a workflow, or of all, oldest first."""
        n = whole("n", n, service="workflow", least=0, most=_MOST_ROWS)
        where = "scope = :scope" if number is None else "scope = :scope and workflow_id = :id"
        sql = f"select created, type, data, id, published, workflow_id from {{event}} where {where}"
        with self._transactions.read() as tx:
            values = {} if number is None else {"id": number}
            rows = tx.rows(f"{sql} order by seq desc limit :n", scope=self._scope, n=n, **values)
        return rows[::-1]

    def open_tasks(self) -> list[tuple[str, str, str, str]]:
        """Return workflow, name, agent and state of the tasks that are not blocked, nor ended."""
        sql = "select workflow_id, name, agent, state from {task} where scope = :scope "
        kinds = "and state in ('approval', 'delayed', 'parked', 'waiting', 'active') order by place"
        with self._transactions.read() as tx:
            rows = tx.rows(sql + kinds, scope=self._scope)
        return [(number, name, agent, state) for number, name, agent, state in rows]

    def unpublished(self) -> int:
        """Return how many events stand in the outbox."""
        sql = "select count(*) from {event} where scope = :scope and published is null"
        with self._transactions.read() as tx:
            return int(tx.rows(sql, scope=self._scope)[0][0])

    def agents_at_work(self) -> set[str]:
        """Return the agents that live workers serve."""
        with self._transactions.read() as tx:
            return set(self.served(tx))

    def served(self, tx: Transaction) -> dict[str, int]:
        """Return how many more tasks the live workers of each agent would take now."""
        rows = tx.rows(_WORKERS, scope=self._scope)
        found: dict[str, int] = {}
        for owner, agents, concurrency, busy in rows:
            if not is_dead(owner):
                for agent in msgspec.json.decode(agents):
                    found[agent] = found.get(agent, 0) + max(concurrency - busy, 0)
        return found

    def why_waiting(self, number: str, state: str) -> str:
        """Return why a workflow does not move and what to do, or nothing if it moves."""
        if state != "active":
            return ""
        sql = "select state, name, agent from {task} where workflow_id = :id and state in "
        kinds = "('approval', 'delayed', 'parked', 'waiting', 'active') order by place"
        with self._transactions.read() as tx:
            rows = tx.rows(sql + kinds, id=number)
            paused = tx.row("select paused from {workflow} where id = :id", id=number)
            served = self.served(tx)
            full = {one.agent: one.reason for one in limits_of(tx, self._scope) if one.reason}
        if any(row[0] == "active" for row in rows):
            return ""
        if paused is not None and paused[0] is not None:
            return rendered(f"it is paused: workflow.resume() (%workflow resume {number})")
        ready = [row for row in rows if row[0] in {"waiting", "delayed"}]
        limited = [row[2] for row in ready if row[0] == "waiting" and row[2] in full]
        if limited and len(limited) == len(ready) and limited[0] in served:
            return f"tasks of agent {limited[0]} wait: {full[limited[0]]}"
        if any(served.get(row[2]) or (row[0] == "delayed" and row[2] in served) for row in ready):
            return ""
        if busy := [row[2] for row in ready if row[2] in served]:
            return (
                f"all workers of agent {busy[0]} are busy with other tasks: it waits for one, "
                "or hub.workflows.work(concurrency=N) does more at once"
            )
        if ready:
            return self._no_worker(ready[0][2])
        return self._why_held(number, rows, served)

    def _why_held(
        self, number: str, rows: Sequence[tuple[Any, ...]], served: Mapping[str, int]
    ) -> str:
        """Return for whom or what the tasks of a workflow wait that no worker could run."""
        held = [row[1] for row in rows if row[0] == "approval"]
        if held:
            return rendered(
                f"task {held[0]} waits for an approval: look at workflow.task({held[0]!r}).data "
                f"(%workflow show {number} {held[0]}), then workflow.approve({held[0]!r}) "
                f"(%workflow approve {number} {held[0]})"
            )
        waits = self.waits(number)
        # A person can answer without a worker; times and events go by in front of nobody.
        parked = [row[2] for row in rows if row[0] == "parked"]
        if parked and not served.keys() & parked and all(wait[3] != "ask" for wait in waits):
            return self._no_worker(parked[0])
        return why_parked(number, waits)

    def _no_worker(self, agent: str) -> str:
        return (
            f"no worker serves agent {agent} on {self.where}: start one: "
            f"agentnb worker --agents {agent} --app MODULE, or hub.workflows.work()"
        )


def _traced(row: Sequence[Any]) -> TaskInfo:
    """Return the task of a row that ends with the ``traceparent`` of its workflow."""
    *known, traceparent = row
    context = parse_traceparent(traceparent)
    found = task_info(known)
    return found if context is None else replace(found, trace_id=context.trace_id)
