"""The calls of an orchestrator that control a workflow while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.keywords import refuse_unknown
from agentnb.core.twins import twin
from agentnb.core.work.limits import NOT_GIVEN
from agentnb.core.workflow import pausing
from agentnb.core.workflow.task_options import checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.trace.spans import Span
    from agentnb.core.workflow.control import Control
    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.transactions import Transactions
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["WorkflowControls"]


@refuse_unknown("workflow")
class WorkflowControls:
    """The part of an `Orchestrator` that pauses workflows and changes the options of tasks."""

    _scope: str
    _call_threads: CallThreads

    if TYPE_CHECKING:
        registry: Registry

        @property
        def _transactions(self) -> Transactions: ...
        @property
        def _control(self) -> Control: ...
        def get(self, workflow: str | Workflow) -> Workflow: ...  # noqa: D102 - its own
        def _span(self, name: str, workflow: Workflow, **about: object) -> Span: ...
        def _happened(self, ready: Mapping[str, int], notify: bool = ...) -> None: ...  # noqa: FBT001 - as its own

    def pause(self, workflow: str | Workflow) -> Workflow:
        """Pause a workflow: no worker claims a task of it until `resume`; those that run go on.

        Approvals, answers and delays count meanwhile, and so does the deadline. A workflow that
        is paused stays so.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow; it has ended.
        """
        found = self.get(workflow)
        with self._span("pause", found), self._transactions.write() as tx:
            pausing.pause(tx, self._scope, found.id)
        self._happened({})
        return found.refresh()

    def resume(self, workflow: str | Workflow) -> Workflow:
        """Resume a workflow that is paused.

        Raises
        ------
        NotFoundError, RejectedError
            There is no such workflow; it has ended.
        """
        found = self.get(workflow)
        with self._span("resume", found), self._transactions.write() as tx:
            ready = pausing.resume(tx, self._scope, found.id)
        self._happened(ready)
        return found.refresh()

    def set(
        self,
        workflow: str | Workflow,
        task: str,
        *,
        attempts: int | None = NOT_GIVEN,
        backoff: float | None = NOT_GIVEN,
        timeout: float | None = NOT_GIVEN,
        priority: int = NOT_GIVEN,
        delay: float = NOT_GIVEN,
    ) -> Workflow:
        """Change options of a task that was made, for its attempts to come.

        An attempt that runs keeps its own. Options that are not given stay.

        Parameters
        ----------
        workflow, task
            The workflow, and the name of one of its tasks.
        attempts
            How often it may run in total, more often than it was begun; None: as its agent says.
        backoff
            Seconds before the second attempt, doubled for each later one; None: as its agent says.
        timeout
            Seconds that an attempt may take; None: as its agent says.
        priority
            The lower number runs first.
        delay
            Seconds that it waits once it could run; for one that is delayed, from now on.

        Raises
        ------
        UsageError
            An option is out of its range, or none is given.
        NotFoundError, RejectedError
            There is no such workflow or task; the task is completed, or can be delayed no more.
        """
        options = {
            "attempts": attempts,
            "backoff": backoff,
            "timeout": timeout,
            "priority": priority,
            "delay": delay,
        }
        given = checked({name: one for name, one in options.items() if one is not NOT_GIVEN})
        found = self.get(workflow)
        with self._span("set", found, task=task):
            ready = self._control.change(found.id, task, given, self.registry)
        self._happened(ready)
        return found.refresh()

    apause, aresume, aset = twin(pause), twin(resume), twin(set)  # noqa: A003 - the method
