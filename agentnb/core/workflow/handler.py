"""The part of workflows in the execution engine: runs tasks, and logs how they end."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from agentnb.core.errors import UsageError
from agentnb.core.failure import Failure
from agentnb.core.trace import stamp, use
from agentnb.core.work.attempt import TimedOut, is_suspended
from agentnb.core.work.store import OutcomeKind
from agentnb.core.workflow import taped
from agentnb.core.workflow.execution import TaskExecution, refused

if TYPE_CHECKING:
    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.work.executors.near import Elsewhere
    from agentnb.core.work.store import ActiveUnit, Claim, Outcome
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.claiming import Claimed, TaskRef
    from agentnb.core.workflow.execution import Surroundings
    from agentnb.core.workflow.remote import Agents

__all__ = ["TaskHandler"]

_LINES = {
    None: (logging.WARNING, "task was given to another worker"),
    "waiting": (logging.WARNING, "task is released"),
}


class TaskHandler:
    """Runs the tasks that the engine has claimed.

    Parameters
    ----------
    registry
        Knows the agents of this process.
    around
        The parts of the orchestrator that a task's context uses.
    elsewhere
        Runs attempts by an executor; None for this thread.
    """

    service = "workflow"
    noun = "task"

    def __init__(
        self, registry: Agents, around: Surroundings, elsewhere: Elsewhere | None = None
    ) -> None:
        self._registry = registry
        self._around = around
        self._elsewhere = elsewhere
        self._log = around.log
        self._counters = around.runtime.tracer.counters

    def run(self, attempt: Attempt) -> Any:
        """Run the task by its present agent, and return its result as it is kept.

        Of one that ran elsewhere, return its outcome.
        """
        if self._elsewhere is not None:
            claimed: Claimed = attempt.claim.payload
            attempt.context = claimed.context
            attempt.is_async = self._registry.find(claimed.ref.agent).is_async
            with use(attempt.context):
                return self._elsewhere.run(attempt)
        execution = attempt.work = TaskExecution(attempt, self._around)
        task = execution.task
        attempt.context = execution.claimed.context
        span = self._around.runtime.tracer.span(
            "task",
            service="workflow",
            kind="work",
            attempt=task.attempt,
            workflow=task.workflow_id,
            workflow_name=execution.claimed.ref.workflow_name,
            task=task.name,
            agent=task.agent,
        )
        if task.needs:
            span.note(needs=task.needs)
        if attempt.claim.waited is not None:
            span.note(waited_ms=round(attempt.claim.waited * 1000, 1))
        with use(attempt.context), span:
            attempt.context = span
            agent = self._registry.find(task.agent)
            try:
                return self._call(execution, agent)
            except BaseException as error:
                if not is_suspended(error):
                    raise
                parked = error
            span.note(parked=execution.parked)
        raise parked  # which is no failure of the span

    def _call(self, execution: TaskExecution, agent: Agent) -> Any:
        """Call an agent, and return its result as it is kept."""
        flight = self._around.runtime.flight
        if flight is None or not flight.takes_part:
            return execution.keep(execution.call(agent), agent)
        with flight.unit(partial(taped.described, execution, agent), self._log) as unit:
            result = execution.call(agent)
            unit.returned(result)
        return execution.keep(result, agent)

    def begun(self, attempt: Attempt) -> None:
        """Count an attempt that begins."""
        self._counters.begun("task", _agent_of(attempt), waited=attempt.claim.waited)

    def failure(self, attempt: Attempt, error: BaseException) -> tuple[Failure, bool]:
        """Return the description of an error, and whether another attempt would fail as well."""
        redact, number = self._around.runtime.redactor, attempt.claim.attempt
        if isinstance(error, TimedOut):
            return Failure(redact(str(error)), number), False
        # An error that another run of the agent's code cannot mend.
        final = isinstance(error, UsageError) and error.service == self.service
        return Failure.of(error, number, redact), final

    def substitute(self, attempt: Attempt, outcome: Outcome, error: Exception) -> Outcome | None:
        """Return the outcome with a description of the result that the database refused."""
        del attempt
        if outcome.kind is not OutcomeKind.COMPLETED or outcome.value.unkept is not None:
            return None
        value = refused(outcome.value, error, self._around.runtime.redactor)
        return replace(outcome, value=value)

    def name(self, unit: Claim | ActiveUnit) -> str:
        """Return the name of a task."""
        return str(unit.payload.name)

    def ended(self, attempt: Attempt, outcome: Outcome, state: str | None) -> None:
        """Log the end of an attempt."""
        ref: TaskRef = attempt.claim.payload.ref
        if outcome.kind is OutcomeKind.SUSPENDED and state == "waiting":
            state = "parked"  # what it waited for has come meanwhile
        self._counters.ended("task", ref.agent, state, seconds=outcome.ms / 1000)
        data: dict[str, Any] = {"task_id": ref.id, "agent": ref.agent, "ms": outcome.ms}
        if outcome.failure is None or attempt.cancelled or state == "cancelled":
            level, line = _LINES.get(state, (logging.INFO, f"task {state}"))
            self._say(level, line, ref, attempt.context, **data)
            return
        claim, failure = attempt.claim, outcome.failure
        data |= {"workflow": ref.workflow_id, "task": ref.name, "attempt": claim.attempt}
        data |= {"left": claim.attempts - claim.attempt, "error": failure.error, "state": state}
        note = "" if state is not None else ", which does not count: another worker has the task"
        self._log.failed(
            logging.ERROR if state == "failed" else logging.WARNING,
            "task %s of workflow %s failed at attempt %d of %d%s: %s",
            *(ref.name, ref.workflow_id, claim.attempt, claim.attempts, note, failure.error),
            error=outcome.error,
            redactor=self._around.runtime.redactor,
            extra={"data": data, **stamp(attempt.context)},
        )

    def lost(self, attempt: Attempt) -> None:
        """Log that an attempt lost its lease."""
        ref: TaskRef = attempt.claim.payload.ref
        self._counters.ended("task", ref.agent, None)
        self._say(logging.WARNING, "task was given to another worker", ref, attempt.context)

    def released(self, attempt: Attempt) -> None:
        """Log that a task was put back."""
        ref: TaskRef = attempt.claim.payload.ref
        self._counters.ended("task", ref.agent, "waiting")
        self._say(logging.WARNING, "task is released", ref, attempt.context)

    def reclaimed(self, held: ActiveUnit, failure: Failure, state: str) -> None:
        """Log that a task was taken from a worker that is gone."""
        ref: TaskRef = getattr(held.payload, "ref", held.payload)
        ended = {"error": failure.error} if state == "failed" else {}
        self._counters.reclaimed("task", ref.agent)
        self._say(
            logging.ERROR if state == "failed" else logging.WARNING,
            f"task is reclaimed: {failure.error}",
            ref,
            ref.context,
            agent=ref.agent,
            attempt=ref.attempt,
            state=state,
            **ended,
        )

    def stamp(self, **data: Any) -> dict[str, Any]:
        """Return the ``extra`` of a log record of the worker's."""
        return {"data": data}

    def _say(
        self, level: int, line: str, ref: TaskRef, context: TraceContext | None, **data: Any
    ) -> None:
        if self._log.isEnabledFor(level):
            data = {"workflow": ref.workflow_id, "task": ref.name, **data}
            self._log.log(level, line, extra={"data": data, **stamp(context)})


def _agent_of(attempt: Attempt) -> str:
    ref: TaskRef = attempt.claim.payload.ref
    return ref.agent
