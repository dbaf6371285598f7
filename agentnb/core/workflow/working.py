"""The part of an orchestrator that works, and that waits for what is worked on."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError, DeadlineExceeded
from agentnb.core.ranges import end_of, whole
from agentnb.core.workflow.base import Base
from agentnb.core.workflow.errors import TaskFailed
from agentnb.core.workflow.spec import check_name, several
from agentnb.core.workflow.worker import Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from agentnb.core.workflow.workflow import Workflow

__all__ = ["Working"]

_FIRST_LOOK, _LAST_LOOK = 0.02, 0.2  # seconds between two looks at a workflow
_SAY_SO = 2.0
_CLOSING = 5.0
_MOST_THREADS = 1000


class Working(Base):
    """The part of an `Orchestrator` that works; parameters as there."""

    _worker: Worker | None = None

    def work(
        self,
        agents: Sequence[str] | None = None,
        *,
        concurrency: int = 4,
        kind: str = "kernel",
    ) -> Worker:
        """Do the tasks of agents in this process, in threads, until the worker is stopped.

        Working again replaces the worker, unless it would be the same.

        Parameters
        ----------
        agents
            Their names; default: all that this process registers, now and later.
        concurrency
            How many tasks are done at once.
        kind
            ``kernel``, or ``process`` for a worker process.

        Returns
        -------
        Worker
            To stop it, or to wait until everything is done.

        Raises
        ------
        UsageError
            One of the agents is not known here.
        ConfigError
            One was made by a cell, and cannot be used in this process.
        """
        concurrency = whole("concurrency", concurrency, service="workflow", most=_MOST_THREADS)
        named = None
        if agents is not None:
            given = several("agents", agents, "the names of agents")
            named = tuple(dict.fromkeys(check_name(name, "an agent") for name in given))
        for name in named or ():
            self.registry.find(name)
        with self._lock:
            running = self.worker
            if running is not None:
                if running.same(named, concurrency):
                    return running
                running.stop()
            self._worker = Worker(self, named, concurrency=concurrency, kind=kind)
            self._worker.start()
            return self._worker

    @property
    def worker(self) -> Worker | None:
        """The worker of this process, or None."""
        found = self._worker
        return found if found is not None and found.working else None

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop the worker of this process, if there is one; see `Worker.stop`."""
        worker = self.worker
        return worker.stop(timeout) if worker is not None else True

    def _wait(self, workflow: Workflow, timeout: float | None, left: threading.Event) -> Workflow:
        began = monotonic()
        until = end_of(timeout, service="workflow", since=began)
        pause, look, said = _FIRST_LOOK, began + _SAY_SO, ""
        while not left.is_set():
            seen = self.bell.count
            state, _, _ = self.reader.progress(workflow.id)
            now = monotonic()
            if state != "active":
                return _ended(workflow.refresh())
            if until is not None and now >= until:
                raise DeadlineExceeded(
                    f"workflow {workflow.name} ({workflow.id}) has not ended within {timeout:g} s",
                    service="workflow",
                    hint=workflow.why_waiting() or "wait longer; it goes on meanwhile",
                )
            if now > look:
                look = now + _SAY_SO
                if (why := workflow.why_waiting()) and why != said:
                    self.log.warning("workflow %s: %s", workflow.id, why)
                said = why
            self.bell.wait(seen, pause if until is None else min(pause, until - now))
            pause = min(pause * 1.5, _LAST_LOOK)
        return workflow

    def close(self) -> None:
        """Stop what works here; what runs has five seconds, and is then given back."""
        try:
            self.stop(_CLOSING)
        except AgentnbError as error:
            self.log.warning("the worker was not stopped in an orderly way: %s", error)
        # Only what was used: closing opens nothing.
        if "bell" in vars(self):
            self.bell.close()
        if vars(self).get("relay") is not None and self.relay is not None:
            self.relay.close()
        self.loop.close()
        if self._owns:
            self.database.close()


def _ended(workflow: Workflow) -> Workflow:
    if workflow.state == "completed":
        return workflow
    how = "was cancelled" if workflow.state == "cancelled" else f"failed: {workflow.error}"
    raise TaskFailed(
        f"workflow {workflow.name} ({workflow.id}) {how}",
        service="workflow",
        hint=(
            f"%workflow show {workflow.id} has its tasks; "
            f"workflow.retry() (%workflow retry {workflow.id}) tries again"
        ),
    )
