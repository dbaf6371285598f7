"""Watching the workspace: by the system's own notices, and without them."""

from __future__ import annotations

import os
import threading

import pytest

from agentnb.core.errors import NotFoundError
from agentnb.core.files import Change, FileSystemManager

SECONDS = 20


@pytest.fixture
def files(tmp_path):
    with FileSystemManager(tmp_path / "ws") as made:
        yield made


def until(watcher, *wanted):
    """Return all changes up to the one in which the last of the wanted ones is seen."""
    seen = []
    for _ in range(100):
        if set(wanted) <= set(seen):
            return seen
        changes = watcher.wait(SECONDS)
        assert changes, (wanted, seen)
        seen += changes
    raise AssertionError(seen)


def test_what_happens_in_new_folders_too_is_told(files):
    files.write_file("a", "1")
    with files.watch() as watcher:
        files.write_file("a", "2 more")
        files.write_file("new/deep/b", "1")
        until(
            watcher,
            Change("a", "modified"),
            Change("new", "created"),
            Change("new/deep", "created"),
            Change("new/deep/b", "created"),
        )
        files.write_file("new/deep/c", "1")
        until(watcher, Change("new/deep/c", "created"))
        files.move("new", "old")
        until(watcher, Change("new/deep/c", "deleted"), Change("old/deep/c", "created"))
        files.write_file("old/deep/c", "22")
        assert until(watcher, Change("old/deep/c", "modified")) == [
            Change("old/deep/c", "modified")
        ]
        files.delete("old", recursive=True)
        until(watcher, Change("old", "deleted"), Change("old/deep/c", "deleted"))


def test_a_change_before_the_first_wait_is_not_lost(files):
    watcher = files.watch()
    files.write_file("a", "1")
    assert watcher.wait(SECONDS) == [Change("a", "created")]
    assert watcher.wait(0) == []


def test_a_folder_is_watched_by_its_path_and_told_by_the_workspaces(files):
    files.write_file("src/x", "")
    os.symlink("src", files.root / "link")
    with files.watch("link") as watcher:
        files.write_file("elsewhere", "")
        files.write_file("src/y", "")
        assert until(watcher, Change("src/y", "created")) == [Change("src/y", "created")]
    with pytest.raises(NotFoundError):
        files.watch("nowhere")


def test_nothing_that_a_link_leads_to_is_watched(files, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    files.ensure_directory(".")
    os.symlink(outside, files.root / "out")
    with files.watch() as watcher:
        assert watcher.wait(0) == []
        (outside / "secret").write_text("")
        os.symlink(outside, files.root / "out2")
        files.write_file("last", "")
        seen = until(watcher, Change("last", "created"))
        assert {change.path for change in seen} == {"out2", "last"}


def test_a_callback_is_called_in_a_thread_and_may_be_awaited(files):
    seen, done = [], threading.Event()

    async def see(changes):
        seen.append(changes)
        done.set()
        raise ValueError("of its own")

    watcher = files.watch(on_change=see)
    files.write_file("a", "")
    assert done.wait(SECONDS)
    done.clear()
    files.write_file("b", "")  # an error of the callback's does not end the watch
    assert done.wait(SECONDS)
    watcher.close()
    watcher.close()
    assert seen == [[Change("a", "created")], [Change("b", "created")]]
    assert watcher.wait(1) == []
    assert list(watcher) == []


def test_closing_ends_a_loop_that_waits(files):
    watcher = files.watch()
    got = []
    thread = threading.Thread(target=lambda: got.extend(watcher))
    thread.start()
    files.write_file("a", "")
    while not got:
        assert thread.is_alive()
    watcher.close()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert got == [[Change("a", "created")]]


def test_a_system_that_cannot_watch_is_looked_at(files, monkeypatch):
    import watchfiles

    def no_watch(*_, **__):
        raise OSError(28, "inotify watch limit reached")
        yield

    monkeypatch.setattr(watchfiles, "watch", no_watch)
    with files.watch() as watcher:
        assert watcher.wait(0) == []
        files.write_file("a", "")
        assert watcher.wait(SECONDS) == [Change("a", "created")]


def test_a_watched_folder_may_go_and_come_back(files):
    files.write_file("src/x", "")
    with files.watch("src") as watcher:
        assert watcher.wait(0) == []
        files.delete("src", recursive=True)
        until(watcher, Change("src/x", "deleted"))
        files.write_file("src/y", "")
        until(watcher, Change("src/y", "created"))
