"""The queues and agents of a worker, as the server and the database have them, within a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentnb.core.services import Prober
from agentnb.core.services.entry import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.hub import Hub
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.queue.queues import Queues
    from agentnb.core.workflow.depths import AgentDepth

__all__ = ["DepthReader", "Depths"]

OK = "ok"


@dataclass(slots=True)
class Depths:
    """The answer of the server and the database.

    Attributes
    ----------
    queues, agents
        Their depths; empty if their store did not answer.
    problems
        The error of each store that did not answer.
    """

    queues: Sequence[QueueOverview] = ()
    agents: Sequence[AgentDepth] = ()
    problems: dict[str, str] = field(default_factory=dict)


class DepthReader:
    """Asks the server for its queues and the database for the tasks of agents.

    A store that is away costs a read its time-out at most, and is not asked again before it has
    answered.

    Parameters
    ----------
    hub
        The hub.
    queues
        Returns the names of the queues.
    agents
        Returns the names of the agents.
    timeout
        Seconds for both together.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        queues: Callable[[], Sequence[str]],
        agents: Callable[[], Sequence[str]],
        timeout: float = 2.0,
    ) -> None:
        self._hub = hub
        self._queues = queues
        self._agents = agents
        self._timeout = timeout
        self._prober = Prober()
        self._quick: Queues | None = None
        self._last = Depths()

    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the names of the queues and of the agents."""
        return self._queues(), self._agents()

    def read(self) -> Depths:
        """Ask both at once."""
        checks = []
        if self._queues():
            checks.append(Check("queue", "", self._read_queues))
        if self._agents():
            checks.append(Check("workflow", "", self._read_agents))
        states = {one.service: one.state for one in self._prober.states(checks, self._timeout)}
        return Depths(
            self._last.queues if states.get("queue") == OK else (),
            self._last.agents if states.get("workflow") == OK else (),
            {service: state for service, state in states.items() if state != OK},
        )

    def _read_queues(self, seconds: float) -> None:
        if self._quick is None:
            self._quick = self._hub.queues.within(seconds)
        self._last.queues = self._quick.overview(self._queues(), oldest=True)

    def _read_agents(self, _seconds: float) -> None:
        self._last.agents = self._hub.workflows._depths(self._agents())  # noqa: SLF001 - of this core

    def close(self) -> None:
        """Close what was opened for the reads."""
        if self._quick is not None:
            self._quick.close()
