"""A workflow is made, with its tasks and the event of it, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.ranges import refused, whole
from agentnb.core.trace import current
from agentnb.core.workflow.deadlines import limit_of
from agentnb.core.workflow.errors import UnfitTask
from agentnb.core.workflow.graph import frees_of
from agentnb.core.workflow.ids import new_id
from agentnb.core.workflow.keys import Input, check_key, find, record
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.registry import UNKNOWN, Unknown
from agentnb.core.workflow.spec import Task, check_words, task_of, text
from agentnb.core.workflow.transactions import plain

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.codec import Json
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.deadlines import Limit
    from agentnb.core.workflow.keys import Record
    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.transactions import Transaction, Transactions

__all__ = ["Creator", "check_name_of_workflow", "insert_children"]

# Made, cancelled and put back in one transaction each, of some ten seconds.
_MOST_TASKS = 100_000
_PATIENCE = 60.0  # seconds for thousands of tasks on a server that is far away
_TASKS_A_SECOND = 500

_WORKFLOW = """
insert into {workflow} (id, scope, name, key, state, data, max_parallel, pending, created,
  deadline, traceparent, correlation_id)
values (:id, :scope, :name, :key, 'active', :data, :max_parallel, :pending, {now},
  :deadline, :traceparent, :correlation_id)
"""
_TASK = """
insert into {task} (id, workflow_id, place, scope, name, agent, state, needs, frees, missing, data,
  attempt, attempts, entry, deaths, own_attempts, own_timeout, priority, delay,
  timeout, backoff, max_parallel, approval, cancel, message,
  created, due, ready_at)
values (:id, :workflow_id, :place, :scope, :name, :agent, :state, :needs, :frees, :missing, :data,
  0, :attempts, 0, 0, :own_attempts, :own_timeout, :priority, :delay,
  :timeout, :backoff, :max_parallel, :approval, 0, '',
  {now}, :due, :ready_at)
