"""A worker in this process: by threads, or one that is looked after and runs one job at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentnb.cli.worker.agents import AgentPost
from agentnb.cli.worker.draining import Draining
from agentnb.cli.worker.life import Life
from agentnb.cli.worker.post import Post
from agentnb.cli.worker.show import JobLines, Screen
from agentnb.cli.worker.signals import Signals

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agentnb.cli.worker.sources import Source
    from agentnb.core.hub import Hub

__all__ = ["work", "work_alone"]

_LOOK = 0.1


def work(hub: Hub, sources: list[Source], options: argparse.Namespace) -> bool:
    """Work until told to stop, or until nothing is left; return whether all that ran has ended."""
    screen = Screen(quiet=options.quiet)
    queues = [hub.queue(source.queue) for source in sources]
    draining = Draining(queues, screen) if options.drain else None
    agents = None if options.agents is None else AgentPost(hub, options, screen.say)
    for source in sources:
        threads = "1 thread" if options.concurrency == 1 else f"{options.concurrency} threads"
        screen.say(f"{source.queue}  {source.processor.name}, {threads}, on {hub.redis.target}")

    def done() -> bool:
        return draining is not None and draining.done() and (agents is None or agents.done())

    def say_stopping() -> None:
        running = sum(len(queue.huey.storage.running) for queue in queues)
        running += agents.running if agents is not None else 0
        screen.clear()
        if running:
            screen.say(f"stopping: {running} running, up to {options.grace:g} s; again: at once")

    orderly = _until_told(
        hub,
        sources,
        options,
        tell=screen.tell,
        done=done,
        agents=agents,
        stopping=say_stopping,
    )
    screen.clear()
    screen.sum_up()
    return orderly


def work_alone(hub: Hub, sources: list[Source], options: argparse.Namespace) -> bool:
    """Work as one of several processes; a job that takes too long ends this one."""
    life = Life(options.life, min(1.0, hub.settings.queue_lease / 5))
    for source in sources:
        hub.queue(source.queue).kills = True
    return _until_told(
        hub, sources, options, tell=life.tell, done=lambda: False, stopping=lambda: None
    )


def _until_told(
    hub: Hub,
    sources: list[Source],
    options: argparse.Namespace,
    *,
    tell: Callable[[str, str], object],
    done: Callable[[], bool],
    stopping: Callable[[], object],
    agents: AgentPost | None = None,
) -> bool:
    with (
        Signals(lambda number: os._exit(128 + number)) as signals,
        JobLines(hub.runtime.hub_id, tell),
    ):
        posts: list[Post | AgentPost] = [] if agents is None else [agents]
        posts += [
            Post(
                hub.queue(source.queue),
                source,
                concurrency=options.concurrency,
                grace=options.grace,
                tell=lambda line: tell("", line),
            )
            for source in sources
        ]
        for post in posts:
            post.start()
        while not signals.wait(_LOOK) and not done():
            for post in posts:
                post.look()
        stopping()
        for thread in [post.stop() for post in posts]:
            thread.join()
    return all(post.orderly for post in posts)
