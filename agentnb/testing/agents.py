"""One task, done by its agent in the thread of the test."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Unpack

from agentnb.core.clock import Clock
from agentnb.core.errors import AgentnbError, RejectedError, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.testing.arguments import check_hub, mapping_of
from agentnb.testing.hubs import isolated_hub, remove_keys
from agentnb.testing.loops import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentnb.core.hub import Hub
    from agentnb.core.loop import LoopThread
    from agentnb.core.work.inline import Ran
    from agentnb.core.work.store import Claim
    from agentnb.core.workflow import Orchestrator
    from agentnb.core.workflow.agents import Agent, RunOptions
    from agentnb.core.workflow.workflow import Workflow

__all__ = ["AgentRun", "arun_agent", "run_agent"]

_INPUT = "agentnb.testing.input"
_ENDED_SECONDS = 5.0  # it has ended already
_MORE = 0.001  # due times have fractions of a millisecond


@dataclass(frozen=True, slots=True)
class AgentRun:
    """A task that has completed.

    Attributes
    ----------
    result
        Its result, as `Workflow.result_of` returns it.
    steps
        The results of its steps as plain JSON, by their names.
    progress, message
        The last progress and message that it has set.
    logs
        The lines that its last attempt has logged.
    attempts
        How many attempts it took.
    errors
        The exceptions of the attempts that failed.
    """

    result: Any
    steps: dict[str, Any] = field(default_factory=dict)
    progress: float | None = None
    message: str = ""
    logs: list[str] = field(default_factory=list)
    attempts: int = 1
    errors: list[BaseException] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The arguments of `run_agent`."""

    target: Any
    data: Any
    inputs: Mapping[str, Any]
    steps: Mapping[str, Any]
    answers: Mapping[str, Any]
    workflow_data: Any
    attempts: int
    options: RunOptions


@refuse_unknown("testing")
def run_agent(
    target: Any,
    data: Any = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    answers: Mapping[str, Any] | None = None,
    workflow_data: Any = None,
    hub: Hub | None = None,
    attempts: int = 1,
    **options: Unpack[RunOptions],
) -> AgentRun:
    """Do a task by an agent, as a worker does, and return what it has made.

    Data, inputs, steps and the result are kept in a workflow of their own, and make their way
    through JSON; the agent is given a real task and a real `Context`. It runs in the thread of
    the caller. Pauses between attempts are skipped, and steps that are done are not called again.

    Parameters
    ----------
    target
        The agent: a function, a class or an object with ``execute``. What ``@agent`` says of it
        holds here.
    data
        The task's data.
    inputs
        The results of the tasks that it needs, by their names: ``ctx.inputs``.
    steps
        The results of steps that an earlier attempt has done, by their names.
    answers
        The answers to its questions, by their names: see `Context.ask`. Sleeps are skipped.
    workflow_data
        The data of its workflow: ``ctx.workflow.data``.
    hub
        The hub whose services the context has; default: one for this call.
    attempts
        How often it is tried.
    **options
        ``schema``, ``returns``, ``timeout``, ..., as `Orchestrator.agent` takes them; default:
        those of ``@agent``. Only a coroutine is ended at the time-out.

    Raises
    ------
    Exception
        What the agent has raised in its last attempt, as it is.
    UsageError
        A value has no JSON form, or is not of the schema.
    UnkeptResult
        The result cannot be stored.
    RejectedError
        It waits for an answer that is not given, or for an event.

    Examples
    --------
    >>> def total(task, ctx):
    ...     rate = ctx.step("rate", lambda: 1.2)
    ...     return ctx.inputs["net"] * rate
    >>> run = run_agent(total, inputs={"net": 100})
    >>> run.result, run.steps
    (120.0, {'rate': 1.2})
    """
    order = _Order(
        target=target,
        data=data,
        inputs=mapping_of("inputs", inputs),
        steps=mapping_of("steps", steps),
        answers=mapping_of("answers", answers),
        workflow_data=workflow_data,
        attempts=attempts,
        options=options,
    )
    with nullcontext(hub) if hub is not None else isolated_hub() as used:
        return _run(used, order)


@refuse_unknown("testing")
async def arun_agent(
    target: Any,
    data: Any = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    answers: Mapping[str, Any] | None = None,
    workflow_data: Any = None,
    hub: Hub | None = None,
    attempts: int = 1,
    **options: Unpack[RunOptions],
) -> AgentRun:
    """Await a task; as `run_agent`, with a coroutine function on the event loop of the caller."""
    order = _Order(
        target=target,
        data=data,
        inputs=mapping_of("inputs", inputs),
        steps=mapping_of("steps", steps),
        answers=mapping_of("answers", answers),
        workflow_data=workflow_data,
        attempts=attempts,
        options=options,
    )

    def call(loop: LoopThread) -> AgentRun:
        with nullcontext(hub) if hub is not None else isolated_hub() as used:
            return _run(used, order, loop)

    return await in_thread(call)


