"""The calls of an orchestrator that control a workflow while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.keywords import refuse_unknown
from agentnb.core.twins import twin
from agentnb.core.workflow import pausing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.trace.spans import Span
    from agentnb.core.workflow.transactions import Transactions
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["WorkflowControls"]


@refuse_unknown("workflow")
class WorkflowControls:
    """The part of an `Orchestrator` that pauses workflows and changes the options of tasks."""

    _scope: str
    _call_threads: CallThreads

    if TYPE_CHECKING:

        @property
        def _transactions(self) -> Transactions: ...
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

    apause, aresume = twin(pause), twin(resume)
