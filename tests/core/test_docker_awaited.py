"""Docker that is awaited: every call, in 32 threads, and nothing waits when it is cancelled."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agentnb.core.docker import DockerManager

LONG = 120


def run(main):
    return asyncio.run(asyncio.wait_for(main, LONG))


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("agentnb-docker")]


async def until(condition):
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - of the engine or a thread
            await asyncio.sleep(0.02)


def test_containers_are_used_without_blocking_the_loop(docker, docker_image):
    lines = []

    async def note(line):
        lines.append((asyncio.get_running_loop(), line.text))

    async def main():
        await docker.aping()
        made = await docker.arun_container(docker_image, "sleep 60", name="one", work=True)
        await docker.aput_files(made, {"a.txt": "x"})
        assert await docker.aget_files(made, "a.txt") == {"a.txt": b"x"}
        assert (await docker.aexec(made, "echo hi", on_line=note)).stdout == "hi\n"
        assert lines == [(asyncio.get_running_loop(), "hi")]
        assert (await docker.alist()).column("name") == ["one"]
        assert (await docker.ainspect(made))["Name"] == "/one" or await docker.anames("container")
        assert len(await docker.astatus()) == 1
        assert len(await docker.aimages()) >= 0
        await docker.astop_container(made, grace=0)
        printed = await docker.arun_container(docker_image, ["sh", "-c", "echo a; echo b"])
        assert await docker.await_until(printed, exited=True) == 0
        assert [line.text for line in await docker.aget_container_logs(printed)] == ["a", "b"]
        followed = docker.aget_container_logs(printed, follow=True)
        assert [line.text async for line in followed] == ["a", "b"]
        actions = [event["action"] async for event in docker.aevents(since=60)]
        assert "start" in actions
        network = await docker.anetwork("n")
        await docker.aremove_network(network)
        assert len(await docker.anetworks()) == 0
        assert len(await docker.aprune()) == 1

    run(main())


def test_a_thousand_calls_hold_few_threads(docker):
    docker.ping()
    before, most = threading.active_count(), 0

    async def main():
        nonlocal most
        asking = asyncio.gather(*(docker.aping() for _ in range(300)))
        while not asking.done():
            most = max(most, threading.active_count())
            await asyncio.sleep(0.001)
        await asking

    run(main())
    assert most <= before + 32


@pytest.mark.parametrize(
    "call",
    [
        lambda docker, made: docker.aexec(made, "sleep 60"),
        lambda docker, made: docker.await_until(made, line="never", timeout=60),
        lambda docker, made: docker.await_until(made, exited=True, timeout=60),
        lambda docker, made: anext(docker.aget_container_logs(made, follow=True)),
        lambda docker, _: anext(docker.aevents(since=0, follow=True)),
    ],
    ids=["exec", "line", "exited", "logs", "events"],
)
def test_a_wait_that_is_cancelled_leaves_no_thread_waiting(docker, docker_image, call):
    made = docker.run_container(docker_image, "sleep 60")

    async def main():
        tasks = len(asyncio.all_tasks())
        waiting = asyncio.ensure_future(call(docker, made))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        del waiting
        await until(lambda: len(asyncio.all_tasks()) == tasks)
        docker._connection.threads.close()  # those that have nothing to do end
        await until(lambda: not threads())

    run(main())


def test_a_cancelled_run_removes_its_container(docker, docker_image):
    async def main():
        for call in (docker.arun, docker.arun_container):
            running = asyncio.create_task(call(docker_image, "sleep 60"))
            await until(lambda: len(docker.list()) == 1)
            if call == docker.arun_container:
                await running
                docker.stop_container(running.result(), grace=0)
                continue
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert len(docker.list()) == 0

    run(main())


def test_async_with_removes_the_containers(docker_image, tmp_path):
    async def main():
        async with DockerManager(home=tmp_path / "home") as docker:
            await docker.arun_container(docker_image, "sleep 60")
        return docker

    docker = run(main())
    end = time.monotonic() + LONG
    while len(docker.list()) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(docker.list()) == 0
    docker.close()
