"""How long another client has to wait while 10,000 of 100,000 keys are invalidated."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from time import perf_counter

import peers
from rounds import Row, embedded, scratch, spelt

KEYS, GONE = 100_000, 10_000
STEP = 5_000
PATTERN = "gone:*"
OURS = "hub.cache.invalidate"
NOTHING = "nothing"


def watch(path, line):
    """Answer each word with the longest that a read took since the one before."""
    client = peers.raw(path)
    client.get("a key")
    line.send(0.0)
    while True:
        longest = 0.0
        while not line.poll():
            started = perf_counter()
            client.get("a key")
            longest = max(longest, perf_counter() - started)
            time.sleep(0.0002)
        if line.recv() == "end":
            return
        line.send(longest)


def fill(client, names):
    """Store a value of 100 B under each of these keys."""
    for start in range(0, len(names), STEP):
        client.mset(dict.fromkeys(names[start : start + STEP], b"x" * 100))


def candidates(hub, path, run):
    """Return what removes the same keys in different ways, by name."""
    client, cache = peers.raw(path), hub.cache
    pattern = cache._keys.cache(PATTERN)
    found = {
        OURS: lambda: cache.invalidate(PATTERN),
        "KEYS+DEL": lambda: client.delete(*client.keys(pattern)),
    }
    if peers.installed("cashews"):
        other = run(peers.cashews(path))

        async def delete_match():
            await other.delete_match(pattern)

        found["cashews"] = lambda: run(delete_match())
    found[NOTHING] = lambda: time.sleep(0.3)
    return found


def timed(calls, client, names, line, rounds):
    """Return for each candidate the seconds that it took, and the other client's longest."""
    took, stalls = {name: [] for name in calls}, {name: [] for name in calls}

    def longest():
        line.send("tell")
        return line.recv()

    for turn in range(rounds + 1):
        for name, call in calls.items():
            fill(client, names)
            longest()  # what the filling did is not asked
            started = perf_counter()
            call()
            spent, stall = perf_counter() - started, longest()
            assert name == NOTHING or not client.exists(*names), f"{name} has left some"
            if turn:  # the first warms up
                took[name].append(spent)
                stalls[name].append(stall)
    return took, stalls


def measure(*, quick):
    """Return the rows of this subject."""
    rounds = 3 if quick else 11
    context = multiprocessing.get_context("spawn")
    line, end = context.Pipe()
    with scratch(), embedded() as (hub, path), peers.loop() as run:
        client = peers.raw(path)
        key = hub.cache._keys.cache
        fill(client, [key(f"kept:{number}") for number in range(KEYS - GONE)])
        names = [key(f"gone:{number}") for number in range(GONE)]
        watcher = context.Process(target=watch, args=(path, end), daemon=True)
        watcher.start()
        line.recv()
        took, stalls = timed(candidates(hub, path, run), client, names, line, rounds)
        line.send("end")
        watcher.join(10)
    names = ["KEYS+DEL", "cashews"]
    shown = [
        f"{name} {spelt(stalls[name])} (done in {spelt(took[name])})"
        if name in took
        else f"{name} not installed"
        for name in names
    ]
    shown.append(f"{NOTHING} {spelt(stalls[NOTHING])}")
    what = f"another client's longest wait while {GONE:,} of {KEYS:,} keys are invalidated"
    value = statistics.median(stalls[OURS]) * 1000
    ours = f"{spelt(stalls[OURS])} (done in {spelt(took[OURS])})"
    return [Row(what, ours, " · ".join(shown), value, 15, "ms")]
