"""Awaited calls beside their synchronous twins, 200 at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from rounds import by_turns, compared, embedded, scratch

AT_ONCE = 200
TARGET = 1.3


def measure(*, quick):
    """Return a row for each service."""
    rounds = 5 if quick else 25
    with scratch(), embedded() as (hub, _), ThreadPoolExecutor(AT_ONCE) as pool:
        hub.open("db", "cache", "queue")
        hub.cache.set("key", 1)
        queue = hub.queue("mail")
        services = {
            "`db.aquery`": (lambda: hub.db.query("select 1"), lambda: hub.db.aquery("select 1")),
            "`cache.aget`": (lambda: hub.cache.get("key"), lambda: hub.cache.aget("key")),
            "`queue.aadd`": (lambda: queue.add(1), lambda: queue.aadd(1)),
        }
        with asyncio.Runner() as runner:
            return [
                _row(name, *calls, pool=pool, runner=runner, rounds=rounds)
                for name, calls in services.items()
            ]


def _row(name, call, awaited, *, pool, runner, rounds):
    async def gathered():
        await asyncio.gather(*(awaited() for _ in range(AT_ONCE)))

    found = by_turns(
        {
            "awaited": lambda: runner.run(gathered()),
            "200 threads": lambda: list(pool.map(lambda _: call(), range(AT_ONCE))),
            "one after another": lambda: [call() for _ in range(AT_ONCE)],
        },
        rounds=rounds,
        clock=perf_counter,
    )
    return compared(
        f"{name}, {AT_ONCE} at once",
        found,
        "awaited",
        "200 threads",
        target=TARGET,
        others=["one after another"],
    )
