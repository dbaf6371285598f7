"""A home that an earlier release has made opens in this one, and nothing in it is lost."""

from __future__ import annotations

import importlib.util
import os
import tarfile
import tempfile
from pathlib import Path

import pytest

import agentnb

DATA = Path(__file__).parents[1] / "data"


def load_maker():
    spec = importlib.util.spec_from_file_location("make_home", DATA / "make_home.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hub():
    """Return a hub on the home of the release 0.1.0, unpacked for these tests."""
    with tempfile.TemporaryDirectory(prefix="agentnb-old-", dir="/tmp") as folder:
        with tarfile.open(DATA / "home-0.1.0.tar.gz") as archive:
            # Before Python 3.11.4 there is no filter to name.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **safe)
        home = Path(folder) / "home"
        home.chmod(0o700)
        for path in home.rglob("*"):
            os.chown(path, os.getuid(), os.getgid())
        with agentnb.connect(
            home=home, workspace=Path(folder) / "workspace", database_url="", redis_url=""
        ) as hub:
            yield hub
        load_maker().until(lambda: not (home / "redis" / "running").exists())


def test_every_row_and_type_of_the_old_database_is_read(hub):
    rows = [tuple(row) for row in hub.db.query("select * from everything order by id")]

    assert rows[0][:8] == (1, 7, 2**62, 1.5, 1, "naïve 'text'", b"\x00\xff", "2026-03-01")
    assert rows[1][:8] == (2, None, -1, float("inf"), 0, "", b"", "1999-12-31")
    assert rows[0][8:] == (
        "2026-03-01 09:30:00.123456",
        "2026-03-01 09:00:00+05:00",
        "09:30:00",
        "9.50",
        "00000000-0000-0000-0000-000000000001",
        '["a", "b"]',
        '{"k": 1}',
        "1 day, 12:00:00",
    )
    bound = dict(tuple(row) for row in hub.db.query("select name, value from bound"))
    assert bound["price"] == "9.50"
    assert bound["aware"] == "2026-03-01 09:00:00+05:00"
    assert len(bound) == 13


def test_every_cached_value_of_the_old_home_is_served(hub):
    cache = hub.cache

    assert cache.get("plain") == {"rate": 1.5, "names": ["a", "b"]}
    assert cache.get("text") == "bare text"
    assert cache.get("long") == "x" * 100_000
    assert cache.get("bytes") == b"\x00\xff"
    assert cache.get("typed", type=tuple[int, str]) == (1, "a")
    assert cache.get("pandas").to_dict("list") == {"n": [1, 2], "s": ["a", "b"]}
    assert cache.get("polars").to_dict(as_series=False) == {"n": [1, 2], "s": ["a", "b"]}
    assert cache.get("arrow").to_pydict() == {"n": [1, 2], "s": ["a", "b"]}
    assert cache.ttl("plain") > 9 * 365 * 86_400
    assert cache.get("cell") == 43


def test_a_tag_of_the_old_home_still_invalidates(hub):
    assert hub.cache.invalidate_tags("prices") == 1
    assert hub.cache.get("plain") is None


def test_jobs_of_the_old_home_are_there_and_those_that_wait_run(hub):
    queue = hub.queue("jobs")
    (done,), (failed,), (waiting,) = (
        queue.jobs(state) for state in ("completed", "failed", "waiting")
    )

    assert done.result(timeout=1) == {"twice": 42}
    assert done.correlation_id == "order-17"
    assert done.logs() == ["a line"]
    assert "as asked" in str(failed.failure)
    assert [job.data for job in queue.jobs("delayed")] == [{"n": 2}]
    with queue.work(lambda job: job.data["n"] + 1):
        assert waiting.result(timeout=10) == 2


def test_events_of_the_old_home_are_in_the_history(hub):
    events = hub.events.history("agent.task.done")

    assert [event.data for event in events] == [{"task_id": number} for number in range(3)]
    assert {event.correlation_id for event in events} == {"order-17"}


def test_a_workflow_of_the_old_home_is_read_and_goes_on(hub):
    workflows = {one.name: one for one in hub.workflows.list()}
    done = workflows["done"]
    assert done.result == {"one": {"twice": 42}, "two": {"twice": 8}}
    assert done.logs("one") == ["a line"]
    assert [task.state for task in workflows["failed"].tasks] == ["failed", "skipped"]
    assert "as asked" in workflows["failed"].task("one").error

    @hub.workflows.agent("double")
    def double(task, ctx):  # noqa: ARG001 - an agent is given both
        return {"twice": task.data["n"] * 2}

    with hub.workflows.work():
        workflows["asked"].approve("two")
        assert workflows["asked"].wait(20).result["two"] == {"twice": 8}
