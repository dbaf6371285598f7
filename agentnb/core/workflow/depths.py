"""The tasks of agents that are open, by state, and the workers of each agent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["OPEN", "AgentDepth", "depths"]

OPEN = ("waiting", "delayed", "active", "parked")
"""The states of tasks that a worker has or could have; a parked one needs none meanwhile."""
# A statement for each state, by its name: each has a partial index of its own.
_COUNTS = (
    "select agent, count(*), min(due) from {{task}} "
    "where scope = :scope and state = '{state}' group by agent"
)
# By the index of open waits, of which each parked task has one.
_PARKED = (
    "select agent, count(*), null from {task} where scope = :scope and state = 'parked' and id in "
    "(select task_id from {task_wait} where scope = :scope and state = 'open') group by agent"
)


@dataclass(slots=True)
class AgentDepth:
    """The open tasks of an agent.

    Attributes
    ----------
    name
        The agent.
    tasks
        The number of tasks in each state of `OPEN`.
    oldest
        Seconds for which the oldest waiting task could have run; None where none waits.
    workers
        How many workers do its tasks, in any process.
    """

    name: str
    tasks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OPEN, 0))
    oldest: float | None = None
    workers: int = 0


def depths(
    tx: Transaction, scope: str, registry: Registry, agents: Sequence[str]
) -> list[AgentDepth]:
    """Return the open tasks and the workers of some agents, in their order."""
    found: dict[str, AgentDepth] = defaultdict(lambda: AgentDepth(""))
    now = tx.now()
    for state in OPEN:
        sql = _PARKED if state == "parked" else _COUNTS.format(state=state)
        for name, count, since in tx.rows(sql, scope=scope):
            found[name].tasks[state] = count
            if state == "waiting" and since is not None:
                found[name].oldest = max(now - since, 0.0)
    serving = registry.served(tx)
    for name in agents:
        found[name].name = name
        found[name].workers = sum(name in names for names in serving)
    return [found[name] for name in agents]
