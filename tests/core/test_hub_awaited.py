"""A hub in an event loop: opened, asked and closed without blocking it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

import agentnb
from agentnb.core.errors import UnavailableError, UsageError
from agentnb.core.services.opening import OPENERS

NOWHERE = "redis://127.0.0.1:1/0"

IMPORTS = """
import asyncio, sys, threading
import agentnb

class Recorder:
    found = []
    def find_spec(self, name, path, target=None):
        if threading.current_thread() is threading.main_thread() and name.startswith("agentnb."):
            self.found.append(name)

async def main():
    async with agentnb.connect(home=sys.argv[1], workspace=sys.argv[1] + "-files") as hub:
        await hub.aopen("db", "cache", "events", "files")
        sys.meta_path.insert(0, Recorder())
        await hub.db.aquery("select 1")
        await hub.cache.aget_or_set("k", lambda: 1)
        await hub.events.apublish("a", 1)
        await hub.files.awrite_file("a.txt", "x")
    print(*Recorder.found)

asyncio.run(main())
"""


@pytest.fixture
def options(redis_home, tmp_path):
    return {"home": redis_home, "workspace": tmp_path / "workspace", "start": tmp_path}


def test_async_with_closes_the_hub_off_the_loop(options):
    closed_in = []

    async def main():
        async with agentnb.connect(**options) as hub:
            await hub.aopen("db")
            db = hub.db
            close = db.close
            db.close = lambda: (closed_in.append(threading.current_thread()), close())
        assert hub.closed
        return db

    db = asyncio.run(main())
    assert closed_in
    assert closed_in[0] is not threading.main_thread()
    assert not db.access.pool.connected


def test_services_are_opened_by_name(options):
    async def main():
        async with agentnb.connect(**options) as hub:
            await hub.aopen("db", "redis", "queue")
            assert {"databases", "redis", "queues"} <= hub._opened.keys()
            assert "workflows" not in hub._opened
            assert hub.db.access.pool.connected
            assert hub.redis.embedded

    asyncio.run(main())


def test_all_services_of_the_settings_are_opened_by_default(options):
    with agentnb.connect(open=[], **options) as hub:
        expected = {"databases", "redis", "cache", "events", "queues", "workflows", "files"}
        assert expected <= hub._opened.keys()
        assert not {"docker", "repositories"} & hub._opened.keys()


def test_an_engine_that_is_named_is_opened_and_one_that_the_settings_have_is_not(options, tmp_path):
    with agentnb.connect(docker_host=f"unix://{tmp_path}/no.sock", **options) as hub:
        hub.open()
        assert "docker" not in [row[0] for row in hub.health()]
        with pytest.raises(UnavailableError) as caught:
            hub.open("docker")
    assert caught.value.service == "docker"


@pytest.mark.parametrize("name", OPENERS)
def test_each_service_can_be_opened(options, name, docker_engine):  # noqa: ARG001 - for docker
    with agentnb.connect(open=[name], **options) as hub:
        assert len(hub._opened) > 2  # beside logs and tracer


def test_a_service_that_does_not_exist_is_named_with_the_nearest(options):
    with (
        agentnb.connect(**options) as hub,
        pytest.raises(UsageError, match="there is no service 'dbs'") as caught,
    ):
        hub.open("redis", "dbs")
    assert caught.value.hint == "did you mean db?"
    assert not hub._opened  # nothing was opened before the name was seen


def test_a_dead_server_fails_the_opening_and_leaves_the_hub_open(options):
    options |= {"redis_url": NOWHERE}

    async def main():
        async with agentnb.connect(**options) as hub:
            with pytest.raises(UnavailableError):
                await hub.aopen("db", "redis")
            return (await hub.db.aquery("select 1")).scalar()

    assert asyncio.run(main()) == 1
    with pytest.raises(UnavailableError):
        agentnb.connect(open=["redis"], **options)


def test_async_with_raises_the_error_of_its_block_though_closing_fails(options):
    async def main():
        async with agentnb.connect(**options) as hub:
            await hub.aopen("db")
            close = hub.db.close
            hub.db.close = lambda: (close(), 1 / 0)
            raise KeyError("the real error")

    with pytest.raises(KeyError, match="the real error"):
        asyncio.run(main())


def test_a_closed_hub_says_so_to_an_await(options):
    async def main():
        hub = agentnb.connect(**options)
        await hub.aclose()
        await hub.aclose()
        with pytest.raises(UsageError, match="this hub is closed"):
            await hub.aopen("db")
        assert len(await hub.ahealth()) == 0

    asyncio.run(main())


def test_a_hub_is_stopped_and_reset_by_awaiting(options):
    async def main():
        async with agentnb.connect(**options) as hub:
            await hub.aopen("db")
            assert "databases" in await hub.astop()
            assert (await hub.db.aquery("select 1")).scalar() == 1  # opened again
            await hub.areset()
            assert not hub._opened

    asyncio.run(main())


def test_a_close_that_is_cancelled_is_waited_for(options):
    closing, go = threading.Event(), threading.Event()

    async def main():
        hub = agentnb.connect(**options)
        await hub.aopen("db")
        close = hub.db.close

        def slowly():
            closing.set()
            go.wait(30)
            close()

        db, hub.db.close = hub.db, slowly
        task = asyncio.create_task(hub.aclose())
        await asyncio.to_thread(closing.wait, 30)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not db.access.pool.connected

    asyncio.run(main())


def test_a_hub_outlives_the_loop_that_it_was_used_on(options):
    with agentnb.connect(**options) as hub:
        for n in range(3):
            assert asyncio.run(hub.db.aquery("select :n + 0", {"n": n})).scalar() == n


def test_nothing_is_imported_on_the_loop_once_a_service_is_open(options):
    found = subprocess.run(
        [sys.executable, "-c", IMPORTS, str(options["home"])],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.split() == []


def test_a_server_that_is_dead_at_the_end_fails_async_with_but_hides_no_error(options):
    options |= {"redis_url": NOWHERE, "database_url": "sqlite://"}

    async def main(error):
        async with agentnb.connect(**options) as hub:
            await hub.events.apublish("a", 1)
            if error is not None:
                raise error

    with pytest.raises(UnavailableError):  # the event is lost, which is said
        asyncio.run(main(None))
    with pytest.raises(KeyError, match="the real error") as caught:
        asyncio.run(main(KeyError("the real error")))
    assert any("closing failed" in note for note in caught.value.__notes__)


def test_awaited_calls_of_a_loop_that_is_closed_leave_the_next_loop_alone(options):
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go.wait(30)

    with agentnb.connect(**options) as hub:
        loop = asyncio.new_event_loop()
        task = loop.create_task(hub._call_threads.call(slow))
        loop.run_until_complete(asyncio.wait({task}, timeout=0.1))
        assert begun.wait(30)
        task.cancel()
        loop.run_until_complete(asyncio.wait({task}))
        loop.close()  # while the call goes on
        assert asyncio.run(hub.db.aquery("select 7")).scalar() == 7
        go.set()
        assert asyncio.run(hub.ahealth()) is not None


def test_a_loop_is_not_blocked_while_a_thread_opens_a_service(options):
    held, go, went_on = threading.Event(), threading.Event(), []

    async def main():
        async with agentnb.connect(**options) as hub:

            def hold():
                with hub._lock:  # as opening does, for as long as it imports
                    held.set()
                    went_on.append(go.wait(10))

            holding = threading.Thread(target=hold)
            holding.start()
            held.wait(30)
            opening = asyncio.create_task(hub.aopen("db"))
            await asyncio.sleep(0.05)
            assert not opening.done()
            go.set()  # the loop has come this far
            await opening
            holding.join()

    asyncio.run(main())
    assert went_on == [True]