"""

_CHILD = _TASK.replace("(id,", "(parent, id,").replace("(:id,", "(:parent, :id,")


class Creator:
    """Makes workflows.

    Parameters
    ----------
    transactions, scope
        The database.
    registry
        Knows the agents.
    json
        Encodes values.
    key_ttl
        Seconds that an idempotency key is kept.
    log
        The log of workflows.
    """

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        registry: Registry,
        json: Json,
        *,
        key_ttl: float,
        log: logging.LoggerAdapter[Any],
    ) -> None:
        self._transactions = transactions
        self._scope = scope
        self._registry = registry
        self._json = json
        self._key_ttl = key_ttl
        self._log = log

    def create(
        self,
        name: str,
        tasks: Iterable[Task | Mapping[str, Any]],
        *,
        key: str | None,
        max_parallel: int | None,
        data: Any,
        correlation_id: str | None,
        deadline: Any = None,
        unknown: Unknown = "refuse",
        claim: Callable[[Transaction, str], bool] | None = None,
        within: Transaction | None = None,
    ) -> tuple[str, dict[str, int]] | None:
        """Make a workflow, or find the one of its key.

        Parameters
        ----------
        name, tasks, key, max_parallel, data, correlation_id, deadline, unknown
            As `Orchestrator.create` takes them.
        claim
            Called with the transaction and the id; its False makes nothing. The key then only
            names the workflow: it is not recorded.
        within
            The transaction of the caller in which it is made; None for one of its own.

        Returns
        -------
        tuple or None
            Its id, and how many tasks could run at once, by their agents; None if ``claim`` was
            False.
        """
        name = check_name_of_workflow(name)
        check_key(key)
        max_parallel, correlation_id = _options(max_parallel, correlation_id)
        if unknown not in get_args(Unknown):
            raise refused("unknown", "refuse or wait", unknown, "workflow", "unknown='wait'")
        limit = limit_of(deadline)
        given = _checked(tasks)
        frees = frees_of(given)
        encoded = self._json.encode(data).decode()
        named, key = key, None if claim is not None else key
        asked = None if key is None else self._input(name, encoded, max_parallel, given, limit)
        with self._transactions.read() if within is None else nullcontext(within) as tx:
            known = None if key is None else find(tx, self._scope, key, self._key_ttl)
            if key is not None and known is not None and asked is not None:
                return self._made_before(tx, key, known, asked), {}
            agents = self._agents(tx, given, unknown)
            ends = None if limit is None else limit.after(tx.now())
        rows = self._rows(given, agents, frees)
        here = current()
        number = new_id()
        workflow = {
            "id": number,
            "scope": self._scope,
            "name": name,
            "key": named,
            "data": encoded,
            "max_parallel": max_parallel,
            "pending": len(rows),
            "deadline": ends,
            "traceparent": here.traceparent if here else None,
            "correlation_id": correlation_id
            if correlation_id is not None or here is None
            else here.correlation_id,
        }
        made = False
        self._registry.save(
            within or self._transactions, {task.agent for task in given} & agents.keys()
        )
        patience = _PATIENCE + len(rows) / _TASKS_A_SECOND
        with (
            suppress(_NotClaimedError),
            self._transactions.write(patience) if within is None else nullcontext(within) as tx,
        ):
            if key is not None and asked is not None:
                known = record(tx, self._scope, key, number, asked.digest, ttl=self._key_ttl)
                if known is not None:
                    return self._made_before(tx, key, known, asked), {}
            if claim is not None and not claim(tx, number):
                raise _NotClaimedError
            self._insert(tx, workflow, rows)
            made = True
        if not made:
            return None
        self._say_unknown(workflow, agents.values())
        ready: Counter[str] = Counter(
            row["agent"] for row in rows if row["state"] in {"waiting", "delayed"}
        )
        return number, dict(ready)

    def _say_unknown(self, workflow: dict[str, Any], agents: Iterable[Agent]) -> None:
        for agent in agents:
            if agent.module == UNKNOWN:
                self._log.warning(
                    "workflow %s (%s) waits for agent %s: %s",
                    *(workflow["name"], workflow["id"], agent.name, UNKNOWN),
                )

    def children(self, tasks: Iterable[Task | Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows of tasks that another spawns, for `insert_children`.

        Raises
        ------
        UsageError
            They cannot be made, or one needs another.
        """
        given = _checked(tasks)
        if needing := [task.name for task in given if task.needs]:
            raise UsageError(
                f"child {needing[0]!r} has needs=: a child can run when it is spawned",
                service="workflow",
                hint="spawn it once those that it needs have ended",
            )
        twice = [name for name, n in Counter(task.name for task in given).items() if n > 1]
        if twice:
            raise UsageError(
                f"two children are called {twice[0]!r}",
                service="workflow",
                hint="key= names each item: ctx.map(agent, items, key=lambda item: item['id'])",
            )
        with self._transactions.read() as tx:
            agents = self._agents(tx, given)
        rows = self._rows(given, agents, [[] for _ in given])
        self._registry.save(self._transactions, {task.agent for task in given} & agents.keys())
        return rows

    def check(
        self,
        name: str,
        tasks: Iterable[Task | Mapping[str, Any]],
        *,
        max_parallel: int | None,
        correlation_id: str | None,
    ) -> list[tuple[Task, bytes]]:
        """Return the tasks of a workflow with their data, if `create` would make it."""
        check_name_of_workflow(name)
        _options(max_parallel, correlation_id)
        given = _checked(tasks)
        frees = frees_of(given)
        with self._transactions.read() as tx:
            agents = self._agents(tx, given)
        rows = self._rows(given, agents, frees)
        self._registry.save(self._transactions, {task.agent for task in given} & agents.keys())
        return [(task, row["data"].encode()) for task, row in zip(given, rows, strict=True)]

    def _insert(
        self, tx: Transaction, workflow: dict[str, Any], rows: list[dict[str, Any]]
    ) -> None:
        tx.run(_WORKFLOW, **workflow)
        _insert_tasks(tx, rows, workflow)
        number, name = workflow["id"], workflow["name"]
        note(tx, self._scope, number, "WORKFLOW_CREATED", name=name, tasks=len(rows))
        for row in rows:
            if row["state"] == "approval":
                task = {"task_id": row["id"], "task": row["name"]}
                note(tx, self._scope, number, "TASK_APPROVAL", **task)

    def _input(
        self, name: str, data: str, max_parallel: int | None, given: list[Task], limit: Limit | None
    ) -> Input:
        """Return the input of a workflow as it is compared with that of an earlier one."""
        tasks = []
        for place, task in enumerate(given):
            with _of_task(place, task):
                values = self._json.encode(task.data).decode()
            tasks.append(
                (
                    *(task.name, task.agent, values, msgspec.json.encode(task.needs).decode()),
                    *(task.priority, float(task.delay), int(task.approval)),
                    task.attempts,
                    None if task.timeout is None else float(task.timeout),
                )
            )
        return Input(name, data, max_parallel, tasks, None if limit is None else limit.word)

    def _made_before(self, tx: Transaction, key: str, known: Record, asked: Input) -> str:
        """Return the id of the workflow that was made with a key, if it is of this input."""
        known.check(tx, key, asked)
        if known.state in {"failed", "cancelled"}:
            self._log.warning(
                "key %s is workflow %s (%s), which %s: nothing was made; retry() runs it again",
                *(key, known.name, known.workflow),
                "failed" if known.state == "failed" else "was cancelled",
            )
        return known.workflow

    def _agents(
        self, tx: Transaction, given: list[Task], unknown: Unknown = "refuse"
    ) -> dict[str, Agent]:
        found: dict[str, Agent] = {}
        for place, task in enumerate(given):
            if task.agent not in found:
                with _of_task(place, task):
                    found[task.agent] = self._registry.options(tx, task.agent, unknown)
        return found

    def _rows(
        self, given: list[Task], agents: dict[str, Agent], frees: list[list[int]]
    ) -> list[dict[str, Any]]:
        rows = []
        for place, task in enumerate(given):
            agent = agents[task.agent]
            with _of_task(place, task):
                data = self._json.encode(task.data, agent.schema).decode()
            rows.append(_row(task, agent, data, frees[place]))
        return rows


