"""How often a loader runs when 16 callers in 4 processes want the same key at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import peers
from rounds import Row, embedded, scratch

PROCESSES, CALLERS = 4, 4
SECONDS = 0.1
OURS = "get_or_set"


def note(log, key):
    """Add a line to the file of runs; one write, which no other process' gets into."""
    with log.open("a") as file:
        file.write(f"{key}\n")


def threads(get):
    """Return a function that lets several threads ask for a key at once."""

    def ask(key):
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(get, [key] * CALLERS))

    return ask


def tasks(get, run):
    """Return a function that lets several tasks ask for a key at once."""

    async def ask(key):
        await asyncio.gather(*(get(key) for _ in range(CALLERS)))

    return lambda key: run(ask(key))


def with_threads(hub, path, load):
    """Yield the caches that are called from threads, by name."""
    yield OURS, lambda key: hub.cache.get_or_set(key, lambda: load(key), peers.TTL)
    if peers.installed("dogpile.cache"):
        region = peers.dogpile(path)
        yield "dogpile.cache", lambda key: region.get_or_create(key, lambda: load(key))
        locked = peers.dogpile(path, distributed_lock=True, thread_local_lock=False)
        yield "with distributed_lock", lambda key: locked.get_or_create(key, lambda: load(key))


def with_tasks(path, run, load):
    """Yield the caches that are awaited, by name."""
    if peers.installed("cashews"):
        cache = run(peers.cashews(path))
        yield "cashews", cache(ttl=peers.TTL, key="plain:{key}")(load)
        yield "with lock", cache(ttl=peers.TTL, key="locked:{key}", lock=True)(load)
    if peers.installed("aiocache"):
        from aiocache import cached, cached_stampede

        about = {"ttl": peers.TTL, "key_builder": lambda _, key: key}
        for name, decorator in (("aiocache", cached), ("cached_stampede", cached_stampede)):
            made = decorator(**about)
            made.cache = peers.aiocache(path)  # its own would be told a host, not a socket
            yield name, partial(made.decorator, load)


def candidates(hub, path, log, run):
    """Yield each cache's name and a function that asks for a key several times at once."""

    def load(key):
        note(log, key)
        time.sleep(SECONDS)
        return "a value"

    async def aload(key):
        note(log, key)
        await asyncio.sleep(SECONDS)
        return "a value"

    for name, get in with_threads(hub, path, load):
        yield name, threads(get)
    for name, get in with_tasks(path, run, aload):
        yield name, tasks(get, run)


def ask(path, log, rounds, barrier):
    """Ask for one key after the other, when all processes are ready."""
    import agentnb

    with agentnb.connect() as hub, peers.loop() as run:
        for name, call in candidates(hub, path, log, run):
            for turn in range(rounds):
                barrier.wait(60)
                call(f"{name}|{turn}")
            barrier.wait(60)


def measure(*, quick):
    """Return the rows of this subject."""
    rounds = 2 if quick else 10
    context = multiprocessing.get_context("spawn")
    with scratch() as folder, embedded() as (_, path):
        log = Path(folder) / "runs"
        barrier = context.Barrier(PROCESSES)
        workers = [
            context.Process(target=ask, args=(path, log, rounds, barrier), daemon=True)
            for _ in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(300)
        if any(worker.exitcode for worker in workers):
            raise RuntimeError("a process that asks has failed")
        runs = Counter(log.read_text().splitlines())
    found = {}
    for key, count in runs.items():
        found.setdefault(key.partition("|")[0], []).append(count)
    assert len(found[OURS]) == rounds, os.fspath(log)
    names = ["dogpile.cache", "with distributed_lock", "cashews", "with lock"]
    names += ["aiocache", "cached_stampede"]
    ours = max(found.pop(OURS))
    shown = [
        f"{name} {statistics.median(found[name]):.0f}" if name in found else f"{name} not installed"
        for name in names
    ]
    what = f"runs of the loader for {PROCESSES * CALLERS} callers in {PROCESSES} processes, at most"
    return [Row(what, str(ours), " · ".join(shown), ours, 1, "runs")]
