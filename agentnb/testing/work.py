"""The queues and workflows of a hub, and the workers that run their work in a test's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.keywords import refuse_unknown
from agentnb.core.services import EVENTS, WORKFLOWS
from agentnb.testing.arguments import check_hub, check_modules

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from agentnb.core.events import EventBus
    from agentnb.core.hub import Hub
    from agentnb.core.queue import Queue
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.work.inline import InlineWorker
    from agentnb.core.workflow import Orchestrator

__all__ = [
    "agents_worker",
    "busy_events",
    "events_of",
    "fire_due",
    "fire_workflows",
    "open_tasks",
    "queue_worker",
    "rated_agents",
    "register",
    "sources",
    "wait_for_rates",
    "workflows_of",
]


def workflows_of(hub: Hub) -> Orchestrator | None:
    """Return the workflows of a hub, None where it has not opened them."""
    found: Orchestrator | None = hub._opened.get(WORKFLOWS.name)  # noqa: SLF001 - for this package
    return found


def events_of(hub: Hub) -> EventBus | None:
    """Return the event bus of a hub, None where it has not opened it."""
    found: EventBus | None = hub._opened.get(EVENTS.name)  # noqa: SLF001 - as above
    return found


def queue_worker(hub: Hub, name: str) -> InlineWorker:
    """Return a worker of a queue."""
    return hub.queue(name)._inline_worker()  # noqa: SLF001 - as above


def fire_due(queue: Queue) -> None:
    """Fire the schedules of a queue that are due."""
    queue._schedules.fire_due()  # noqa: SLF001 - as above


def fire_workflows(workflows: Orchestrator) -> None:
    """Fire the schedules and the deadlines of workflows that are due."""
    workflows._fire_due()  # noqa: SLF001 - as above


def find_events(workflows: Orchestrator) -> None:
    """End the waits of tasks for events that are there."""
    waits = workflows._event_waits  # noqa: SLF001 - as above
    if waits is not None and waits.once():
        workflows.relay_once()  # those of workflows may be among them
        waits.once()


def agents_worker(workflows: Orchestrator, agents: Iterable[str]) -> InlineWorker:
    """Return a worker of agents."""
    names = tuple(sorted(agents))
    return workflows._inline_worker(lambda: names)  # noqa: SLF001 - as above


def sources(hub: Hub) -> list[InlineWorker]:
    """Return a worker of each queue, and one of all agents, for their due times."""
    found = [queue_worker(hub, name) for name in hub.queues.names()]
    workflows = workflows_of(hub)
    if workflows is not None:
        rated = rated_agents(workflows)
        agents = {
            agent
            for _, _, agent, state in open_tasks(workflows)
            if state in {"delayed", "parked"} or (state == "waiting" and agent in rated)
        }
        if agents:
            found.append(agents_worker(workflows, agents))
    return found


def wait_for_rates(one: QueueOverview) -> bool:
    """Return whether jobs of a queue wait, and all of them for a rate that has no room."""
    if one.paused or not one.limits or not one.counts["waiting"] or one.counts["active"]:
        return False
    jobs = one.queue.jobs("waiting", n=one.counts["waiting"])
    return bool(jobs) and all(one.queue.reasons(jobs))


def rated_agents(workflows: Orchestrator) -> set[str]:
    """Return the agents whose rate has no room."""
    return {one.agent for one in workflows.limits() if one.until is not None}


def open_tasks(workflows: Orchestrator) -> list[tuple[str, str, str, str]]:
    """Return workflow, name, agent and state of the tasks that have not ended."""
    return workflows._reader.open_tasks()  # noqa: SLF001 - as above


def busy_events(hub: Hub) -> str | None:
    """Return what publishes or handles events now, in words; None for nothing."""
    bus, workflows = events_of(hub), workflows_of(hub)
    if bus is None:
        return None
    if bus.pending:
        return "the sending of events"
    if workflows is not None:
        workflows.relay_once()
        if workflows._reader.unpublished():  # noqa: SLF001 - as above
            return "the publishing of events"
    for one in bus.subscriptions():
        if one.handler is not None and (one.waiting or one.busy_for):
            return f"handler {one.name} of events"
    return None


@refuse_unknown("testing")
def register(hub: Hub, *modules: ModuleType) -> None:
    """Register the processors and agents that modules have marked, as ``--app`` of a worker does.

    A workflow can be created once its agents are registered.

    Parameters
    ----------
    hub
        The hub.
    *modules
        Modules with functions under ``@processor`` and ``@agent``.

    Raises
    ------
    UsageError
        A module marks two for one queue, or two of one name.
    """
    from agentnb.core.queue.processing import marked as marked_processors
    from agentnb.core.workflow.agents import marked as marked_agents

    check_hub(hub)
    check_modules(modules)
    for module in modules:
        for name, one in marked_processors(module).items():
            hub.queue(name).process(
                one.function,
                schema=one.schema,
                returns=one.returns,
                timeout=one.timeout,
                source=one.source,
            )
        for agent in marked_agents(module).values():
            hub.workflows.registry.add(agent)