class _NotClaimedError(Exception):
    """The transaction that would make a workflow is undone."""


def _options(max_parallel: Any, correlation_id: Any) -> tuple[int | None, str | None]:
    if max_parallel is not None:
        max_parallel = whole("max_parallel", max_parallel, service="workflow", most=100_000)
    if correlation_id is not None:
        correlation_id = plain(text("correlation_id", correlation_id))
    return max_parallel, correlation_id


def check_name_of_workflow(name: Any) -> str:
    """Return a workflow's name, if it can be one: words in one line."""
    return check_words(name, "a workflow", "new app")


def _checked(tasks: Iterable[Task | Mapping[str, Any]]) -> list[Task]:
    if not isinstance(tasks, Iterable):
        raise UsageError(
            f"tasks must be a list of tasks, got a {type(tasks).__name__}",
            service="workflow",
            hint='create(name, [Task("plan"), Task("api", needs=["plan"])])',
        )
    # There may be no end of them.
    given = [task_of(one) for one in islice(tasks, _MOST_TASKS + 1)]
    if not 0 < len(given) <= _MOST_TASKS:
        raise UsageError(
            f"tasks must be 1 to {_MOST_TASKS:,} tasks, got {'more' if given else 'none'}",
            service="workflow",
            hint='create(name, [Task("plan"), Task("api", needs=["plan"])])',
        )
    return given


@contextmanager
def _of_task(place: int, task: Task) -> Iterator[None]:
    """Say of which task it is that something is wrong with."""
    try:
        yield
    except UsageError as error:
        raise UnfitTask(
            f"task {task.name}: {error.message}", hint=error.hint, place=place
        ) from error


def _row(task: Task, agent: Agent, data: str, frees: list[int]) -> dict[str, Any]:
    return {
        "name": task.name,
        "agent": task.agent,
        "needs": msgspec.json.encode(task.needs).decode(),
        "frees": msgspec.json.encode(frees).decode() if frees else None,
        "missing": len(task.needs),
        "data": data,
        "attempts": agent.attempts if task.attempts is None else task.attempts,
        "own_attempts": int(task.attempts is not None),
        "own_timeout": int(task.timeout is not None),
        "priority": task.priority,
        "delay": float(task.delay),
        "timeout": agent.timeout if task.timeout is None else float(task.timeout),
        "backoff": agent.backoff,
        "approval": int(task.approval),
    }


def _insert_tasks(tx: Transaction, made: list[dict[str, Any]], workflow: dict[str, Any]) -> None:
    _place(tx, made, workflow)
    tx.many(_TASK, made)


def insert_children(
    tx: Transaction,
    made: list[dict[str, Any]],
    workflow: str,
    scope: str,
    max_parallel: int | None,
    *,
    parent: str,
    first: int,
) -> None:
    """Insert tasks that another has spawned, and complete their rows, in a transaction.

    Parameters
    ----------
    made
        The rows, as `Creator.rows` returns them.
    workflow, scope, max_parallel
        Those of the parent.
    parent
        The id of the task that spawns them.
    first
        The place of the first one.
    """
    _place(tx, made, {"id": workflow, "scope": scope, "max_parallel": max_parallel}, first)
    tx.many(_CHILD, [{**row, "parent": parent} for row in made])
    tx.run("update {workflow} set pending = pending + :n where id = :id", id=workflow, n=len(made))


def _place(
    tx: Transaction, made: list[dict[str, Any]], workflow: dict[str, Any], first: int = 0
) -> None:
    """Give rows their ids, places and states."""
    now = tx.now()
    for place, row in enumerate(made, first):
        state, due = "blocked", None
        if not row["missing"]:
            state = "approval" if row["approval"] else "delayed" if row["delay"] else "waiting"
            due = None if row["approval"] else now + row["delay"]
        row |= {
            "id": f"{workflow['id']}-{place + 1}",
            "workflow_id": workflow["id"],
            "place": place,
            "scope": workflow["scope"],
            "state": state,
            "due": due,
            "ready_at": now if state == "waiting" else None,
            "max_parallel": workflow["max_parallel"],
        }
