"""All the work of a hub that is due, run in the thread of the test until none is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import DeadlineExceeded, RejectedError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.testing.arguments import check_hub, names_of
from agentnb.testing.clocks import HubClock
from agentnb.testing.work import (
    agents_worker,
    busy_events,
    find_events,
    fire_due,
    fire_workflows,
    open_tasks,
    queue_worker,
    rated_agents,
    register,
    wait_for_rates,
    workflows_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from agentnb.core.hub import Hub
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.work.inline import InlineWorker
    from agentnb.core.workflow import Orchestrator
    from agentnb.core.workflow.info import TaskInfo

__all__ = ["IdleReport", "run_until_idle"]

_LOOK_SECONDS = 0.005
_HINT = "run_until_idle(hub, MODULE) registers what @processor and @agent mark in it"


@dataclass(slots=True)
class IdleReport:
    """The work that was run, and what is left.

    Attributes
    ----------
    jobs, tasks
        How many attempts at jobs and at tasks were run in the thread of the test.
    errors
        The exceptions of those that failed, in order.
    delayed
        How many jobs and tasks are delayed, or wait for a rate that has no room.
    approvals
        The tasks that wait for a person, as workflow id and name.
    parked
        The tasks that are parked, as workflow id and name: they wait for an answer, an event or a
        time.
    """

    jobs: int = 0
    tasks: int = 0
    errors: list[BaseException] = field(default_factory=list)
    delayed: int = 0
    approvals: list[tuple[str, str]] = field(default_factory=list)
    parked: list[tuple[str, str]] = field(default_factory=list)


@refuse_unknown("testing")
def run_until_idle(
    hub: Hub,
    *modules: ModuleType,
    queues: Iterable[str] | None = None,
    agents: Iterable[str] | None = None,
    skip: bool = False,
    approve: bool | Callable[[TaskInfo], bool] = False,
    timeout: float = 60.0,
) -> IdleReport:
    """Run all jobs and tasks that are due, and what comes of them, until none is left.

    They run in the thread of the caller, one after the other, by the processors and agents of
    this process. Queues and agents that have a worker already are left to it, and waited for,
    as are the handlers of events. Jobs that fail are tried again or stay failed, as with a
    worker: their errors are in the report.

    Parameters
    ----------
    hub
        The hub.
    *modules
        Modules whose processors and agents are registered first, as ``agentnb worker --app``
        does.
    queues, agents
        Their names; default: all.
    skip
        Run delayed work as well, and end sleeps and time-outs of parked tasks: the clock is moved
        to when it is due, see `HubClock.skip`.
    approve
        Approve the tasks that wait for a person; or a function that is given each of them, and
        returns whether it is approved or rejected.
    timeout
        Seconds for the work that others do.

    Raises
    ------
    RejectedError
        Jobs or tasks wait that nobody will run: there is no processor, no agent, or the queue is
        paused.
    DeadlineExceeded
        Other workers have not ended in time.

    Examples
    --------
    >>> from agentnb.testing import isolated_hub
    >>> with isolated_hub() as hub:
    ...     squares = hub.queue("squares")
    ...     squares.process(lambda job: job.data**2)
    ...     job = squares.add(7)
    ...     report = run_until_idle(hub)
    ...     report.jobs, job.result()
    (1, 49)
    """
    check_hub(hub)
    timeout = seconds("timeout", timeout, service="testing")
    run = _Run(hub, queues, agents, timeout)
    register(hub, *modules)
    while True:
        if run.run_due() or run.answer(approve):
            continue
        busy = run.busy()
        if busy is not None:
            run.check(busy)
            sleep(_LOOK_SECONDS)
            continue
        stuck = run.stuck()
        if stuck is not None:
            if run.run_due():  # what was busy at the first look has added it
                continue
            raise RejectedError(stuck, service="testing", hint=_HINT)
        if skip and (HubClock(hub).skip() or run.run_due() or run.busy()):
            continue  # a rate that had no room at the first look may have some now
        return run.report()


class _Run:
    """One call of `run_until_idle`."""

    def __init__(
        self,
        hub: Hub,
        queues: Iterable[str] | None,
        agents: Iterable[str] | None,
        timeout: float,
    ) -> None:
        self._timeout = timeout
        self._until = monotonic() + timeout
        self._hub = hub
        self._only_queues = names_of("queues", queues)
        self._only_agents = names_of("agents", agents)
        self._report = IdleReport()

    def run_due(self) -> bool:
        """Run what is due by what is registered here, and return whether anything was."""
        before = self._report.jobs + self._report.tasks
        self._fire_due()
        for one in self._overview():
            due = one.counts["waiting"] + one.counts["delayed"]
            if due and one.queue.current is not None and not one.workers:
                self._report.jobs += self._drain(queue_worker(self._hub, one.queue.name))
        workflows = workflows_of(self._hub)
        if workflows is not None:
            find_events(workflows)
            agents = self._agents_here(workflows) - self._served(workflows)
            if agents:
                self._report.tasks += self._drain(agents_worker(workflows, agents))
        return self._report.jobs + self._report.tasks > before

    def _fire_due(self) -> None:
        """Fire the schedules that are due, of workflows and of queues with a processor here."""
        for one in self._overview():
            if one.queue.current is not None and not one.workers:
                fire_due(one.queue)
        workflows = workflows_of(self._hub)
        if workflows is not None:
            fire_workflows(workflows)

    def _drain(self, worker: InlineWorker) -> int:
        count = 0
        with worker:
            while (ran := worker.run_next()) is not None:
                count += 1
                self.check("new work, which comes again and again,")
                if ran.outcome.error is not None:
                    self._report.errors.append(ran.outcome.error)
        return count

    def check(self, what: str) -> None:
        """Raise an error once the time is over."""
        if monotonic() >= self._until:
            raise DeadlineExceeded(
                f"{what} has not ended within {self._timeout:g} s",
                service="testing",
                hint="timeout= gives it longer",
            )

    def answer(self, approve: bool | Callable[[TaskInfo], bool]) -> bool:  # noqa: FBT001 - the caller's
        """Approve or reject what waits for a person, and return whether anything did."""
        workflows = workflows_of(self._hub)
        if not approve or workflows is None:
            return False
        waiting = [one for one in open_tasks(workflows) if one[3] == "approval"]
        for number, name, _, _ in waiting:
            task = workflows.get(number).task(name)
            if approve is True or (callable(approve) and approve(task)):
                workflows.approve(number, name, by="test")
            else:
                workflows.reject(number, name, "rejected by the test", by="test")
        return bool(waiting)

    def busy(self) -> str | None:
        """Return what is at work elsewhere, in words; None for nothing."""
        for one in self._overview():
            waits = one.workers and one.counts["waiting"] and not wait_for_rates(one)
            if one.counts["active"] or waits:
                return f"the work of queue {one.queue.name}"
        workflows = workflows_of(self._hub)
        if workflows is not None:
            served = self._served(workflows) - rated_agents(workflows)
            for number, name, agent, state in self._tasks(workflows):
                if state == "active" or (state == "waiting" and agent in served):
                    return f"task {name} of workflow {number}"
        return busy_events(self._hub)

    def stuck(self) -> str | None:
        """Return why work waits that nobody will run; None where there is none."""
        for one in self._overview():
            waiting = 0 if one.workers else one.counts.waiting  # else it is busy, or has a rate
            runs = one.queue.current is not None
            if waiting and not (runs and wait_for_rates(one)):
                why = one.no_progress or "this process has no processor for it"
                noun = "job" if waiting == 1 else "jobs"
                return f"{waiting} {noun} of queue {one.queue.name} cannot run: {why}"
        workflows = workflows_of(self._hub)
        if workflows is None:
            return None
        runs_later = rated_agents(workflows)
        if runs_later:
            runs_later &= self._agents_here(workflows)
        runs_later |= self._served(workflows)
        for number, name, agent, state in self._tasks(workflows):
            if state == "waiting" and agent not in runs_later:
                why = workflows.get(number).why_waiting() or f"there is no agent {agent}"
                return f"task {name} of workflow {number} cannot run: {why}"
        return None

    def report(self) -> IdleReport:
        """Return the report, with what is left."""
        report = self._report
        # What waits still has a worker, and waits for a rate: all else was run, or is stuck.
        report.delayed = sum(one.counts["delayed"] + one.counts.waiting for one in self._overview())
        workflows = workflows_of(self._hub)
        tasks: Any = () if workflows is None else self._tasks(workflows)
        report.delayed += sum(state in {"delayed", "waiting"} for *_, state in tasks)
        report.approvals = [(one[0], one[1]) for one in tasks if one[3] == "approval"]
        report.parked = [(one[0], one[1]) for one in tasks if one[3] == "parked"]
        return report

    def _overview(self) -> list[QueueOverview]:
        queues = self._hub.queues
        only = self._only_queues
        return queues.overview([one for one in queues.names() if only is None or one in only])

    def _tasks(self, workflows: Orchestrator) -> list[tuple[str, str, str, str]]:
        only = self._only_agents
        return [one for one in open_tasks(workflows) if only is None or one[2] in only]

    def _agents_here(self, workflows: Orchestrator) -> set[str]:
        here = {*workflows.registry.registered(), *workflows.registry.kept()}
        return here if self._only_agents is None else here & self._only_agents

    @staticmethod
    def _served(workflows: Orchestrator) -> set[str]:
        return workflows._reader.agents_at_work()  # noqa: SLF001 - for this package
