"""Make a home that holds a value of every kind, to be kept as a fixture.

Run it with the release whose home is to be kept::

    python tests/data/make_home.py tests/data/home-0.1.0.tar.gz

`tests/core/test_old_home.py` opens the homes of earlier releases. An old one is never made again
with newer code: it would test nothing.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import tarfile
import tempfile
import time
import uuid
from decimal import Decimal
from pathlib import Path

import agentnb
from agentnb.core.workflow import Task

ZONE = dt.timezone(dt.timedelta(hours=5))
TEN_YEARS = 10 * 365 * 86_400
ROWS = [
    {
        "id": 1,
        "small": 7,
        "big": 2**62,
        "real": 1.5,
        "flag": True,
        "text": "naïve 'text'",
        "data": b"\x00\xff",
        "day": dt.date(2026, 3, 1),
        "at": dt.datetime(2026, 3, 1, 9, 30, 0, 123456),
        "aware": dt.datetime(2026, 3, 1, 9, 0, tzinfo=ZONE),
        "clock": dt.time(9, 30),
        "price": Decimal("9.50"),
        "key": uuid.UUID(int=1),
        "tags": ["a", "b"],
        "more": {"k": 1},
        "span": dt.timedelta(days=1, hours=12),
    },
    {
        "id": 2,
        "small": None,
        "big": -1,
        "real": float("inf"),
        "flag": False,
        "text": "",
        "data": b"",
        "day": dt.date(1999, 12, 31),
        "at": dt.datetime(1999, 12, 31, 23, 59, 59),
        "aware": dt.datetime(2026, 3, 1, 5, 0, tzinfo=dt.UTC),
        "clock": dt.time(0, 0),
        "price": Decimal("10.00"),
        "key": uuid.UUID(int=2),
        "tags": [],
        "more": {},
        "span": dt.timedelta(0),
    },
]
CELL = "answer = 42\nanswer + 1"


def fill_database(db):
    db.load(ROWS, "everything")
    db.execute("create table bound (name text, value)")
    for name, value in ROWS[0].items():
        if not isinstance(value, list | dict | dt.timedelta):
            sql = "insert into bound values (:name, :value)"
            db.execute(sql, {"name": name, "value": value})


def fill_cache(cache):
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    frame = {"n": [1, 2], "s": ["a", "b"]}
    cache.set("plain", {"rate": 1.5, "names": ["a", "b"]}, ttl=TEN_YEARS, tags=["prices"])
    cache.set("text", "bare text", ttl=TEN_YEARS)
    cache.set("long", "x" * 100_000, ttl=TEN_YEARS)
    cache.set("bytes", b"\x00\xff", ttl=TEN_YEARS)
    cache.set("typed", (1, "a"), ttl=TEN_YEARS, type=tuple[int, str])
    cache.set("pandas", pd.DataFrame(frame), ttl=TEN_YEARS)
    cache.set("polars", pl.DataFrame(frame), ttl=TEN_YEARS)
    cache.set("arrow", pa.table(frame), ttl=TEN_YEARS)


def fill_queue(queue):
    def work(job):
        job.log("a line")
        if job.data == "fail":
            raise ValueError("as asked")
        return {"twice": job.data["n"] * 2}

    with queue.work(work):
        queue.add({"n": 21}, key="done", correlation_id="order-17").result(timeout=10)
        failed = queue.add("fail", key="failed", attempts=1)
        until(lambda: failed.state == "failed")
    queue.add({"n": 1}, priority=1, key="waiting")
    queue.add({"n": 2}, delay=TEN_YEARS, key="delayed")


def fill_events(events):
    for number in range(3):
        events.publish("agent.task.done", {"task_id": number}, correlation_id="order-17")


def fill_workflows(workflows):
    @workflows.agent("double", retries=0)
    def double(task, ctx):
        ctx.log("a line")
        kept = ctx.step("ask", lambda: {"n": task.data["n"]})
        return {"twice": kept["n"] * 2}

    @workflows.agent("fail", retries=0)
    def fail(task, ctx):  # noqa: ARG001 - an agent is given both
        raise ValueError("as asked")

    one = Task("one", agent="double", data={"n": 21})
    with workflows.work():
        two = Task("two", agent="double", data={"n": 4}, needs=["one"])
        workflows.create("done", [one, two]).wait(20)
        failed = workflows.create("failed", [Task("one", agent="fail"), two])
        until(lambda: failed.refresh().state == "failed")
        two = Task("two", agent="double", data={"n": 4}, needs=["one"], approval=True)
        asked = workflows.create("asked", [one, two])
        until(lambda: asked.task("two").state == "approval")


def fill_cells(home):
    from IPython.core.interactiveshell import InteractiveShell

    os.environ["AGENTNB_HOME"] = str(home)
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "agentnb")
    shell.run_cell(f"%%cache cell --ttl {TEN_YEARS}\n{CELL}")
    shell.run_line_magic("agentnb", "stop")


def until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError(condition)


def main(archive):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        home, workspace = Path(folder) / "home", Path(folder) / "workspace"
        places = {"home": home, "workspace": workspace}
        with agentnb.connect(**places, database_url="", redis_url="") as hub:
            fill_database(hub.db)
            fill_cache(hub.cache)
            fill_queue(hub.queue("jobs"))
            fill_events(hub.events)
            fill_workflows(hub.workflows)
            fill_cells(home)
        until(lambda: not (home / "redis" / "running").exists())
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(home, "home", filter=kept)
    print(f"{archive}: {Path(archive).stat().st_size:,} bytes")  # noqa: T201 - a command's answer


def kept(entry):
    """Leave out sockets, logs and the name of the machine."""
    own = {"server.log", "owner.json"}
    left = entry.name.startswith("home/logs") or Path(entry.name).name in own
    skip = left or not (entry.isfile() or entry.isdir())
    return None if skip else entry


if __name__ == "__main__":
    main(sys.argv[1])
