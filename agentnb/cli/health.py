"""``agentnb health``: whether the services answer, or a worker of this host is alive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentnb.cli.errors import print_error
from agentnb.core.errors import AgentnbError, UnavailableError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from agentnb.core.hub import Hub
    from agentnb.core.services import Readiness

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the state of each service; return 0 if all are well, 1 if not."""
    import agentnb

    if options.queue and not options.worker:
        raise UsageError(
            "queues are named only for --worker",
            service="cli",
            hint=f"agentnb health --worker {' '.join(options.queue)}",
        )
    _import_services(with_workers=options.worker)
    try:
        with agentnb.connect() as hub:
            found = (
                _workers(hub, options.queue, options.timeout)
                if options.worker
                else hub.ready(options.timeout)
            )
    except AgentnbError as error:
        print_error(error)
        return 1
    if options.json:
        print(json.dumps({"ok": found.ok, "services": found.services}))
    else:
        for service, state in found.services.items():
            print(f"{service}  {state}")
    return 0 if found else 1


def _import_services(*, with_workers: bool) -> None:
    """Import the services ahead: on a busy machine the imports take all the time to answer."""
    # By these names: the packages import their modules on first use.
    import sqlalchemy  # noqa: F401

    from agentnb.core.db import Database, Databases  # noqa: F401
    from agentnb.core.redis import RedisClient  # noqa: F401

    if with_workers:
        from agentnb.core.queue import Queues  # noqa: F401
        from agentnb.core.workflow import Orchestrator  # noqa: F401


def _workers(hub: Hub, queues: list[str], seconds: float) -> Readiness:
    """Return whether a worker of this host is alive, on each queue where some are named."""
    from agentnb.core.services import Prober, Readiness
    from agentnb.core.services.entry import Check

    checks = [Check(f"queue {one}", "", _on_queues(hub, [one])) for one in queues]
    if queues:
        return Readiness(Prober().states(checks, seconds))
    either = [Check("queues", "", _on_queues(hub, None)), Check("agents", "", _on_agents(hub))]
    found = Prober().states(either, seconds)
    alive = [one for one in found if one.state == "ok"]
    return Readiness(alive or found)


def _on_queues(hub: Hub, names: list[str] | None) -> Callable[[float], None]:
    def look(seconds: float) -> None:
        found = hub.queues.within(seconds).overview(names)
        _check([worker.owner for one in found for worker in one.workers])

    return look


def _on_agents(hub: Hub) -> Callable[[float], None]:
    def look(_seconds: float) -> None:
        workflows = hub.workflows
        with workflows._transactions.read() as tx:  # noqa: SLF001 - owners are of no use to others
            _check(workflows.registry.owners(tx))

    return look


def _check(owners: list[str]) -> None:
    """Raise where none of the workers is one of this host and pid namespace."""
    from agentnb.core.work.identity import host_of_owners, is_alive

    here = host_of_owners()
    if not any(owner.startswith(here) and is_alive(owner) for owner in owners):
        raise UnavailableError(
            f"no worker of this host is alive, {len(owners)} elsewhere",
            service="cli",
            hint="agentnb worker",
        )
