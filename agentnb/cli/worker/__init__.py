"""``agentnb worker``: processes the jobs of queues, and does the tasks of agents."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]

_FIRST_ANSWER = 3.0  # seconds


def run(options: argparse.Namespace) -> int:
    """Work until told to stop, and return the exit code."""
    import agentnb
    from agentnb.cli.worker.sources import sources
    from agentnb.cli.worker.supervisor import supervise
    from agentnb.cli.worker.working import work, work_alone

    if options.agents is not None and options.processes:
        raise UsageError("agents work in threads: --processes is for queues", service="cli")
    with agentnb.connect() as hub:
        # Without a queue's name it is all that the apps mark, unless agents are asked for.
        queues = options.agents is None or options.queue
        found = sources(options, hub.settings.home) if queues else []
        if queues:
            hub.queues.kind = "process"
            # Said now, where a wrong setting can be mended; later a worker waits for its server.
            hub.redis.within(_FIRST_ANSWER).ping()
        if options.life is not None:
            orderly = work_alone(hub, found, options)
        elif options.processes:
            return supervise(hub, found, options)
        else:
            orderly = work(hub, found, options)
    if not orderly:
        # What was handed back may run on in a thread that cannot be ended but with the process.
        sys.stdout.flush()
        os._exit(0)
    return 0
