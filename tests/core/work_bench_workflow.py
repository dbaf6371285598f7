"""The tasks of an agent, as the fault suite of stores of work tries them."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING

from agentnb.core.codec import Kept
from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task
from agentnb.core.workflow.journal import Journal

from .work_benches import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGENT = "bench"
_NUMBERS = itertools.count(1)
_DATABASES: set[str] = set()
_LOOK = "select state, entry, attempt, deaths, result, error from {task} where id = :id"
_AGAIN = """
update {task} set state = 'waiting', attempt = 0, result = null, finished = null where id = :id
"""


class WorkflowBench:
    """The store of an agent's tasks, each in a workflow of its own; see `MemoryBench`."""

    def __init__(self, workflows) -> None:
        self.workflows = workflows
        self._made = {}
        workflows.agent(_AGENT, backoff=0.01)(lambda task: task.data)

    def store(self, lease: float = 30.0):
        """Return a store as another worker has it."""
        store = self.workflows._make_store(lambda: (_AGENT,))
        store.lease = lease
        return store

    def add(self, *, attempts: int = 3, delay: float = 0.0) -> str:
        """Add a task."""
        task = Task("t", agent=_AGENT, attempts=attempts, delay=delay)
        workflow = self.workflows.create("bench", [task])
        unit = workflow.task("t").id
        self._made[unit] = workflow
        return unit

    def look(self, unit: str) -> Seen:
        """Return a task."""
        with self.workflows._transactions.read() as tx:
            state, entry, attempt, deaths, result, error = tx.row(_LOOK, id=unit)
        value = None if result is None else json.loads(result)
        return Seen(state, entry, attempt, deaths, value, error)

    def value(self, text: str) -> Kept:
        """Return the result of an outcome."""
        return Kept(json.dumps(text).encode())

    def note(self, store, claim, line: str) -> bool:
        """Write a line of the task's log."""
        return Journal(self.workflows._transactions, claim.payload).log(line, line)

    def cancel(self, unit: str) -> None:
        """Cancel the task's workflow."""
        self._made[unit].cancel()

    def retry(self, unit: str) -> None:
        """Let a task run again; the engine does not mind that a completed one never does."""
        if self.look(unit).state != "completed":
            self._made[unit].retry()
            return
        with self.workflows._transactions.write() as tx:
            tx.run(_AGAIN, id=unit)


def sqlite_bench(request) -> Iterator[WorkflowBench]:
    """Yield a bench on a new SQLite file."""
    folder = request.getfixturevalue("tmp_path")
    yield from _bench(f"sqlite:///{folder}/work.db")


def postgres_bench(request) -> Iterator[WorkflowBench]:
    """Yield a bench in a scope of its own, on a PostgreSQL database that all of them share."""
    server = request.getfixturevalue("postgres_url")
    name = f"work_benches_{os.getpid()}"
    url = server.replace("/postgres?", f"/{name}?")
    if url not in _DATABASES:
        import psycopg

        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        _DATABASES.add(url)
    yield from _bench(url, scope=f"bench-{next(_NUMBERS)}")


def _bench(url: str, scope: str = "bench") -> Iterator[WorkflowBench]:
    with Orchestrator(Database(url), scope=scope, owns_database=True) as workflows:
        workflows.migrate()
        yield WorkflowBench(workflows)
