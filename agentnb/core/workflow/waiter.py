"""Waits for the end of workflows."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import DeadlineExceeded
from agentnb.core.ranges import end_of
from agentnb.core.work.watcher import Watcher
from agentnb.core.workflow.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.trace.servicelog import ServiceLog
    from agentnb.core.work.wakeup import Wakeup
    from agentnb.core.workflow.reading import Reader
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["WorkflowWaiter"]

_FIRST_LOOK, _LAST_LOOK = 0.02, 0.2  # seconds between two looks at a workflow
_REPORT_SECONDS = 2.0


class WorkflowWaiter:
    """Waits for the end of workflows, in the caller's thread or for any number of coroutines.

    Parameters
    ----------
    reader
        Reads the states of workflows.
    wakeup
        Wakes the waiting thread when a task has ended in this process.
    log
        Told what a workflow waits for.
    """

    def __init__(self, reader: Reader, wakeup: Wakeup, log: ServiceLog) -> None:
        self._reader = reader
        self._wakeup = wakeup
        self._log = log
        # A look takes a fifth of a second at most: one more workflow need not wake it.
        self._watcher = Watcher(self._look, wake=lambda: None, name="workflows", log=log)

    def wait(self, workflow: Workflow, timeout: float | None) -> Workflow:
        """Wait until a workflow has ended, and return it; see `Orchestrator.wait`."""
        began = monotonic()
        until = end_of(timeout, service="workflow", since=began)
        pause, report, last = _FIRST_LOOK, began + _REPORT_SECONDS, ""
        while True:
            seen = self._wakeup.count
            state, _, _ = self._reader.progress(workflow.id)
            now = monotonic()
            if state != "active":
                return _checked(workflow.refresh())
            if until is not None and now >= until:
                raise _too_late(workflow, timeout)
            if now > report:
                report = now + _REPORT_SECONDS
                last = self._report(workflow, last)
            self._wakeup.wait(seen, pause if until is None else min(pause, until - now))
            pause = min(pause * 1.5, _LAST_LOOK)

    async def await_(self, workflow: Workflow, timeout: float | None) -> Workflow:  # noqa: ASYNC109 - as wait
        """Await the end of a workflow, without a thread of its own."""
        until = end_of(timeout, service="workflow")
        last = ""
        while True:
            left = _REPORT_SECONDS if until is None else min(until - monotonic(), _REPORT_SECONDS)
            try:
                await self._watcher.outcome(workflow.id, max(left, 0.0))
            except TimeoutError:
                if until is not None and monotonic() >= until:
                    raise await asyncio.to_thread(_too_late, workflow, timeout) from None
                last = await asyncio.to_thread(self._report, workflow, last)
            else:
                return _checked(await asyncio.to_thread(workflow.refresh))

    def _look(self, workflows: Sequence[str]) -> list[tuple[str, Any]]:
        """Return which of some workflows have ended, after a pause if none has."""
        seen = self._wakeup.count
        ended = self._reader.ended(workflows)
        if not ended:
            self._wakeup.wait(seen, _LAST_LOOK)
        return [(one, None) for one in ended]

    def _report(self, workflow: Workflow, last: str) -> str:
        """Log what a workflow waits for, unless that was logged last, and return it."""
        reason = workflow.why_waiting() or ""
        if reason and reason != last:
            self._log.warning("workflow %s: %s", workflow.id, reason)
        return reason

    def close(self) -> None:
        """Cancel what is awaited."""
        self._watcher.stop()


def _too_late(workflow: Workflow, timeout: float | None) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"workflow {workflow.name} ({workflow.id}) has not ended within {timeout:g} s",
        service="workflow",
        hint=workflow.why_waiting() or "wait longer; it goes on meanwhile",
    )


def _checked(workflow: Workflow) -> Workflow:
    if workflow.state == "completed":
        return workflow
    how = "was cancelled" if workflow.state == "cancelled" else f"failed: {workflow.error}"
    raise TaskFailed(
        f"workflow {workflow.name} ({workflow.id}) {how}",
        service="workflow",
        hint=(
            f"%workflow show {workflow.id} has its tasks; "
            f"workflow.retry() (%workflow retry {workflow.id}) tries again"
        ),
    )
