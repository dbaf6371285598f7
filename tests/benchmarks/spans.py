"""What a span and a boundary add to a call."""

from __future__ import annotations

import logging
import statistics
from time import thread_time

from rounds import Row, by_turns, scratch, spelt

CALLS = 2_000


def logged(folder):
    """Return a function that writes a line with Python's own logging."""
    logger = logging.getLogger("benchmark")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler = logging.FileHandler(folder / "log.txt")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return lambda: logger.info("query %s took %.3f ms: %s", "default", 1.25, "ok")


def retried():
    """Return a call that does nothing, under stamina's own decorator."""
    import stamina

    return stamina.retry(on=ConnectionError, attempts=3)(lambda: None)


def batches(call, flush=None):
    """Return a function that makes many calls, and then what a thread would do later."""

    def run():
        for _ in range(CALLS):
            call()
        if flush:
            flush()

    return run


def recorded():
    """Return units of 500 calls each, on a tape that is thrown away."""
    from agentnb.core.db.result import Result
    from agentnb.core.db.taped import QUERY
    from agentnb.core.tape.hook import active, on_tape
    from agentnb.core.tape.recorder import FLIGHT, Recorder

    result = Result(["n"], [(1,)], rowcount=1)

    def run():
        for _ in range(CALLS // FLIGHT.steps):
            with on_tape(Recorder({}, FLIGHT)):
                for _ in range(FLIGHT.steps):
                    active().call(QUERY, {"sql": "select 1", "params": {}}, lambda: result, str)

    return run


class Nothing:
    """Takes every batch."""

    resource = None

    def send(self, _spans):
        return None

    def flush(self, _seconds):
        pass

    def abort(self):
        pass


def exported(tracer):
    """Return an export of a tracer whose batches leave when `_drain` is called."""
    from agentnb.core.trace.otel.export import SpanExport

    export = SpanExport(tracer, Nothing, "nothing")
    export._thread._woken = True  # as between two batches: no thread begins
    return export


def measure(*, quick):
    """Return the rows of this subject."""
    from agentnb.core.redact import Redactor
    from agentnb.core.resilience import Boundary, Breaker
    from agentnb.core.tape.hook import active
    from agentnb.core.trace import Counters, Tracer, start_trace

    start_trace()
    with scratch() as folder:
        memory = Tracer()
        files = Tracer(folder / "logs", redactor=Redactor(["correct horse battery"]))
        boundary = Boundary("benchmark", breaker=Breaker("benchmark"))

        def span_of(tracer, kind="call", service="db"):
            def call():
                with tracer.span("query", service=service, kind=kind, connection="default"):
                    pass

            return call

        callers, whole = Tracer(), Tracer()
        queue, drain = exported(callers)._queue, exported(whole)._drain
        counters = Counters()

        def counted():
            counters.call("db", "query", "ok", 1.25, 0.0)

        found = by_turns(
            {
                "recorded": recorded(),
                "unrecorded": batches(active),
                "counted": batches(counted),
                "memory": batches(span_of(memory)),
                "files": batches(span_of(files), files.flush),
                "export": batches(span_of(callers), queue.clear),
                "bridge": batches(span_of(whole), drain),
                "logging": batches(logged(folder)),
                "boundary": batches(
                    lambda: boundary.call(lambda _: None, deadline=5, idempotent=True)
                ),
                "stamina": batches(retried()),
            },
            rounds=5 if quick else 25,
        )
        waited = by_turns(
            {
                "memory": batches(span_of(memory)),
                "files": batches(span_of(files)),
                "work": batches(span_of(files, "work", "queue")),
            },
            rounds=5 if quick else 25,
            clock=thread_time,  # of the caller alone
        )
        files.close()
    each = {name: [one / CALLS for one in seconds] for name, seconds in found.items()}

    def row(what, name, peer, shown):
        seconds, theirs = sorted(each[name]), sorted(each[peer])
        value = seconds[len(seconds) // 2] / theirs[len(theirs) // 2]
        return Row(what, spelt(each[name], "µs"), f"{shown} {spelt(each[peer], 'µs')}", value)

    line = "a line of `logging`"
    added = statistics.median(a - b for a, b in zip(each["export"], each["memory"], strict=True))

    def caller(what, name, limit=None):
        seconds = [one / CALLS for one in waited[name]]
        value = statistics.median(seconds) * 1e6
        return Row(what, spelt(seconds, "µs"), "", value, limit, "µs")

    export = Row(
        "what an export to OpenTelemetry adds to a span's caller",
        spelt([added], "µs"),
        f"the span {spelt(each['memory'], 'µs')}",
        added * 1e6,
        target=1.0,
        unit="µs",
    )
    return [
        caller("a span in memory, for its caller", "memory", 3.0),
        caller("a span with its file, for its caller", "files", 5.0),
        caller("an attempt at a job, whose beginning is written at once", "work"),
        row("a span, kept in memory", "memory", "logging", line),
        row("a call, counted (a part of its span)", "counted", "memory", "the span"),
        row("a call that a flight recorder keeps (`--record failed`)", "recorded", "logging", line),
        row("the same while nothing is recorded", "unrecorded", "memory", "a span"),
        row("a span, redacted and written to its file", "files", "logging", line),
        export,
        row("a span, exported, its conversion in the thread included", "bridge", "logging", line),
        row("`Boundary.call` with a breaker", "boundary", "stamina", "`stamina.retry`"),
    ]
