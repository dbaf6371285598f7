"""A worker without threads: it runs units of work in the thread that calls it, one by one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from agentnb.core.errors import AgentnbError
from agentnb.core.work.attempt import Attempt, report
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, WorkerInfo, WorkStore

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.work.attempt import WorkHandler
    from agentnb.core.work.store import Outcome

__all__ = ["InlineStore", "InlineWorker", "Ran"]


class InlineStore(WorkStore, Protocol):
    """A store that can be asked when its next delayed unit is due, and to fire schedules."""

    def due(self) -> float | None:
        """Return the seconds until the next delayed unit is due; None for none."""

    def fire_due(self) -> object:
        """Fire the schedules that are due."""


class Ran(NamedTuple):
    """A unit that was run: its claim, its outcome, and its state after it (None: not counted)."""

    claim: Claim
    outcome: Outcome
    state: str | None


class InlineWorker:
    """Runs the units of a store in the caller's thread, as a test wants them.

    It renews no lease and kills nothing: an attempt at a plain function may take as long as it
    likes. Coroutines are cancelled at their time-outs.

    Parameters
    ----------
    store, handler, loop, log
        As those of `agentnb.core.work.worker.Worker`.
    """

    def __init__(
        self,
        store: InlineStore,
        handler: WorkHandler,
        *,
        loop: LoopThread,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.store = store
        self.owner = new_owner()
        self._handler = handler
        self._loop = loop
        self._log = log

    def __enter__(self) -> Self:
        """Record the worker, so that others leave its units alone."""
        self.store.join(self.owner, WorkerInfo(1, "test"))
        self.store.fire_due()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(AgentnbError):
            self.store.leave(self.owner)

    def due(self) -> float | None:
        """Return the seconds until the next delayed unit is due; None for none."""
        return self.store.due()

    def run_next(self, before: Callable[[Claim], object] | None = None) -> Ran | None:
        """Claim the next unit and run it; return None if none is due.

        Parameters
        ----------
        before
            Called with the claim before its unit is run.
        """
        claim = self.store.claim(self.owner)
        if not isinstance(claim, Claim):
            return None
        if before is not None:
            before(claim)
        attempt = Attempt(claim, self._handler, self._loop, self._log)
        outcome = attempt.run()
        attempt.settle()
        try:
            finished = self.store.finish(claim, outcome, then_claim=False)
        except AgentnbError as error:
            other = self._handler.substitute(attempt, outcome, error)
            if other is None:
                raise
            outcome = other
            finished = self.store.finish(claim, outcome, then_claim=False)
        report(self._log, self._handler.ended, attempt, outcome, finished.state)
        return Ran(claim, outcome, finished.state)
