"""Traces that were never run: spans with the times that a test says."""

from __future__ import annotations

import random

from agentnb.core.trace.spans import Process, Span
from agentnb.core.trace.tree import Trace

TRACE = 0x1B77E0D2 << 96
BEGAN = 1_790_000_000.0
NOTEBOOK = Process(4101, "ada", "notebook")
WORKER = Process(4212, "ada", "worker mail")


class Sample:
    """Makes the spans of one trace; times are milliseconds since its beginning."""

    def __init__(self):
        self.spans = []

    def add(self, name, began, ms, *, below=None, outcome="ok", error=None, kind="call", **more):
        """Add ``service.name``; return it, to be what others lie below."""
        service, _, operation = name.partition(".")
        process = more.pop("process", below.process if below else NOTEBOOK)
        attempt, links = more.pop("attempt", 1), more.pop("links", ())
        span = Span(None, operation, service, attempt, more or None)
        span.trace, span.span = TRACE, len(self.spans) + 1
        span.parent = below.span if below else 0
        span._started, span.ms = BEGAN + began / 1000, ms
        span.outcome, span.error, span.kind = outcome, error, kind
        span.links, span.process = links, process
        self.spans.append(span)
        return span

    def trace(self, **options):
        """Return the trace of all spans."""
        return Trace(f"{TRACE:032x}", self.spans, **options)


def one_job():
    """Return the trace of a cell whose job, in a worker, queries, calls HTTP and publishes."""
    made = Sample()
    cell = made.add("notebook.cell", 0, 1034, kind="cell", number=12, source="job = queue.add()")
    add = made.add("queue.add", 0, 8, below=cell, queue="mail", job="j-1")
    work = made.add(
        "queue.process", 9, 1014, below=add, process=WORKER, kind="work", queue="mail", job="j-1"
    )
    made.add("db.connect", 351, 17, below=work)
    made.add("db.query", 371, 0.4, below=work, statement="select id, url from page where id = :id")
    url = "http://127.0.0.1:8000/x"
    get = {"below": work, "method": "GET", "url": url}
    failed = {"outcome": "UnavailableError", "error": "503 Service Unavailable"}
    made.add("api.GET", 438, 295, **get, **failed, status=503)
    made.add("api.GET", 1012, 2, **get, attempt=2, status=200)
    publish = made.add("events.publish", 1019, 5, below=work, channel="made", event="e-1")
    handle = made.add(
        "events.handle", 1024, 428, below=publish, process=NOTEBOOK, kind="work", channel="made"
    )
    made.add("db.query", 1451, 1, below=handle, statement="select 1")
    made.add("queue.result", 9, 1024, below=cell, kind="wait", queue="mail", job="j-1")
    return made.trace()


def many(count=5_000, *, seed=1):
    """Return the trace of a cell whose 200 jobs, in three workers, make about so many spans."""
    dice = random.Random(seed)
    made = Sample()
    cell = made.add("notebook.cell", 0, 4140, kind="cell", number=12)
    workers = [Process(4212 + number, "ada", "worker scrape") for number in range(3)]
    each = max(1, (count - 402) // 200)
    for number in range(200):
        add = made.add("queue.add", number * 1.6, 1.1, below=cell, queue="scrape")
        began = 30 + number * 20
        job = {"process": workers[number % 3], "kind": "work", "waited_ms": began - number * 1.6}
        failed = {"outcome": "ValueError", "error": "no title"} if number == 40 else {}
        work = made.add("queue.process", began, 60, below=add, **job, **failed)
        for step in range(each):
            at = began + step * 58 / each
            name = dice.choice(("db.query", "db.query", "cache.get", "api.GET", "events.publish"))
            took = dice.expovariate(1 / 1.5)
            if name == "db.query":
                table = dice.choice(("page", "job", "link"))
                made.add(
                    name, at, took, below=work, statement=f"select id from {table} where a = :a"
                )
            elif name == "api.GET":
                bad = dice.random() < 0.02
                failed = {"outcome": "UnavailableError", "error": "503"} if bad else {}
                url = f"http://127.0.0.1/{dice.randrange(40)}"
                made.add(name, at, took, below=work, url=url, status=503 if bad else 200, **failed)
            else:
                made.add(name, at, took, below=work, key="page:1")
    made.add("queue.result", 330, 3800, below=cell, kind="wait", queue="scrape")
    return made.trace()
