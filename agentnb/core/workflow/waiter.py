"""Waits for the end of workflows."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError
from agentnb.core.ranges import end_of
from agentnb.core.work.watcher import Watcher
from agentnb.core.workflow.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.trace.servicelog import ServiceLog
    from agentnb.core.work.wakeup import Wakeup
    from agentnb.core.workflow.reading import Reader
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["WorkflowWaiter"]

_FIRST_LOOK, _LAST_LOOK = 0.02, 0.2  # seconds between two looks at a workflow
_REPORT_SECONDS = 2.0
_AGAIN_SECONDS = 0.5  # between two looks while the database is away
_CALL_SECONDS = 0.25  # that a call may take at least: a workflow that has ended is never late
T = TypeVar("T")


class WorkflowWaiter:
    """Waits for the end of workflows, in the caller's thread or for any number of coroutines.

    An outage of the database during a wait is waited out.

    Parameters
    ----------
    reader
        Reads the states of workflows.
    wakeup
        Wakes the waiting thread when a task has ended in this process.
    threads
        The threads of awaited calls to the database.
    log
        Told what a workflow waits for.
    """

    def __init__(
        self, reader: Reader, wakeup: Wakeup, threads: CallThreads, log: ServiceLog
    ) -> None:
        self._reader = reader
        self._wakeup = wakeup
        self._threads = threads
        self._log = log
        # A look takes a fifth of a second at most: one more workflow need not wake it.
        self._watcher = Watcher(self._look, wake=lambda: None, name="workflows", log=log)

    def wait(self, workflow: Workflow, timeout: float | None) -> Workflow:
        """Wait until a workflow has ended, and return it; see `Orchestrator.wait`."""
        began = monotonic()
        until = end_of(timeout, service="workflow", since=began)
        pause, report, last = _FIRST_LOOK, began + _REPORT_SECONDS, ""
        answered = False
        while True:
            seen = self._wakeup.count
            try:
                state, _, _ = self._reader.progress(workflow.id)
            except UnavailableError as error:
                sleep(_outage_pause(error, until, answered=answered))
                continue
            answered = True
            now = monotonic()
            if state != "active":
                return _checked(workflow.refresh())
            if until is not None and now >= until:
                raise _late_error(workflow, timeout, workflow.why_waiting())
            if now > report:
                report = now + _REPORT_SECONDS
                last = self._report(workflow, last)
            self._wakeup.wait(seen, pause if until is None else min(pause, until - now))
            pause = min(pause * 1.5, _LAST_LOOK)

    async def await_(
        self,
        workflow: str | Workflow,
        timeout: float | None,  # noqa: ASYNC109 - as wait
        find: Callable[[str], Workflow],
    ) -> Workflow:
        """Await the end of a workflow, or of the one that `find` gives, without its own thread."""
        until = end_of(timeout, service="workflow")
        if isinstance(workflow, str):
            workflow = await self._call(partial(find, workflow), until, workflow, timeout)
        last, answered = "", False
        with self._watcher.awaiting(workflow.id) as one:
            while True:
                try:
                    if await one.within(_slice(until)):
                        one.result()
                        break
                    answered = True
                    if _is_over(until):
                        raise await self._atoo_late(workflow, timeout)
                    report = partial(self._report, workflow, last)
                    last = await self._call(report, until, workflow, timeout)
                except UnavailableError as error:
                    await asyncio.sleep(_outage_pause(error, until, answered=answered))
        return _checked(await self._call(workflow.refresh, until, workflow, timeout))

    async def _call(
        self,
        function: Callable[[], T],
        until: float | None,
        workflow: str | Workflow,
        timeout: float | None,  # noqa: ASYNC109 - for the message
    ) -> T:
        """Await a short call; its own error, or that of a wait that took too long."""
        end = None if until is None else max(until, monotonic() + _CALL_SECONDS)
        late = partial(_late_error, workflow, timeout, "the database does not answer in time")
        return await self._threads.run(function, until=end, late=late, abandon=True)

    async def _atoo_late(self, workflow: Workflow, timeout: float | None) -> DeadlineExceeded:  # noqa: ASYNC109 - it is over
        try:
            why = await self._call(workflow.why_waiting, monotonic(), workflow, timeout)
        except AgentnbError as error:
            why = error.message
        return _late_error(workflow, timeout, why)

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
        """End what is awaited."""
        self._watcher.stop()


def _is_over(until: float | None) -> bool:
    return until is not None and monotonic() >= until


def _outage_pause(error: UnavailableError, until: float | None, *, answered: bool) -> float:
    """Return the seconds until the next look; raise the error where nobody waits any longer."""
    # An endless wait for a database that does not answer at first would say nothing.
    if _is_over(until) or (until is None and not answered):
        raise error
    return _AGAIN_SECONDS if until is None else min(_AGAIN_SECONDS, max(until - monotonic(), 0.0))


def _slice(until: float | None) -> float:
    left = _REPORT_SECONDS if until is None else until - monotonic()
    return max(min(left, _REPORT_SECONDS), 0.0)


def _late_error(workflow: str | Workflow, timeout: float | None, why: str) -> DeadlineExceeded:
    named = workflow if isinstance(workflow, str) else f"{workflow.name} ({workflow.id})"
    return DeadlineExceeded(
        f"workflow {named} has not ended within {timeout:g} s",
        service="workflow",
        hint=why or "wait longer; it goes on meanwhile",
    )


def _checked(workflow: Workflow) -> Workflow:
    if workflow.state == "completed":
        return workflow
    how = f"failed: {workflow.error}"
    if workflow.state == "cancelled":
        why = "" if workflow.error in {None, "cancelled"} else f": {workflow.error}"
        how = f"was cancelled{why}"
    raise TaskFailed(
        f"workflow {workflow.name} ({workflow.id}) {how}",
        service="workflow",
        hint=(
            f"workflow.tasks (%workflow show {workflow.id}) has its tasks; "
            f"workflow.retry() (%workflow retry {workflow.id}) tries again"
        ),
    )
