"""Durable streams: the cost of a token, and the time until the first one is in the cell."""

from __future__ import annotations

import queue
import statistics
import subprocess
import sys
import threading
import time

from rounds import Row, by_turns, kernel, scratch, spelt

TOKENS = 10_000
WORKER = """
import sys, time
import agentnb
from agentnb.core.workflow import Task

with agentnb.connect() as hub:
    @hub.workflows.agent("write")
    def write(task, ctx):
        sys.stdin.readline()
        ctx.write(repr(time.time()))
        sys.stdin.readline()

    hub.workflows.work()
    for line in sys.stdin:
        workflow = hub.workflows.create("tokens", [Task("write")])
        print(workflow.id, flush=True)
        workflow.wait(60)
        print("over", flush=True)
"""


class Writing:
    """An agent that streams in a thread of its own, and says how long its calls took."""

    def __init__(self, flows):
        self._asked, self._spent = queue.SimpleQueue(), queue.SimpleQueue()
        flows.agent("write", timeout=None)(self._agent)
        flows.work(concurrency=1)

    def _agent(self, _, ctx):
        for count in iter(self._asked.get, None):
            started = time.perf_counter()
            for _ in range(count):
                ctx.write("token ")
            ended = time.perf_counter()
            ctx._execution.streams.flush()
            self._spent.put((ended - started) / count)

    def write(self, count=TOKENS):
        """Return the seconds that a token took its caller."""
        self._asked.put(count)
        return self._spent.get()

    def stop(self):
        self._asked.put(None)


def rows_of_tokens(folder):
    """Return a function that writes a row for each of some tokens, each in a transaction."""
    import sqlite3

    own = sqlite3.connect(folder / "own.db", isolation_level=None, check_same_thread=False)
    own.execute("pragma journal_mode = wal")
    own.execute("pragma synchronous = normal")
    own.execute("create table stream (id integer primary key, value text)")

    def write(count=TOKENS // 10):
        for _ in range(count):
            own.execute("insert into stream (value) values ('token ')")

    return write


def of_tokens(*, quick):
    """Return the row of a token's cost."""
    from agentnb.core.db import Database
    from agentnb.core.workflow import Orchestrator, Task

    with scratch() as folder:
        database = Database(f"sqlite:///{folder}/streams.db")
        with Orchestrator(database, owns_database=True) as flows:
            writing = Writing(flows)
            flows.create("tokens", [Task("write")])
            rounds = 3 if quick else 15
            waited = [writing.write() for _ in range(rounds)]
            cpu = by_turns({"ours": writing.write}, rounds=rounds)["ours"]
            each = by_turns(
                {"rows": rows_of_tokens(folder)}, rounds=rounds, clock=time.perf_counter
            )["rows"]
            writing.stop()
    peer = [seconds / (TOKENS // 10) for seconds in each]
    threads = [seconds / TOKENS for seconds in cpu]
    return Row(
        "a token in the durable stream, for its caller",
        f"{spelt(waited, 'µs')}, CPU of all threads {spelt(threads, 'µs')}",
        f"sqlite3, a row each {spelt(peer, 'µs')}",
        statistics.median(waited) * 1000,
        0.1,
        "ms",
    )


def of_the_cell(*, quick):
    """Return the row of the first token in the cell, from another process."""
    with scratch(), kernel() as client:
        client.execute_interactive("%load_ext agentnb", output_hook=lambda _: None, timeout=60)
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            first_token(client, worker)  # which imports what the cell needs
            lags = [first_token(client, worker) for _ in range(5 if quick else 25)]
        finally:
            worker.stdin.close()
            worker.wait(30)
    return Row(
        "the first token in the cell, after `ctx.write` in another process",
        f"{spelt(lags)}, at most {spelt([max(lags)])}",
        "",
        statistics.median(lags) * 1000,
        100,
        "ms",
    )


def first_token(client, worker):
    """Return the seconds from the call in the agent until the page has the token."""

    def go():
        worker.stdin.write("\n")
        worker.stdin.flush()

    go()
    number = worker.stdout.readline().strip()
    shown = []

    def hook(message):
        text = message["content"].get("data", {}).get("text/plain", "")
        if not shown and message["msg_type"] == "display_data" and text[:1].isdigit():
            shown.append(time.time() - float(text))
            go()

    threading.Timer(0.5, go).start()  # the cell waits for it by then
    client.execute_interactive(f"%workflow stream {number} write", output_hook=hook, timeout=60)
    assert worker.stdout.readline() == "over\n"
    return shown[0]


def measure(*, quick):
    """Return the rows of this subject."""
    return [of_tokens(quick=quick), of_the_cell(quick=quick)]
