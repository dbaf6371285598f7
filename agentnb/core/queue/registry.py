"""The workers of a queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from agentnb.core.format import duration
from agentnb.core.moments import moment_of
from agentnb.core.table import Column, Table
from agentnb.core.work.identity import describe, is_dead

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

__all__ = ["About", "WorkerInfo", "living", "worker_table"]

_SILENT = 20.0
_FORGOTTEN = 3600.0
_DEAD_KEPT = 600.0


class About(msgspec.Struct, omit_defaults=True):
    """The description of a worker, as its heartbeat records it."""

    host: str = ""
    pid: int = 0
    kind: str = ""
    concurrency: int = 0
    processor: str = ""
    running: int = 0
    shared: bool = False
    """Whether its process has other workers too."""
    executor: str = "threads"
    started: float = 0.0
    function: str = ""
    """The name of its processor's function, by which jobs say what they are for."""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker.

    Attributes
    ----------
    name
        In short: its process's id and a few letters.
    owner
        In full.
    host, pid, kind
        The host, the process, and its kind: ``kernel`` or ``process``.
    concurrency, running
        How many jobs it runs at once, and how many it did at its last heartbeat.
    processor
        Its function.
    executor
        Where its attempts run: ``threads``, ``4 processes``, ``dask 2x4``.
    started
        When it began, by its host's clock; None where an older version does not say.
    seen
        Seconds since its last heartbeat, by the server's clock; one comes every 5 s.
    function
        The name of its function, by which jobs say what they are for; empty of earlier code.
    """

    name: str
    owner: str
    host: str
    pid: int
    kind: str
    concurrency: int
    running: int
    processor: str
    seen: float
    executor: str = "threads"
    started: dt.datetime | None = None
    function: str = ""


def living(
    answer: Mapping[bytes, bytes], now: int
) -> tuple[list[WorkerInfo], list[WorkerInfo], list[str]]:
    """Return the workers that are alive, those that are silent, and the owners of dead ones.

    A silent worker has missed several heartbeats, and may be alive on a host that is cut off.

    Parameters
    ----------
    answer
        The ms of the last heartbeat and the description of each worker, by its owner.
    now
        The server's clock, in ms.
    """
    alive: list[WorkerInfo] = []
    silent: list[WorkerInfo] = []
    dead: list[str] = []
    for key, value in answer.items():
        owner = key.decode()
        when, _, about = value.partition(b" ")
        seen = max(now - int(when), 0) / 1000
        gone = is_dead(owner)
        # Those who reclaim its jobs read the description of a dead worker.
        if seen > (_DEAD_KEPT if gone else _FORGOTTEN):
            dead.append(owner)
        elif not gone:
            (alive if seen <= _SILENT else silent).append(_info(owner, about, seen))
    return sorted(alive, key=_place), sorted(silent, key=_place), dead


def _place(worker: WorkerInfo) -> tuple[str, int, str]:
    return worker.host, worker.pid, worker.owner


def _info(owner: str, about: bytes, seen: float) -> WorkerInfo:
    try:
        read = msgspec.json.decode(about, type=About)
    except msgspec.MsgspecError:
        read = About()
    return WorkerInfo(
        describe(owner),
        owner,
        read.host,
        read.pid,
        read.kind,
        read.concurrency,
        read.running,
        read.processor,
        round(seen, 1),
        read.executor,
        moment_of(read.started) if read.started else None,
        read.function,
    )


def worker_table(found: Iterable[tuple[str, WorkerInfo]], *, empty: str) -> Table:
    """Return workers, each with its queue, as a table.

    Parameters
    ----------
    found
        The names of queues and their workers.
    empty
        The line where there is none.
    """
    columns = (
        *("queue", "host", "pid", "in", "executor", "running", "concurrency"),
        *(Column("started", "time"), "seen", "processor"),
    )
    rows = [
        (
            *(name, one.host, one.pid, one.kind, one.executor, one.running, one.concurrency),
            *(one.started, f"{duration(one.seen)} ago", one.processor),
        )
        for name, one in found
    ]
    return Table(columns, rows, empty=empty)
