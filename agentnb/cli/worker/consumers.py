"""The consumers of a worker process: one for each queue, and one for agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.background import run_in_thread
from agentnb.core.errors import AgentnbError, ConfigError, UsageError, did_you_mean
from agentnb.core.forking import new_event
from agentnb.core.work.attempt import Released

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from concurrent.futures import Future

    from agentnb.cli.worker.apps import Apps
    from agentnb.cli.worker.sources import Source
    from agentnb.core.hub import Hub
    from agentnb.core.queue import Queue
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.work.worker import Worker as BaseWorker
    from agentnb.core.workflow import Worker

__all__ = ["AgentConsumer", "Consumer", "QueueConsumer"]

_REFUSED_SECONDS = 5.0


class Consumer:
    """Runs units of work in threads of this process until it is stopped.

    Parameters
    ----------
    options
        Those of the command line.
    show
        Called with a line for people.

    Attributes
    ----------
    orderly
        Whether everything that ran when it was stopped came to its end.
    """

    def __init__(self, options: argparse.Namespace, show: Callable[[str], object]) -> None:
        self.orderly = True
        self._options = options
        self._show = show
        self._stopping: Future[None] | None = None

    def start(self) -> None:
        """Begin to claim units."""
        raise NotImplementedError

    def look(self) -> None:
        """Look for newer code."""
        raise NotImplementedError

    @property
    def busy(self) -> int:
        """How many units run."""
        raise NotImplementedError

    @property
    def executor_away(self) -> bool:
        """Whether its executor takes no attempts."""
        raise NotImplementedError

    def _stop(self) -> bool:
        """Stop, and return whether everything ended by itself."""
        raise NotImplementedError

    def stop(self) -> Future[None]:
        """Begin to stop; the result is there at the end."""
        if self._stopping is None:
            self._stopping = run_in_thread(self._note_stop, name="stop")
        return self._stopping

    def _note_stop(self) -> None:
        self.orderly = self._stop()


class QueueConsumer(Consumer):
    """Processes the jobs of one queue, with a processor that may change meanwhile.

    Parameters
    ----------
    queue, source
        The queue, and the source of its processor.
    options, show
        As in `Consumer`.
    """

    def __init__(
        self,
        queue: Queue,
        source: Source,
        options: argparse.Namespace,
        show: Callable[[str], object],
    ) -> None:
        super().__init__(options, show)
        self._queue = queue
        self._source = source
        self._used: object = None
        self._stopped = new_event()

    def start(self) -> None:
        """Begin to process jobs."""
        self._stopped.clear()
        self._stopping = None
        self._use_processor()
        self._queue.work(
            concurrency=self._options.concurrency,
            kind="process",
            executor=self._options.executor,
            before=self._before,
        )

    def stop(self) -> Future[None]:
        """Begin to stop; the result is there at the end."""
        self._stopped.set()
        return super().stop()

    def _stop(self) -> bool:
        return self._queue.stop(self._options.grace)

    @property
    def busy(self) -> int:
        """How many jobs run."""
        worker = self._queue.worker
        return worker.busy if worker is not None else 0

    @property
    def executor_away(self) -> bool:
        """Whether its executor takes no attempts."""
        return _is_away(self._queue.worker)

    def look(self) -> None:
        """Look for a newer processor; while it is refused, nothing is claimed."""
        self._refresh()
        refused = self._source.refused
        if refused is not None and self._stopping is None:
            self._show_error(refused)
            self._show(f"{self._queue.name}  its jobs wait until then")
            self.stop()
        elif refused is None and self._stopping is not None and self._stopping.done():
            self.start()

    def _refresh(self) -> None:
        error = self._source.refresh()
        if error is not None:
            self._show_error(error)
            self._show(f"{self._queue.name}  the processor from before is used on")
        self._use_processor()

    def _use_processor(self) -> None:
        processor = self._source.processor
        if processor is self._used or self._source.refused is not None:
            return
        if self._used is not None:
            self._show(f"{self._queue.name}  the processor was replaced: {processor.name}")
        self._used = processor
        self._queue.process(
            processor.function,
            schema=processor.schema,
            returns=processor.returns,
            timeout=processor.timeout,
            source=processor.source,
            cell=processor.cell,
        )

    def _show_error(self, error: AgentnbError) -> None:
        self._show(f"{self._queue.name}  {error}" + (f" ({error.hint})" if error.hint else ""))

    def _before(self, _attempt: Attempt) -> None:
        """Use the newest processor for a job, in the thread that processes it."""
        self._refresh()
        if self._source.refused is not None:
            self._stopped.wait(_REFUSED_SECONDS)
            raise Released


class AgentConsumer(Consumer):
    """Does the tasks of agents: marked in modules, or made by cells and kept in the home.

    Parameters
    ----------
    hub
        The hub.
    apps
        The modules that mark agents.
    options, show
        As in `Consumer`.

    Raises
    ------
    ConfigError
        An agent is not known, cannot be used in a worker process, or no module has one.
    """

    def __init__(
        self, hub: Hub, apps: Apps, options: argparse.Namespace, show: Callable[[str], object]
    ) -> None:
        super().__init__(options, show)
        self._workflows = hub.workflows
        self._shown: dict[str, str] = {}
        self._worker: Worker | None = None
        registry = self._workflows.registry
        for agent in apps.agents.values():
            registry.add(agent)
        self._requested = tuple(options.agents) or None
        for name in self._requested or ():
            self._check(name, apps)
        if self._requested is None and apps.names and not apps.agents:
            raise ConfigError(
                f"{apps.names} marks no agent",
                service="workflow",
                hint="mark them: from agentnb.core.workflow import agent; @agent('NAME')",
            )

    def _check(self, name: str, apps: Apps) -> None:
        registry = self._workflows.registry
        known = [*registry.registered(), *registry.kept()]
        if name not in known:
            if name in apps.processors:
                raise UsageError(
                    f"{name} is a queue, not an agent",
                    service="workflow",
                    hint=f"name queues before --agents: agentnb worker {name} --agents",
                )
            raise ConfigError(
                f"there is no agent {name} here: no cell of a notebook was kept for it",
                service="workflow",
                hint=did_you_mean(name, known)
                or "run such a cell, or name a module: --app pkg.module; other machines always "
                "need that",
            )
        registry.find(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The agents that can be used now."""
        registry = self._workflows.registry
        usable = []
        for name in self._requested or dict.fromkeys([*registry.registered(), *registry.kept()]):
            try:
                agent = registry.find(name)
            except AgentnbError as error:
                self._show_once(name, f"agent {name} waits: {error}")
            else:
                self._show_once(name, f"agent {name} is {agent.module}")
                usable.append(name)
        return tuple(usable)

    def _show_once(self, name: str, line: str) -> None:
        if self._shown.get(name) != line:
            self._shown[name] = line
            self._show(line)

    def start(self) -> None:
        """Begin to do tasks."""
        names = self.names
        if not names:
            self._show("no agent yet: one that a notebook makes is served from then on")
        self._worker = self._workflows.work(
            names,
            concurrency=self._options.concurrency,
            kind="process",
            executor=self._options.executor,
        )

    def look(self) -> None:
        """Look for newer agents."""
        if self._worker is not None:
            self._worker.serve(self.names)

    @property
    def busy(self) -> int:
        """How many tasks run."""
        return self._worker.busy if self._worker is not None else 0

    @property
    def executor_away(self) -> bool:
        """Whether its executor takes no attempts."""
        return _is_away(self._worker)

    @property
    def left(self) -> int:
        """How many tasks of its agents wait, run or are delayed."""
        return self._worker.left() if self._worker is not None else 0

    @property
    def parked(self) -> int:
        """How many tasks of its agents are parked."""
        return self._worker.parked() if self._worker is not None else 0

    @property
    def paused(self) -> int:
        """How many tasks of its agents wait, are delayed or parked in paused workflows."""
        return self._worker.paused() if self._worker is not None else 0

    def _stop(self) -> bool:
        return self._workflows.stop(self._options.grace)


def _is_away(worker: BaseWorker | None) -> bool:
    return worker is not None and worker.elsewhere is not None and worker.elsewhere.away
