"""Files that are awaited: in threads of their own, and complete when the caller is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agentnb.core.errors import NotFoundError, PathEscape
from agentnb.core.files import FileSystemManager

LONG = 30


@pytest.fixture
def files(tmp_path):
    with FileSystemManager(tmp_path / "w") as made:
        yield made


def run(main):
    return asyncio.run(asyncio.wait_for(main, LONG))


def test_each_method_that_touches_the_disk_can_be_awaited(files):
    seen = []

    async def progress(done, size):
        seen.append((asyncio.get_running_loop(), done, size))

    async def main():
        await files.aensure_directory("d")
        await files.awrite_file("d/a.txt", "one\n")
        await files.aappend("d/a.txt", "two\n")
        await files.aedit("d/a.txt", "two", "three")
        assert await files.aread_file("d/a.txt") == "one\nthree\n"
        assert await files.aread_file("d/a.txt", encoding=None) == b"one\nthree\n"
        assert await files.aread_file("d/a.txt", tail=1) == "three\n"
        assert await files.ahead("d/a.txt", 3) == b"one"
        assert await files.aexists("d/a.txt")
        assert (await files.aresolve_path("d/a.txt")).name == "a.txt"
        assert await files.ahash_file("d/a.txt") == files.hash_file("d/a.txt")
        await files.acopy_file("d/a.txt", "d/b.txt", on_progress=progress)
        assert {loop for loop, *_ in seen} == {asyncio.get_running_loop()}
        assert seen[-1][1:] == (10, 10)
        await files.acopy_directory("d", "e")
        await files.amove("e/a.txt", "e/c.txt")
        assert await files.aglob("e/*") == ["e/b.txt", "e/c.txt"]
        assert (await files.alist("e")).column("name") == ["b.txt", "c.txt"]
        assert (await files.ausage()).total.size == 40
        assert await files.adelete("e", recursive=True) == 3
        await files.aping()
        with pytest.raises(NotFoundError):
            await files.aread_file("none")
        with pytest.raises(PathEscape):
            await files.awrite_file("../x", "x")

    run(main())


def test_a_thousand_awaited_reads_hold_few_threads(files):
    files.write_file("a", "x")
    before, most = threading.active_count(), 0

    async def main():
        nonlocal most
        reading = asyncio.gather(*(files.aread_file("a") for _ in range(1000)))
        while not reading.done():
            most = max(most, threading.active_count())
            await asyncio.sleep(0)
        assert await reading == ["x"] * 1000

    run(main())
    assert most <= before + 16


def test_a_write_that_is_cancelled_ends_before_its_caller_goes_on(files, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    write = files._writer.write_file

    def slow(*args, **options):
        begun.set()
        go.wait(LONG)
        write(*args, **options)

    monkeypatch.setattr(files._writer, "write_file", slow)

    async def main():
        task = asyncio.create_task(files.awrite_file("a", "x"))
        while not begun.is_set():  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files.read_file("a") == "x"

    run(main())


def test_changes_are_awaited_without_a_thread_of_the_files(files):
    files.ensure_directory("d")

    async def main():
        async with await files.awatch("d") as watcher:
            waiting = asyncio.create_task(watcher.await_())
            await asyncio.sleep(0.1)
            await files.awrite_file("d/a", "x")
            assert [(one.path, one.kind) for one in await waiting] == [("d/a", "created")]
            assert await watcher.await_(0.01) == []
            await files.adelete("d/a")
            async for changes in watcher:
                assert [one.kind for one in changes] == ["deleted"]
                break
        assert watcher.closed

    run(main())


def test_a_wait_for_changes_that_is_cancelled_ends(files):
    async def main():
        watcher = await files.awatch(".")
        waiting = asyncio.create_task(watcher.await_())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await files.awrite_file("a", "x")
        assert [one.path for one in await watcher.await_(LONG)] == ["a"]  # it can be awaited again
        await watcher.aclose()

    run(main())


def test_a_coroutine_function_is_called_with_changes_on_the_callers_loop(files):
    async def main():
        seen = asyncio.Queue()

        async def note(changes):
            await seen.put((asyncio.get_running_loop(), changes[0].path))

        watcher = await files.awatch(".", note)
        await files.awrite_file("a", "x")
        assert await seen.get() == (asyncio.get_running_loop(), "a")
        await watcher.aclose()

    run(main())


def test_files_are_closed_by_async_with(tmp_path):
    async def main():
        async with FileSystemManager(tmp_path / "w") as files:
            watcher = await files.awatch(".")
        assert watcher.closed

    run(main())
