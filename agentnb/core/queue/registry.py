"""Who works on a queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from agentnb.core.work.identity import describe, is_dead

if TYPE_CHECKING:
    from agentnb.core.queue.store import JobStore

__all__ = ["About", "WorkerInfo", "workers_of"]

_SILENT = 20.0
_FORGOTTEN = 3600.0


class About(msgspec.Struct, omit_defaults=True):
    """What a worker says of itself."""

    host: str = ""
    pid: int = 0
    kind: str = ""
    concurrency: int = 0
    processor: str = ""
    running: int = 0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as others see it.

    Attributes
    ----------
    name
        In short: its process's id and a few letters.
    owner
        In full.
    host, pid, kind
        Where it runs, and whether in a ``kernel`` or a worker ``process``.
    concurrency, running
        How many jobs it runs at once, and how many it did at its last sign of life.
    processor
        Its function.
    seen
        Seconds since its last sign of life, by the server's clock; one comes every 5 s.
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


def workers_of(store: JobStore) -> list[WorkerInfo]:
    """Return the workers of a queue that are alive, as far as can be told; forget the others."""
    found = store.workers()
    if not found:
        return []
    now = store.now()
    alive = []
    for owner, (when, about) in found.items():
        seen = max(now - when, 0) / 1000
        if is_dead(owner) or seen > _FORGOTTEN:
            store.forget_worker(owner)
        elif seen <= _SILENT:
            alive.append(_info(owner, about, seen))
    return sorted(alive, key=lambda one: (one.host, one.pid, one.owner))


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
    )
