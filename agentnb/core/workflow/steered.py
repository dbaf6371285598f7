"""The part of an orchestrator that finds workflows, steers them and forgets them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from agentnb.core.ranges import seconds
from agentnb.core.workflow.pruning import prune
from agentnb.core.workflow.spec import text
from agentnb.core.workflow.telling import event_table, workflow_table
from agentnb.core.workflow.workflow import Workflow
from agentnb.core.workflow.working import Working

if TYPE_CHECKING:
    from agentnb.core.table import Table

__all__ = ["Steered"]


class Steered(Working):
    """The part of an `Orchestrator` for workflows that are there; parameters as there."""

    def get(self, workflow: str | Workflow) -> Workflow:
        """Return a workflow by its id, by how its id alone begins, or the newest of a name.

        Raises
        ------
        NotFoundError, UsageError
            There is none, or there are several.
        """
        if isinstance(workflow, Workflow):
            return workflow.refresh()
        return Workflow(self, self.reader.find(workflow))

    def _of(self, number: str) -> Workflow:
        return Workflow(self, self.reader.row(number))

    def wait(self, workflow: str | Workflow, timeout: float | None = None) -> Workflow:
        """Wait until a workflow has ended, and return it.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.

        Raises
        ------
        NotFoundError
            There is no such workflow.
        TaskFailed
            It failed or was cancelled.
        DeadlineExceeded
            It has not ended in time; it goes on. The hint says what it waits for.
        """
        self.loop.check()
        return self._wait(self._held(workflow), timeout, threading.Event())

    async def await_(self, workflow: str | Workflow, timeout: float | None = None) -> Workflow:  # noqa: ASYNC109 - as wait
        """Await the end of a workflow; see `wait`."""
        left = threading.Event()
        try:
            return await asyncio.to_thread(lambda: self._wait(self._held(workflow), timeout, left))
        finally:
            left.set()

    def _held(self, workflow: str | Workflow) -> Workflow:
        return workflow if isinstance(workflow, Workflow) else self.get(workflow)

    def table(self, state: str | None = None, n: int = 50) -> Table:
        """Return the newest workflows with how far they are, as `list` does."""
        found = self.list(state, n)
        return workflow_table(found, self.reader.counts([one.id for one in found]))

    def list(self, state: str | None = None, n: int = 50) -> list[Workflow]:
        """Return the newest workflows, of one state or all, newest first; `table` shows them."""
        return [Workflow(self, row) for row in self.reader.newest(state, n)]

    def events(self, workflow: str | Workflow | None = None, n: int = 100) -> Table:
        """Return the last events of a workflow, or of all, oldest first."""
        number = None if workflow is None else self.get(workflow).id
        return event_table(self.reader.events(number, n))

    def cancel(self, workflow: str | Workflow, reason: str = "cancelled") -> Workflow:
        """End what has not begun, and ask what runs to stop: `Context.check_cancelled` raises.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow; it has ended.
        """
        found = self.get(workflow)
        self.steering.cancel(found.id, self.redactor(text("reason", reason)))
        self.happened({})
        if self.worker is not None:
            self.worker.look()
        return found.refresh()

    def retry(self, workflow: str | Workflow, task: str | None = None) -> Workflow:
        """Let what failed or was cancelled run again with all its attempts, and what it held up.

        Results of tasks and steps that are there are not made again.

        Parameters
        ----------
        task
            Only this one of them, and those that it needs; default: all. A task that is done, but
            whose result could not be kept, runs again if it is named here.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow or task; it has not failed.
        """
        found = self.get(workflow)
        self.happened(self.steering.retry(found.id, task))
        return found.refresh()

    def forget(self, workflow: str | Workflow, task: str, step: str) -> Workflow:
        """Forget the kept result of a step, so that the next attempt at its task calls it again.

        Parameters
        ----------
        task, step
            Their names.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow, task or step; the task is running.
        """
        found = self.get(workflow)
        self.steering.forget(found.id, task, step)
        return found.refresh()

    def approve(self, workflow: str | Workflow, task: str, by: str | None = None) -> Workflow:
        """Let a task run that waits for a person.

        Parameters
        ----------
        by
            Who says so; default: the user that this process runs as.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow or task; the task waits for no approval.
        """
        found = self.get(workflow)
        self.happened(self.steering.approve(found.id, task, text("by", by or _user())))
        return found.refresh()

    def reject(
        self, workflow: str | Workflow, task: str, reason: str = "", by: str | None = None
    ) -> Workflow:
        """Let a task that waits for a person not run; what needs it is skipped.

        Raises
        ------
        NotFoundError, RejectedError
            As `approve`.
        """
        found = self.get(workflow)
        why = self.redactor(text("reason", reason))
        self.steering.reject(found.id, task, why, text("by", by or _user()))
        self.happened({})
        return found.refresh()

    def prune(self, older_than: float) -> int:
        """Forget the workflows that ended long ago: their tasks, steps, results and events.

        An idempotency key is kept for its 7 days all the same. Those whose events have not all been
        published are kept, where there is an event bus.

        Parameters
        ----------
        older_than
            Seconds since they ended.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        UsageError
            It is not a number of seconds.
        """
        told = self.relay is not None
        return prune(
            self.link,
            self.scope,
            seconds("older_than", older_than, service="workflow", zero=True),
            told=told,
            key_ttl=self.key_ttl,
        )


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # there is no such user, as in a container
        return "somebody"
