"""``agentnb worker``: processes the jobs of queues, and does the tasks of agents."""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING

from agentnb.core.errors import UnavailableError, UsageError

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
    from agentnb.cli.worker.consume import consume, consume_supervised
    from agentnb.cli.worker.show import Screen
    from agentnb.cli.worker.sources import sources
    from agentnb.cli.worker.supervisor import supervise

    if options.agents is not None and options.processes:
        raise UsageError(
            "agents work in threads: --processes is for queues",
            service="cli",
            hint="leave --processes out, or start one worker for queues and one for agents",
        )
    with agentnb.connect() as hub:
        screen = Screen(quiet=options.quiet, log=options.log, redactor=hub.settings.redactor)
        apps = Apps(options.app)
        found = sources(options, hub.settings.home, apps)
        # Now, where a wrong setting can be mended; later a worker waits for its server.
        if found:
            _reach(hub.redis.within(_FIRST_ANSWER).ping, options.wait, screen)
        if options.agents is not None:
            _reach(hub.workflows.ping, options.wait, screen)
        if options.heartbeat is not None:
            orderly = consume_supervised(hub, found, options)
        elif options.processes:
            return supervise(hub, found, apps, options, screen)
        else:
            orderly = consume(hub, found, apps, options, screen)
    if not orderly:
        # What was handed back may run on in a thread that cannot be ended but with the process.
        sys.stdout.flush()
        os._exit(0)
    return 0


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
