"""Set and get of 100 B, and get of a copy in the process."""

from __future__ import annotations

import contextlib
import statistics
from time import perf_counter

import peers
from rounds import Row, by_turns, compared, embedded, ratio, scratch, spelt

CALLS = 400
LOCAL = "get, local=True"
VALUE = "one hundred characters of text: " + "x" * 68
RAW = "redis-py"
WAIT = "until the caller has it"


def candidates(hub, path, stack):
    """Return what sets, what gets, and what gets from nearby, by name; all values are there."""
    client, cache, tracer = peers.raw(path), hub.cache, hub.tracer
    data = VALUE.encode()
    sets = {
        RAW: lambda: client.set("raw", data, ex=peers.TTL),
        "agentnb": lambda: cache.set("ours", VALUE, peers.TTL),
    }
    gets = {RAW: lambda: client.get("raw"), "agentnb": lambda: cache.get("ours")}
    near = {RAW: gets[RAW], LOCAL: lambda: cache.get("ours", local=True)}
    if peers.installed("dogpile.cache"):
        region = peers.dogpile(path)
        sets["dogpile.cache"] = lambda: region.set("dogpile", VALUE)
        gets["dogpile.cache"] = lambda: region.get("dogpile")
    if peers.installed("diskcache"):
        from diskcache import Cache

        disk = stack.enter_context(Cache("disk"))
        disk.set("disk", VALUE, expire=peers.TTL)
        near["diskcache"] = lambda: disk.get("disk")
    for call in sets.values():
        call()
    run = stack.enter_context(peers.loop())
    found = []
    for calls, more in zip((sets, gets, near), asynchronous(path, run), strict=True):
        these = {name: peers.repeated(call, CALLS) for name, call in calls.items()}
        for name in these.keys() & {"agentnb", LOCAL}:
            these[name] = Written(these[name], tracer)
        these |= {name: peers.awaited(call, CALLS, run) for name, call in more.items()}
        found.append(these)
    return found


class Written:
    """Runs a batch, then writes its spans, at once; a thread would do it in others' time."""

    def __init__(self, batch, tracer):
        self.batch = batch
        self.tracer = tracer
        self.seconds = []

    def __call__(self):
        self.batch()
        started = perf_counter()
        self.tracer.flush()
        self.seconds.append((perf_counter() - started) / CALLS)


def asynchronous(path, run):
    """Return the same of the caches that are awaited."""
    sets, gets, near = {}, {}, {}
    if peers.installed("cashews"):
        cache = run(peers.cashews(path))
        run(cache.set("cashews", VALUE, expire=peers.TTL))
        sets["cashews"] = lambda: cache.set("cashews", VALUE, expire=peers.TTL)
        gets["cashews"] = lambda: cache.get("cashews")
        sided = run(peers.cashews(path, client_side=True))
        run(sided.set("sided", VALUE, expire=peers.TTL))
        near["cashews client_side"] = lambda: sided.get("sided")
    if peers.installed("aiocache"):
        other = peers.aiocache(path)
        run(other.set("aiocache", VALUE, ttl=peers.TTL))
        sets["aiocache"] = lambda: other.set("aiocache", VALUE, ttl=peers.TTL)
        gets["aiocache"] = lambda: other.get("aiocache")
    return sets, gets, near


def ahead(found, what, others):
    """Return the row beside the fastest of the others, if there are any."""
    there = [other for other in others if other in found]
    if not there:
        return []
    fastest = min(there, key=lambda other: statistics.median(found[other]))
    value = ratio(found, WAIT, fastest)
    shown = f"{fastest} {spelt(found[fastest], 'µs')}"
    what = f"{what}, {WAIT}, beside the fastest other cache"
    return [Row(what, spelt(found[WAIT], "µs"), shown, value, 1)]


def rows_of(calls, what, name, most, others, rounds):
    """Return the rows beside redis-py, spans written, and beside others, as a caller waits."""
    for call in calls.values():
        call()  # a copy in the process is fetched first
    found = by_turns(calls, rounds=rounds, clock=perf_counter)
    found = {one: [each / CALLS for each in seconds] for one, seconds in found.items()}
    pairs = zip(found[name], calls[name].seconds[-rounds:], strict=True)
    found[WAIT] = [both - writing for both, writing in pairs]
    about = {"target": most, "others": others, "unit": "µs"}
    return [
        compared(f"{what}, spans written included", found, name, RAW, **about),
        *ahead(found, what, others),
    ]


def measure(*, quick):
    """Return the rows of this subject."""
    rounds = 10 if quick else 40
    subjects = (
        ("set 100 B", "agentnb", 1 / 0.8, peers.CACHES),
        ("get 100 B", "agentnb", 1 / 0.8, peers.CACHES),
        ("get 100 B, `local=True`", LOCAL, 1 / 4, ("diskcache", "cashews client_side")),
    )
    rows = []
    with scratch(), embedded() as (hub, path), contextlib.ExitStack() as stack:
        found = candidates(hub, path, stack)
        for calls, (what, *about) in zip(found, subjects, strict=True):
            rows += rows_of(calls, what, *about, rounds)
    return rows
