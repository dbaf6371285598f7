"""Git that is awaited: every command, in few threads, ended or at rest when it is cancelled."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agentnb.core.errors import NotFoundError
from agentnb.core.git import GitManager
from tests.listening import Listener

LONG = 60


@pytest.fixture
def git(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    git = GitManager(folder)
    git.initialize()
    return git


def run(main):
    return asyncio.run(asyncio.wait_for(main, LONG))


def test_a_repository_is_used_without_blocking_the_loop(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    lines = []

    async def progress(line):
        lines.append((asyncio.get_running_loop(), line))

    async def main():
        git = GitManager(folder)
        assert not await git.ais_repository()
        await git.ainitialize()
        assert await git.ais_repository()
        assert await git.aroot() == await git.arepository() == folder
        (folder / "a").write_text("1")
        await git.aadd_files("a")
        assert len(await git.acommit("First", dry_run=True)) == 1
        sha = await git.acommit("First", author="Ada <ada@example.org>")
        assert (await git.alog())[0].sha == sha
        assert len(await git.astatus()) == 0
        await git.acreate_branch("other")
        await git.aswitch("other")
        assert await git.acurrent_branch() == "other"
        (folder / "a").write_text("2")
        assert "2" in str(await git.adiff())
        assert (await git.ashow_file("a")).text == "1"
        await git.astash()
        assert len(await git.astashes()) == 1
        await git.astash_pop()
        await git.arestore("a")
        await git.acreate_tag("v1")
        assert len(await git.atags()) == 1
        tree = await git.aworktree(tmp_path / "tree", "third")
        assert len(await tree.aworktrees()) == 2
        clone = await git.aclone(str(folder), tmp_path / "clone", progress=progress)
        assert (await clone.alog())[0].sha == sha
        assert {loop for loop, _ in lines} <= {asyncio.get_running_loop()}
        await clone.afetch()
        assert await git.aping()
        with pytest.raises(NotFoundError):
            await git.ashow("nothing")

    run(main())


def test_awaited_commands_run_in_eight_threads(git):
    before, most = threading.active_count(), 0

    async def main():
        nonlocal most
        asking = asyncio.gather(*(git.astatus() for _ in range(40)))
        while not asking.done():
            most = max(most, threading.active_count())
            await asyncio.sleep(0.001)
        await asking

    run(main())
    assert most <= before + 8


@pytest.fixture
def silent_server():
    """Return the URL of a server that takes connections and says nothing, and its connections."""
    with Listener() as server:
        yield f"http://127.0.0.1:{server.port}/repo.git", server.links


def test_a_transfer_that_is_cancelled_ends_its_process(git, silent_server, tmp_path):
    url, connections = silent_server

    async def main():
        task = asyncio.create_task(git.aclone(url, tmp_path / "clone"))
        while not connections:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert not (tmp_path / "clone").exists()
    connections[0].settimeout(LONG)
    end = time.monotonic() + LONG
    while connections[0].recv(4096):  # until the process that asked is gone
        assert time.monotonic() < end


def test_a_commit_that_is_cancelled_ends_before_its_caller_goes_on(git, monkeypatch):
    (git.path / "a").write_text("1")
    git.add_files()
    begun, go, commit = threading.Event(), threading.Event(), git._commits.commit

    def slow(*args, **options):
        begun.set()
        go.wait(LONG)
        return commit(*args, **options)

    monkeypatch.setattr(git._commits, "commit", slow)

    async def main():
        task = asyncio.create_task(git.acommit("First", author="Ada <ada@example.org>"))
        while not begun.is_set():  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(git.log()) == 1  # neither half of it is missing

    run(main())


def test_the_managers_of_a_folder_and_of_its_clones_share_their_threads(git):
    assert git.at("..")._call_threads is git._call_threads
