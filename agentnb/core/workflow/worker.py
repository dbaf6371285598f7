"""The worker of an orchestrator in this process: threads that do the tasks of some agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import DeadlineExceeded
from agentnb.core.keywords import refuse_unknown
from agentnb.core.twins import twin
from agentnb.core.work import worker as engine
from agentnb.core.work.executors.words import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from concurrent.futures import Executor

    from agentnb.core.trace import ServiceLog
    from agentnb.core.work.executors.near import Elsewhere
    from agentnb.core.work.store import Pending
    from agentnb.core.workflow.handler import TaskHandler
    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.remote import TaskRecords
    from agentnb.core.workflow.store import SqlWorkStore

__all__ = ["Worker"]


@refuse_unknown("workflow")
class Worker(engine.Worker):
    """The worker of an orchestrator in this process; made by `Orchestrator.work`.

    Parameters
    ----------
    make_store
        Given a function that returns the names of the agents, makes the store of its tasks.
    make_handler
        Given what runs attempts by an executor, or None, makes what runs the tasks.
    registry
        Knows the agents of this process.
    agents
        Whose tasks it does; None for all that this process registers, now and later.
    executor
        The executor that it was made with, or its word.
    make_elsewhere
        Given the store, returns what runs attempts by it; None for threads here.
    records
        Makes the records of such attempts.
    **options
        As the engine's worker takes them.
    """

    def __init__(
        self,
        make_store: Callable[[Callable[[], tuple[str, ...]]], SqlWorkStore],
        make_handler: Callable[[Elsewhere | None], TaskHandler],
        registry: Registry,
        agents: Sequence[str] | None = None,
        *,
        executor: Executor | str = THREADS,
        make_elsewhere: Callable[[SqlWorkStore], Elsewhere] | None = None,
        records: TaskRecords | None = None,
        log: ServiceLog,
        **options: Any,
    ) -> None:
        self.executor = executor
        self._records = records
        self._refused: dict[str, str] = {}
        self._registry = registry
        self._named = None if agents is None else tuple(agents)
        self._store = make_store(lambda: self.agents)
        elsewhere = None if make_elsewhere is None else make_elsewhere(self._store)
        handler = make_handler(elsewhere)
        super().__init__(self._store, handler, elsewhere=elsewhere, log=log, **options)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents whose tasks it does."""
        named = self._named
        names = tuple(sorted(self._registry.registered())) if named is None else named
        if self._records is None:
            return names
        return tuple(name for name in names if self._is_usable(self._records, name))

    def _is_usable(self, records: TaskRecords, name: str) -> bool:
        """Return whether other processes can import an agent; say once why they cannot."""
        refused = records.why_not(name)
        line = "" if refused is None else f"tasks of agent {name} wait: {refused}"
        if self._refused.get(name, "") != line:
            self._refused[name] = line
            if line:
                self._log.error("%s", line)
        return not line

    def serve(self, agents: Sequence[str]) -> None:
        """Do the tasks of these agents from now on."""
        if tuple(agents) != self._named:
            self._named = tuple(agents)
            self.look()
            self._store.wake()

    def same(
        self, agents: Sequence[str] | None, concurrency: int, executor: Executor | str
    ) -> bool:
        """Return whether another worker for these would be the same."""
        given = (agents, concurrency, executor)
        return (self._named, self.concurrency, self.executor) == given

    def start(self) -> None:
        """Begin to do tasks.

        Raises
        ------
        UsageError
            Other processes cannot import one of the agents, which an executor would run.
        AgentnbError
            The database cannot record the worker, or tasks cannot run by the executor.
        """
        self._check_agents()
        super().start()

    def _check_agents(self) -> None:
        if self._records is not None:
            named = self._named
            self._records.check(tuple(self._registry.registered()) if named is None else named)

    def _check(self) -> None:
        """Try the executor again, as `start` does."""
        self._check_agents()
        if self.elsewhere is not None:
            self.elsewhere.check()

    def drain(
        self,
        timeout: float | None = None,
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Wait until no task of its agents waits, runs or is delayed, here or in other workers.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        on_progress
            Called with how many are left, whenever that changes.

        Raises
        ------
        DeadlineExceeded
            Some are left.
        """
        self._run(self._drained(timeout, on_progress))

    async def adrain(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the twin of drain
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Await `drain`."""
        await self._arun(self._drained(timeout, on_progress))

    def _drained(
        self, timeout: float | None, on_progress: Callable[[int], object] | None
    ) -> Generator[engine.WaitStep, Any, None]:
        def report(pending: Pending) -> None:
            if on_progress is not None and pending.left:
                on_progress(pending.left)

        try:
            yield from self._emptied(timeout, report)
        except DeadlineExceeded as error:
            raise DeadlineExceeded(
                error.message,
                service="workflow",
                hint="hub.workflows.table() (%workflow list) shows whose they are",
            ) from error

    def left(self) -> int:
        """Return how many tasks of its agents wait, run or are delayed."""
        return self._store.pending().left

    def parked(self) -> int:
        """Return how many tasks of its agents are parked."""
        return self._store.pending().parked

    def paused(self) -> int:
        """Return how many tasks of its agents wait, are delayed or parked in paused workflows."""
        return self._store.pending().paused

    aleft, aparked, apaused = twin(left), twin(parked), twin(paused)

    def __repr__(self) -> str:
        if not self.working:
            return f"Worker({self._activity})"
        return f"Worker({', '.join(self.agents) or 'no agents'}; {self._activity})"