def _run(hub: Hub, order: _Order, loop: LoopThread | None = None) -> AgentRun:
    from agentnb.core.workflow.journal import Journal

    check_hub(hub)
    clock = Clock()
    with _apart(hub, clock) as workflows:
        agent = _registered(workflows, order)
        workflow, task = _created(workflows, agent, order)

        encode = workflows._json.encode  # noqa: SLF001 - for this package
        steps = {name: encode(value).decode() for name, value in order.steps.items()}

        def keep_steps(claim: Claim) -> None:
            if claim.payload.name == task and claim.attempt == 1:
                journal = Journal(workflows._transactions, claim.payload)  # noqa: SLF001 - as above
                for name, value in steps.items():
                    journal.keep_step(name, value, None, None)

        ran: Ran | None = None
        errors: list[BaseException] = []
        left = dict(order.answers)
        with workflows._inline_worker(lambda: (_INPUT, agent.name), loop) as worker:  # noqa: SLF001 - as above
            while (found := worker.run_next(keep_steps)) is not None:
                ran = found
                if ran.outcome.error is not None:
                    errors.append(ran.outcome.error)
                if ran.state == "parked" and _answered(workflow, task, left):
                    continue
                if ran.state in {"delayed", "parked"} and (due := worker.due()) is not None:
                    clock.advance(due + _MORE)
        if ran is not None and ran.state == "failed" and ran.outcome.error is not None:
            raise errors[-1]
        _check_ended(workflow, left)
        workflow.wait(_ENDED_SECONDS)
        done = workflow.task(task)
        return AgentRun(
            workflow.result_of(task),
            workflows._reader.steps(done.id),  # noqa: SLF001 - as above
            done.progress,
            done.message,
            workflow.logs(task),
            done.attempt,
            errors,
        )


def _answered(workflow: Workflow, task: str, answers: dict[str, Any]) -> bool:
    """Answer the open questions of a task that there are answers to; return whether any was."""
    names = [row["name"] for row in workflow.waits().dicts() if row["kind"] == "ask"]
    known = [name for name in names if name in answers]
    for name in known:
        workflow.answer(task, name, answers.pop(name), by="test")
    return bool(known)


def _check_ended(workflow: Workflow, answers: dict[str, Any]) -> None:
    """Raise an error for a task that waits on, and for answers that were not asked for."""
    waits = workflow.waits().dicts()
    if waits:
        name, kind = waits[0]["name"], waits[0]["kind"]
        raise RejectedError(
            f"the task waits for {name!r}, of kind {kind}, and has no answer",
            service="testing",
            hint=f"answers={{{name!r}: ...}}",
        )
    if answers:
        raise UsageError(
            f"the agent has not asked for {next(iter(answers))!r}",
            service="testing",
            hint="answers= names the questions of ctx.ask",
        )


def _registered(workflows: Orchestrator, order: _Order) -> Agent:
    """Register the agents of a run, and return that of its task."""
    from agentnb.core.workflow.agents import made, mark_of

    found = mark_of(order.target)
    default = getattr(order.target, "__name__", type(order.target).__name__)
    name, options = found or ("agent" if default == "<lambda>" else default, {})
    agent = made(name, order.target, **{**options, **order.options})
    workflows.registry.add(agent)
    workflows.registry.add(made(_INPUT, lambda task: task.data))
    return agent


def _created(workflows: Orchestrator, agent: Agent, order: _Order) -> tuple[Workflow, str]:
    """Create the workflow of a run; return it and the name of its task."""
    from agentnb.core.workflow import Task

    name = agent.name if agent.name not in order.inputs else f"{agent.name}-task"
    tasks = [Task(one, agent=_INPUT, data=value) for one, value in order.inputs.items()]
    needs = tuple(order.inputs)
    tasks.append(
        Task(name, agent=agent.name, data=order.data, needs=needs, attempts=order.attempts)
    )
    return workflows.create(agent.name, tasks, data=order.workflow_data), name


@contextmanager
def _apart(hub: Hub, clock: Clock) -> Iterator[Orchestrator]:
    """Open workflows that are nobody else's, on the database and with the services of a hub."""
    from agentnb.core.services.work import make_workflows

    scope = f"{hub.settings.key_prefix}-run-{secrets.token_hex(4)}"
    runtime = replace(hub.runtime, clock=clock)
    database = hub.workflows.database
    workflows = make_workflows(hub, scope=scope, database=database, runtime=runtime)
    try:
        yield workflows
    finally:
        with suppress(AgentnbError):
            while workflows.relay_once():
                pass
            workflows.prune(0)
        workflows.close()
        remove_keys(hub.redis.untraced, scope)
