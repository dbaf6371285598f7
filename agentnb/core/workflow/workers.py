"""The workers of agents, of all machines, as the database knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agentnb.core.format import duration
from agentnb.core.moments import moment_of
from agentnb.core.table import Column, Table
from agentnb.core.work.identity import is_dead

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["SilentWorker", "silent_workers", "worker_table"]

_PID = 2  # of the parts of an owner
_ALIVE = """
select w.owner, w.host, w.kind, w.executor, w.concurrency, w.started, {clock} - w.heartbeat,
  w.agents, (select count(*) from {task} t where t.scope = w.scope and t.state = 'active'
    and t.owner = w.owner)
from {worker} w where w.scope = :scope and w.heartbeat + w.lease >= {clock}
order by w.host, w.owner
"""


_SILENT = """
select w.owner, w.host, {clock} - w.heartbeat, w.agents
from {worker} w where w.scope = :scope and w.heartbeat + w.lease < {clock}
order by w.heartbeat
"""


class SilentWorker(NamedTuple):
    """A worker without a heartbeat that is not known to be dead.

    Attributes
    ----------
    host
        Its host.
    seen
        Seconds since its last heartbeat.
    agents
        The names of its agents.
    """

    host: str
    seen: float
    agents: tuple[str, ...]


def silent_workers(tx: Transaction, scope: str) -> list[SilentWorker]:
    """Return the workers whose lease has run out, and that did not leave; the longest first."""
    return [
        SilentWorker(host, float(seen), tuple(msgspec.json.decode(agents)))
        for owner, host, seen, agents in tx.rows(_SILENT, scope=scope)
        if not is_dead(owner)
    ]


def worker_table(tx: Transaction, scope: str) -> Table:
    """Return a row for each worker that is alive."""
    rows = []
    for owner, host, kind, executor, concurrency, started, seen, agents, running in tx.rows(
        _ALIVE, scope=scope
    ):
        if is_dead(owner):
            continue
        parts = owner.split("|")
        pid = int(parts[_PID]) if len(parts) > _PID and parts[_PID].isdigit() else None
        rows.append(
            (
                *(host, pid, kind, executor, running, concurrency, moment_of(started)),
                f"{duration(max(seen, 0.0))} ago",
                ", ".join(msgspec.json.decode(agents)),
            )
        )
    columns = (
        *("host", "pid", "in", "executor", "running", "concurrency"),
        *(Column("started", "time"), "seen", "agents"),
    )
    return Table(
        columns,
        rows,
        empty="no worker is running: hub.workflows.work() (%workflow work), "
        "or agentnb worker --agents",
    )
