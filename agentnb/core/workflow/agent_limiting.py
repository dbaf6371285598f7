"""The calls of an orchestrator that limit agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import NotFoundError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.twins import twin
from agentnb.core.work.limits import NOT_GIVEN, checked_limits
from agentnb.core.workflow.agent_limits import limits_of, remove_limit, set_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.workflow.agent_limits import AgentLimit
    from agentnb.core.workflow.info import AgentInfo
    from agentnb.core.workflow.transactions import Transactions

__all__ = ["AgentLimits"]

_ALL = 64  # as many workers look at once


@refuse_unknown("workflow")
class AgentLimits:
    """The part of an `Orchestrator` that keeps the limits of agents."""

    _scope: str
    _call_threads: CallThreads

    if TYPE_CHECKING:

        @property
        def _transactions(self) -> Transactions: ...
        def agent_info(self, name: str) -> AgentInfo: ...  # noqa: D102 - its own
        def _happened(self, ready: Mapping[str, int], notify: bool = ...) -> None: ...  # noqa: FBT001 - as its own

    def limit(
        self,
        agent: str,
        rate: int | None = NOT_GIVEN,
        *,
        per: float | None = None,
        concurrency: int | None = None,
    ) -> AgentLimit | None:
        """Limit how often an agent starts tasks, or how many it runs at once, over all workers.

        A rate replaces the agent's rate, and a concurrency its concurrency. Tasks that cannot
        start wait, those of other agents pass them. Workers that run use the new limit from their
        next claim on. The tasks that run already count for a concurrency; earlier starts count
        for a rate if the agent had one then.

        Parameters
        ----------
        agent
            The agent, which this process or another has registered.
        rate
            Tasks that start within any ``per`` seconds, 1 to 1,000,000. Retries are starts, too.
            None removes the limit, as `unlimit` does.
        per
            Seconds of the rate, up to 30 days.
        concurrency
            Tasks that run at once, 1 to 1,000,000.

        Returns
        -------
        AgentLimit or None
            The limit of the agent now.

        Raises
        ------
        UsageError
            A number is not in its range, or none was given.
        NotFoundError
            Nobody has registered the agent.

        Examples
        --------
        >>> import tempfile
        >>> from agentnb.core.db import Database
        >>> from agentnb.core.workflow import Orchestrator
        >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/a") as db:
        ...     with Orchestrator(db) as workflows:
        ...         agent = workflows.agent("ask")(lambda task: task.data)
        ...         print(workflows.limit("ask", 60, per=60, concurrency=3))
        60 per 60 s, concurrency 3
        """
        if rate is None and per is None and concurrency is None:
            self._remove(agent)
            return None
        rate = None if rate is NOT_GIVEN else rate
        given = checked_limits(rate, per, concurrency, service="workflow")
        self.agent_info(agent)
        with self._transactions.write() as tx:
            set_limit(tx, self._scope, agent, given)
        self._happened({agent: _ALL})
        return self._limit_of(agent)

    def unlimit(self, agent: str) -> None:
        """Remove the limit of an agent, for all workers.

        Raises
        ------
        NotFoundError
            It has none.
        """
        if self._limit_of(agent) is None:
            raise NotFoundError(
                f"agent {agent!r} has no limit",
                service="workflow",
                hint="hub.workflows.limits() (%workflow limit) lists them",
            )
        self._remove(agent)

    def _remove(self, agent: str) -> None:
        self.agent_info(agent)
        with self._transactions.write() as tx:
            remove_limit(tx, self._scope, agent)
        self._happened({agent: _ALL})

    def limits(self) -> list[AgentLimit]:
        """Return the limits of agents, by their names, and what of them is taken."""
        with self._transactions.read() as tx:
            return limits_of(tx, self._scope)

    def _limit_of(self, agent: str) -> AgentLimit | None:
        return next((one for one in self.limits() if one.agent == agent), None)

    alimit, aunlimit, alimits = twin(limit), twin(unlimit), twin(limits)
