"""What results hold on to, and how much memory a table larger than wanted takes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

from rounds import Row, jupysql, postgres, scratch, shell

RESULTS = 20
BIG = 2_000_000
NUMBERS = (
    "with recursive numbers(n) as (select 1 union all select n + 1 from numbers "
    "where n < {}) select n, 'number ' || n as name from numbers"
)
# Each runs in a process of its own, whose peak is read from Linux.
PEAK = """
import re, sys
from pathlib import Path
import sqlalchemy, agentnb
sql, url = sys.argv[1:]
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
hub = agentnb.connect(database_url=url)
engine = sqlalchemy.create_engine(url)
hub.db.query("select 1")
engine.connect().close()
Path("/proc/self/clear_refs").write_text("5")  # what the imports took at their peak
before = peak()
{}
print(peak() - before)
hub.close()
"""
# As a bare `%db` line does.
SHOWN = "result = hub.db.query(sql, preview=hub.db.rows)\nassert result.truncated and repr(result)"
STREAMED = "assert sum(len(part) for part in hub.db.stream(sql, timeout=600)) >= 100_000"
RAW = "rows = engine.connect().execute(sqlalchemy.text(sql)).fetchmany(1000)"
RAW_ALL = "rows = engine.connect().execute(sqlalchemy.text(sql)).fetchall()"


def peak_of(code, sql, url):
    """Return by how many megabytes the peak of a process rises while it runs the code."""
    command = [sys.executable, "-c", PEAK.format(code), sql, url]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(run.stdout)


def retained(call):
    """Return how many kilobytes are still held for each result after all are dropped."""
    for _ in range(3):  # what is made once: caches, connections
        call()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    results = [call() for _ in range(RESULTS)]
    del results
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / RESULTS / 1000


def kept_after_del():
    """Return the row about results that are dropped."""
    url = os.environ["DATABASE_URL"]
    made = shell("agentnb")
    hub = made.user_ns["hub"]
    hub.db.execute("create table task as " + NUMBERS.format(1000))
    sql = "select * from task"
    peer = jupysql(made, url)
    tracemalloc.start()
    ours = retained(lambda: made.run_line_magic("db", sql))
    theirs = f"JupySQL {retained(lambda: peer(sql)):,.1f} kB" if peer else ""
    tracemalloc.stop()
    made.run_line_magic("unload_ext", "agentnb")
    what = "held for each of 20 results of 1,000 rows after `del` (a span in the ring)"
    return Row(what, f"{ours:,.1f} kB", theirs, ours, 2, "kB")


def bounded(what, ours, peers, target):
    """Return the row of a peak."""
    shown = " · ".join(f"{name} {value:,.1f} MB" for name, value in peers.items())
    return Row(what, f"{ours:,.1f} MB", shown, ours, target, "MB")


def measure(*, quick):
    """Return the rows of this subject."""
    with scratch() as folder:
        rows = [kept_after_del()]
        if not Path("/proc/self/clear_refs").exists():
            return rows
        count = 1_000_000 if quick else 10_000_000
        sql, url = NUMBERS.format(count), os.environ["DATABASE_URL"]
        peers = {"SQLAlchemy fetchall": peak_of(RAW_ALL, sql, url)}
        what = f"peak, {count:,} rows of SQLite"
        rows += [
            bounded(f"{what}, a bare `%db` line", peak_of(SHOWN, sql, url), peers, 8),
            bounded(f"{what}, all through `stream`", peak_of(STREAMED, sql, url), peers, 16),
        ]
        with postgres(folder) as server:
            if server:
                rows.append(large_table(server.replace("postgresql://", "postgresql+psycopg://")))
    return rows


def large_table(url):
    """Return the row of a large table of PostgreSQL's."""
    import sqlalchemy

    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "create table big as select n, 'number ' || n as name "
                f"from generate_series(1, {BIG}) as n"
            )
        )
    sql = "select * from big"
    peers = {"SQLAlchemy fetchmany(1000)": peak_of(RAW, sql, url)}
    what = f"peak, {BIG:,} rows of PostgreSQL, a bare `%db` line"
    return bounded(what, peak_of(SHOWN, sql, url), peers, 8)
