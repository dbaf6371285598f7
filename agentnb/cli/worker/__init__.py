"""``agentnb worker``: processes the jobs of queues, and does the tasks of agents."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from time import monotonic, sleep
from typing import TYPE_CHECKING

from agentnb.core.errors import UnavailableError, UsageError
from agentnb.core.trace.process import set_role
from agentnb.core.work.executors.words import PROCESSES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agentnb.cli.worker.show import Screen

__all__ = ["run"]

_FIRST_ANSWER = 3.0  # seconds
_PAUSE = 0.5


def run(options: argparse.Namespace) -> int:
    """Work until told to stop, and return the exit code."""
    import agentnb
    from agentnb.cli.worker.apps import Apps
    from agentnb.cli.worker.consume import consume
    from agentnb.cli.worker.show import Screen
    from agentnb.cli.worker.sources import sources
    from agentnb.cli.worker.watching import Status, offered

    recorded = {} if options.record is None else {"record": options.record}
    with agentnb.connect(**recorded) as hub:
        options.executor = _executor(options, hub.settings.executor)
        screen = Screen(quiet=options.quiet, log=options.log, redactor=hub.settings.redactor)
        _import_services(options)
        apps = Apps(options.app)
        found = sources(options, hub.settings.home, apps)
        set_role(_role([one.queue for one in found]))
        status = Status()
        with offered(
            hub,
            options.metrics or hub.settings.metrics,
            status,
            queues=[one.queue for one in found],
            agents=options.agents is not None,
            say=screen.say,
        ):
            # Now, where a wrong setting can be mended; later a worker waits for its server.
            if found:
                _reach(hub.redis.within(_FIRST_ANSWER).ping, options.wait, screen)
            if options.agents is not None:
                _reach(hub.workflows.ping, options.wait, screen)
            orderly = consume(hub, found, apps, options, screen, status)
    if not orderly:
        # What was handed back may run on in a thread that cannot be ended but with the process.
        sys.stdout.flush()
        os._exit(0)
    return 0


def _import_services(options: argparse.Namespace) -> None:
    """Import what the worker needs in any case, and leave it out of all looks for garbage.

    Code of the user's is imported later: what it leaves open is closed at the end.
    """
    names = ["redis.asyncio"]
    if options.queue or options.agents is None:
        names += ["agentnb.core.queue.queues"]
    if options.agents is not None:
        names += ["sqlalchemy", "agentnb.core.workflow.orchestrator"]
    for name in names:
        import_module(name)
    gc.freeze()


def _role(queues: list[str]) -> str:
    """Return the role that the spans of this process tell."""
    return f"worker {', '.join(queues)}" if queues else "agents"


def _executor(options: argparse.Namespace, default: str) -> str:
    """Return the executor that the options name, or the default of the settings.

    Raises
    ------
    UsageError
        Two are named.
    """
    if options.processes and options.executor not in {None, PROCESSES}:
        raise UsageError(
            f"--processes and --executor {options.executor} exclude each other",
            service="cli",
            hint="leave --processes out",
        )
    found: str = PROCESSES if options.processes else options.executor or default
    return found


def _reach(ping: Callable[[], object], wait: float, screen: Screen) -> None:
    """Call a server, again for some seconds while it is away.

    Raises
    ------
    UnavailableError
        The server was away all the time.
    """
    until = monotonic() + wait
    told = False
    while True:
        try:
            ping()
        except UnavailableError as error:
            if monotonic() >= until:
                raise
            if not told:
                told = True
                screen.say(f"waiting up to {wait:g} s: {error}")
        else:
            return
        sleep(min(_PAUSE, max(until - monotonic(), 0.0)))
