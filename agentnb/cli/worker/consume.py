"""A worker in this process: it claims, and runs its units in threads or by an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.cli.worker.consumers import AgentConsumer, QueueConsumer
from agentnb.cli.worker.draining import Draining
from agentnb.cli.worker.show import JobLines
from agentnb.cli.worker.sources import prefix_of, say_sources
from agentnb.core.work.executors.words import PROCESSES, THREADS
from agentnb.core.work.stopping import Signals

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from agentnb.cli.worker.apps import Apps
    from agentnb.cli.worker.consumers import Consumer
    from agentnb.cli.worker.show import Screen
    from agentnb.cli.worker.sources import Source
    from agentnb.cli.worker.watching import Status
    from agentnb.core.hub import Hub

__all__ = ["consume"]

_LOOK_SECONDS = 0.1


def consume(
    hub: Hub,
    sources: list[Source],
    apps: Apps,
    options: argparse.Namespace,
    screen: Screen,
    status: Status,
) -> bool:
    """Consume until told to stop, or until nothing is left; return whether all that ran ended."""
    agents = None if options.agents is None else AgentConsumer(hub, apps, options, screen.say)
    queues = [hub.queue(source.queue) for source in sources]
    draining = Draining(queues, screen) if options.drain else None
    threads = _many(options.concurrency, options.executor)
    say_sources(hub, sources, threads, screen)
    if agents is not None:
        target = hub.workflows.database.access.backend.target
        screen.say(f"agents  {threads}, on {target}, {prefix_of(hub)}")
    for line in apps.unused([one.queue for one in sources], () if agents is None else agents.names):
        screen.say(line)

    def is_done() -> bool:
        done = draining is not None and draining.done() and (agents is None or not agents.left)
        if done and agents is not None:
            for line in _leftovers(agents):
                screen.clear()
                screen.say(f"agents  {line}")
        return done

    def say_stopping(consumers: list[Consumer]) -> None:
        running = sum(one.busy for one in consumers)
        screen.clear()
        if running:
            screen.say(f"stopping: {running} running, up to {options.grace:g} s; again: at once")

    consumers = _queue_consumers(hub, sources, options, screen.say)
    if agents is not None:
        consumers.insert(0, agents)
    with JobLines(hub.runtime.hub_id, screen.tell):
        orderly = _until_stopped(consumers, status, is_done=is_done, on_stop=say_stopping)
    screen.clear()
    screen.sum_up()
    return orderly


def _leftovers(agents: AgentConsumer) -> Iterator[str]:
    """Yield a line for the tasks that are parked, and one for those of paused workflows."""
    if parked := agents.parked:
        left = "task is left: it needs" if parked == 1 else "tasks are left: they need"
        yield f"{parked:,} parked {left} no worker"
    if paused := agents.paused:
        left = "task of a paused workflow is" if paused == 1 else "tasks of paused workflows are"
        yield f"{paused:,} {left} left: hub.workflows.resume(WORKFLOW) goes on with it"


def _queue_consumers(
    hub: Hub,
    sources: list[Source],
    options: argparse.Namespace,
    show: Callable[[str], object],
) -> list[Consumer]:
    return [QueueConsumer(hub.queue(source.queue), source, options, show) for source in sources]


def _until_stopped(
    consumers: list[Consumer],
    status: Status,
    *,
    is_done: Callable[[], bool] = lambda: False,
    on_stop: Callable[[list[Consumer]], object] = lambda _: None,
) -> bool:
    with Signals() as signals:
        status.signals = signals
        for one in consumers:
            one.start()
        status.executor_away = lambda: any(one.executor_away for one in consumers)
        status.started = True
        while not signals.wait(_LOOK_SECONDS) and not is_done():
            for one in consumers:
                one.look()
        status.stopped = True
        on_stop(consumers)
        for stopping in [one.stop() for one in consumers]:
            stopping.result()
    return all(one.orderly for one in consumers)


def _many(concurrency: int, executor: str) -> str:
    """Return how many units of a queue run at once, and where, for people."""
    one = {THREADS: "thread", PROCESSES: "process"}.get(executor)
    if one is None:
        return f"{concurrency} by {executor}"
    return f"1 {one}" if concurrency == 1 else f"{concurrency} {executor}"
