"""The workspace by both ways of staying inside it: the kernel's and the walk."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import gc
import os
import threading
import time

import pytest

import agentnb
from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    FileChanged,
    NotFoundError,
    RejectedError,
    UsageError,
)
from agentnb.core.files import FileSystemManager, hash_of, writing
from agentnb.core.files.confinement import Openat2, Walk, best


@pytest.fixture(params=[Openat2, Walk], ids=["openat2", "walk"])
def make(request, tmp_path):
    made = []

    def make_files(**options):
        made.append(FileSystemManager(tmp_path / "ws", resolver=request.param(), **options))
        return made[-1]

    yield make_files
    for one in made:
        one.close()


@pytest.fixture
def files(make):
    return make()


def names(files, path="."):
    return [row.name for row in files.list(path)]


# Reading and writing


def test_what_is_written_is_read_to_the_last_line_end(files):
    for content in ("", "one\r\ntwo\n", "é\ud7ff\U0001f600", "\ufeffbom"):
        files.write_file("a/b/it.txt", content)
        assert files.read_file("a/b/it.txt") == content
    files.write_file("raw", b"\x00\xff")
    assert files.read_file("raw", encoding=None) == b"\x00\xff"
    files.write_file("latin", "é", encoding="latin-1")
    assert files.read_file("latin", encoding=None) == b"\xe9"


def test_a_path_is_relative_to_the_root_once(files):
    files.ensure_directory("app")
    files.write_file("app/src/main.py", "x")
    assert names(files) == ["app"]
    assert files.resolve_path("app/src/main.py") == files.root.resolve() / "app/src/main.py"
    again = files.resolve_path("app/src/main.py")
    assert files.read_file(again) == "x"
    assert files.read_file(files.root / "app" / "src" / "main.py") == "x"


def test_a_write_keeps_the_permissions_and_leaves_nothing_beside_it(files):
    files.write_file("run.sh", "echo 1")
    (files.root / "run.sh").chmod(0o750)
    files.write_file("run.sh", "echo 2")
    assert (files.root / "run.sh").stat().st_mode & 0o7777 == 0o750
    assert os.listdir(files.root) == ["run.sh"]
    before = os.umask(0o027)
    try:
        files.write_file("new", "")
    finally:
        os.umask(before)
    assert (files.root / "new").stat().st_mode & 0o777 == 0o640


def test_the_owner_of_a_file_stays_its_owner(files):
    if os.geteuid():
        pytest.skip("only root gives files away")
    files.write_file("theirs", "1")
    os.chown(files.root / "theirs", 1234, 2345)
    files.write_file("theirs", "2")
    about = (files.root / "theirs").stat()
    assert (about.st_uid, about.st_gid) == (1234, 2345)


def test_a_reader_never_sees_a_part_of_a_write(files):
    files.write_file("it", "a" * 300_000)
    stop, seen = threading.Event(), set()

    def read():
        while not stop.is_set():
            text = files.read_file("it")
            seen.add((len(text), "".join(sorted(set(text)))))

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "bcdefgh" * 5:
        files.write_file("it", letter * 300_000)
    stop.set()
    reader.join()
    assert {size for size, _ in seen} == {300_000}
    assert {len(letters) for _, letters in seen} == {1}


def test_a_write_goes_through_a_link_that_stays_inside(files):
    files.write_file("runs/1/log.txt", "old")
    os.symlink("runs/1", files.root / "latest")
    os.symlink("../runs/2/log.txt", files.root / "runs" / "newest")
    files.write_file("latest/log.txt", "new")
    files.write_file("runs/newest", "two")
    assert files.read_file("runs/1/log.txt") == "new"
    assert files.read_file("runs/2/log.txt") == "two"
    assert (files.root / "runs" / "newest").is_symlink()


def test_a_file_that_changed_is_not_overwritten(files):
    files.write_file("plan.md", "one")
    read = hash_of(files.read_file("plan.md"))
    assert read == files.hash_file("plan.md")
    files.write_file("plan.md", "two", if_hash=read)
    with pytest.raises(FileChanged, match="has changed since it was read; nothing was written"):
        files.write_file("plan.md", "three", if_hash=read)
    with pytest.raises(FileChanged, match="is there already"):
        files.write_file("plan.md", "three", if_hash="")
    files.delete("plan.md")
    with pytest.raises(FileChanged, match="is gone"):
        files.write_file("plan.md", "three", if_hash=read)
    files.write_file("plan.md", "four", if_hash="")
    assert files.read_file("plan.md") == "four"
    assert os.listdir(files.root) == ["plan.md"]


def test_of_several_that_add_to_what_they_read_none_is_lost(files, together, monkeypatch):
    def slow(data):
        time.sleep(0.01)  # between the comparison and the write
        return hash_of(data)

    monkeypatch.setattr(writing, "hash_of", slow)
    files.write_file("count", "0")

    def add():
        while True:
            text = files.read_file("count")
            try:
                files.write_file("count", str(int(text) + 1), if_hash=hash_of(text))
            except FileChanged:
                continue
            return

    _, errors = together(8, add)
    assert errors == []
    assert files.read_file("count") == "8"


def test_what_is_written_is_on_the_disk_before_it_is_in_its_place(files, monkeypatch):
    steps = []
    for name in ("fsync", "rename"):
        own = getattr(os, name)
        monkeypatch.setattr(
            os,
            name,
            lambda *args, name=name, own=own, **more: (steps.append(name), own(*args, **more)),
        )
    files.write_file("a", "1")
    assert steps == ["fsync", "rename"]


def test_one_of_many_makes_a_file_that_must_be_new(files, together):
    results, errors = together(8, lambda: files.write_file("lock", "", if_hash=""))
    assert len(results) == 1
    assert {type(error) for error in errors} == {FileChanged}


def test_a_mistake_is_told_with_what_to_do(files):
    files.write_file("src/main.py", "x")
    files.write_file("raw", b"\xff")
    for call, kind, words, hint in (
        (lambda: files.read_file("src/mian.py"), NotFoundError, "no src/mian.py", "main.py"),
        (
            lambda: files.read_file("src"),
            UsageError,
            "src is a folder, not a file",
            "hub.files.list('src')",
        ),
        (lambda: files.write_file("src", ""), UsageError, "src is a folder", None),
        (lambda: files.read_file("raw"), UsageError, "byte 0 is 0xff", "encoding=None"),
        (lambda: files.read_file("raw", encoding="no"), UsageError, "no encoding 'no'", None),
        (lambda: files.write_file("it", "\ud800"), UsageError, "cannot be written", None),
        (lambda: files.write_file("it", {"a": 1}), UsageError, "not from dict", "json.dumps"),
        (lambda: files.write_file("new/", ""), UsageError, "names a folder", "name of the file"),
        (lambda: files.copy_file("raw", "new/"), UsageError, "names a folder", None),
        (lambda: files.write_file("it", "", if_hash="x"), UsageError, "if_hash must be", "hash_of"),
        (lambda: files.list("raw"), UsageError, "not a folder", None),
        (lambda: files.delete("src"), UsageError, "not empty", "recursive=True"),
        (lambda: files.delete("."), UsageError, "by the way to it", None),
        (lambda: files.move("src", "src/in"), UsageError, "not moved into itself", None),
        (lambda: files.copy_directory("src", "src/in"), UsageError, "not copied into itself", None),
    ):
        with pytest.raises(kind, match=words.replace("(", r"\(")) as raised:
            call()
        assert hint is None or hint in raised.value.hint
    assert names(files) == ["src", "raw"]
    assert names(files, "src") == ["main.py"]


def test_the_workspace_is_made_when_it_is_used_and_cannot_be_a_file(make, tmp_path):
    files = make()
    assert not (tmp_path / "ws").exists()
    assert "hub.files.write_file(path, text)" in repr(files.list())
    (tmp_path / "ws").rmdir()
    assert files.exists("x") is False
    (tmp_path / "ws").rmdir()
    (tmp_path / "ws").write_text("")
    with pytest.raises(ConfigError, match="cannot be used: Not a directory") as raised:
        files.write_file("x", "")
    assert "AGENTNB_WORKSPACE" in raised.value.hint


def test_the_twins_are_awaited(files):
    async def both():
        await files.awrite_file("a", "1")
        return await files.aread_file("a")

    assert asyncio.run(both()) == "1"


# Folders


def test_a_folder_is_listed_with_folders_first(files):
    files.write_file("b.txt", "12345")
    files.ensure_directory("z/y")
    os.symlink("b.txt", files.root / "a")
    os.mkfifo(files.root / "pipe")
    rows = files.list().dicts()
    assert [(row["name"], row["kind"], row["size"]) for row in rows] == [
        ("z", "folder", None),
        ("a", "link", None),
        ("b.txt", "file", 5),
        ("pipe", "FIFO", None),
    ]
    assert abs(rows[0]["modified"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_patterns_find_paths(files):
    for path in ("a.py", "src/b.py", "src/x/c.py", "src/x/d.txt", ".hidden/e.py", "src/[x].py"):
        files.write_file(path, "")
    os.symlink(".", files.root / "src" / "self")
    for pattern, found in {
        "*.py": ["a.py"],
        "**/*.py": [".hidden/e.py", "a.py", "src/[x].py", "src/b.py", "src/x/c.py"],
        "src/*": ["src/[x].py", "src/b.py", "src/self", "src/x"],
        "src/**": ["src/[x].py", "src/b.py", "src/self", "src/x", "src/x/c.py", "src/x/d.txt"],
        "src/**/x/**/c.py": ["src/x/c.py"],
        "s?c/[!x].py": ["src/b.py"],
        "src/[[]x].py": ["src/[x].py"],
        "src/b.py": ["src/b.py"],
        "none/*": [],
        "a.py/*": [],
        "./src//b.py": ["src/b.py"],
        "/".join(["**"] * 12) + "/nothing": [],
    }.items():
        assert files.glob(pattern) == found, pattern


def test_usage_counts_a_file_with_two_names_once(files):
    files.write_file("big/a", "x" * 1000)
    files.write_file("big/b", "x" * 500)
    files.write_file("small", "x")
    os.link(files.root / "big" / "a", files.root / "again")
    usage = files.usage()
    assert {row.name: row.files for row in usage} == {"big": 2, "small": 1, "again": 1}
    assert (usage.total.size, usage.total.files, usage.total.folders) == (1501, 4, 1)
    assert "4 files, 1,501 bytes" in repr(usage)
    assert files.usage("big").total.size == 1500
    assert "there is nothing" in repr((files.ensure_directory("e"), files.usage("e"))[1])


def test_a_tree_is_copied_with_links_as_links_and_progress(files):
    files.write_file("a/x/1", "x" * 3_000_000)
    files.write_file("a/2", "y")
    (files.root / "a" / "2").chmod(0o700)
    os.utime(files.root / "a" / "2", (1, 1))
    os.symlink("/etc/passwd", files.root / "a" / "out")
    os.mkfifo(files.root / "a" / "pipe")
    files.write_file("b/2", "old")
    steps = []
    copied = files.copy_directory(
        "a", "b", on_progress=lambda done, total: steps.append((done, total))
    )
    assert (copied.files, copied.folders, copied.links, copied.size) == (2, 1, 1, 3_000_001)
    assert copied.skipped == ["pipe"]
    assert files.read_file("b/x/1") == "x" * 3_000_000
    assert files.read_file("b/2") == "y"
    about = (files.root / "b" / "2").stat()
    assert (about.st_mode & 0o777, about.st_mtime) == (0o700, 1)
    assert os.readlink(files.root / "b" / "out") == "/etc/passwd"
    assert steps[-1] == (3_000_001, 3_000_001)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_progress_may_be_awaited(files):
    files.write_file("a", "123")
    seen = []

    async def progress(done, total):
        await asyncio.sleep(0)
        seen.append((done, total))

    assert files.copy_file("a", "b/c", on_progress=progress).size == 3
    assert seen == [(3, 3)]
    assert files.read_file("b/c") == "123"


def test_a_copy_onto_what_is_of_another_kind_is_refused(files):
    files.write_file("a/x/1", "1")
    files.write_file("b/x", "a file")
    with pytest.raises(UsageError, match="x is a folder, and not so in b"):
        files.copy_directory("a", "b")
    files.ensure_directory("c/x/1")
    with pytest.raises(UsageError, match="folder, not a file"):
        files.copy_directory("a", "c")
    os.symlink("a", files.root / "alias")
    with pytest.raises(UsageError, match="not copied into itself"):
        files.copy_directory("a", "alias/deep/er")
    with pytest.raises(UsageError, match="not copied into itself"):
        files.copy_directory(".", "copy")


def test_moving_takes_a_new_name_and_overwrites_only_on_demand(files):
    files.write_file("a", "1")
    files.write_file("b", "2")
    with pytest.raises(UsageError, match="b exists already"):
        files.move("a", "b")
    files.move("a", "b", overwrite=True)
    assert files.read_file("b") == "1"
    files.move("b", "deep/er/c")
    assert files.read_file("deep/er/c") == "1"
    files.move("deep", "flat")
    assert names(files) == ["flat"]
    with pytest.raises(NotFoundError, match="there is no nothing"):
        files.move("nothing", "x")


def test_deleting_takes_a_link_and_not_what_it_leads_to(files):
    files.write_file("a/1", "")
    files.write_file("a/b/2", "")
    os.symlink("a", files.root / "link")
    assert files.delete("link") == 1
    assert files.delete("a/1") == 1
    files.ensure_directory("empty")
    assert files.delete("empty") == 1
    os.symlink("/etc", files.root / "a" / "etc")
    assert files.delete("a", recursive=True) == 4
    assert os.listdir(files.root) == []
    with pytest.raises(NotFoundError):
        files.delete("a")


def test_a_tree_deeper_than_there_are_descriptors_is_deleted(files):
    files.ensure_directory("a")
    before = os.getcwd()
    os.chdir(files.root / "a")
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(before)
    assert "lie too deep" in repr(files.usage())
    with pytest.raises(RejectedError, match="lies too deep; nothing was copied"):
        files.copy_directory("a", "b")
    assert files.delete("a", recursive=True) >= 1501
    assert os.listdir(files.root) == []


def test_a_slash_behind_the_name_of_a_folder_means_nothing(files):
    files.ensure_directory("src/")
    files.write_file("src/a", "1")
    assert names(files, "src/") == ["a"]
    files.move("src/", "to/")
    assert files.usage("to/").total.size == 1
    assert files.delete("to/", recursive=True) == 2


# Limits


def test_a_file_above_the_limit_is_neither_written_nor_read(make):
    files = make(max_size=1000)
    files.write_file("it", "x" * 1000)
    with pytest.raises(RejectedError, match="1,001 bytes; 1,000 are allowed") as raised:
        files.write_file("it", "y" * 1001)
    assert "AGENTNB_FILE_SIZE" in raised.value.hint
    assert files.read_file("it") == "x" * 1000
    (files.root / "it").write_text("z" * 1001)
    with pytest.raises(RejectedError, match="1,001 bytes"):
        files.read_file("it")
    assert len(make(max_size=0).read_file("it")) == 1001


def test_the_quota_counts_what_was_there_and_what_is_replaced(make):
    make().write_file("before", "x" * 400)
    files = make(quota=1000)
    files.write_file("a", "x" * 500)
    files.write_file("a", "y" * 600)
    with pytest.raises(RejectedError, match="needs 1 bytes more; 0 of 1,000 are left") as raised:
        files.write_file("b", "x")
    assert "AGENTNB_FILES_QUOTA" in raised.value.hint
    with pytest.raises(RejectedError, match="needs 400 bytes more"):
        files.copy_file("before", "b")
    files.write_file("c/a", "")
    with pytest.raises(RejectedError, match="0 of 1,000 are left"):
        files.write_file("c/a", "x")
    assert names(files) == ["c", "a", "before"]
    files.write_file("a", "z" * 300)
    files.delete("before")
    files.write_file("b", "x" * 700)


def test_what_another_process_writes_counts_near_the_limit(make):
    files = make(quota=1000)
    files.write_file("a", "x")
    (files.root / "theirs").write_text("x" * 900)
    with pytest.raises(RejectedError, match="99 of 1,000 are left"):
        files.write_file("b", "x" * 600)


def test_a_failed_write_gives_its_room_back(make):
    files = make(quota=1000)
    for _ in range(5):
        with pytest.raises(FileChanged):
            files.write_file("a", "x" * 300, if_hash="0" * 64)
    files.write_file("a", "x" * 900)


# How it is kept inside


def test_where_the_kernels_way_is_missing_or_forbidden_the_path_is_walked(monkeypatch):
    choose = best.__wrapped__
    assert type(choose()) is Openat2
    for code in (errno.ENOSYS, errno.EPERM):

        def refuse(*_, code=code):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(Openat2, "open", refuse)
            assert type(choose()) is Walk
    monkeypatch.setattr("sys.platform", "darwin")
    assert type(choose()) is Walk


# The hub


def test_the_hub_has_the_workspace_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.delenv("AGENTNB_WORKSPACE")
    before = threading.enumerate()  # those of awaited calls of other tests live some seconds
    with agentnb.connect(
        start=tmp_path, home=tmp_path / "h", file_size=10, files_quota="2kB"
    ) as hub:
        files = hub.files
        assert files.root == tmp_path / "workspace"
        assert (files.max_size, files.quota) == (10, 2000)
        files.write_file("a", "1")
        assert [tuple(row)[:3] for row in hub.health()] == [("files", best().name, "ok")]
        spans = hub.tracer.recent(1)
        assert [(span.name, span.service, span.attributes) for span in spans] == [
            ("write", "files", {"path": "a", "bytes": 1})
        ]
        with pytest.raises(NotFoundError):
            files.read_file("b")
        assert hub.tracer.recent(1)[0].outcome == "FileNotFound"
        watcher = files.watch(on_change=print)
    assert watcher.closed
    after = [one for one in threading.enumerate() if one not in before]
    assert not [one for one in after if one.name.startswith("agentnb-files")]


@pytest.mark.parametrize("text", ["ten", "-1", "1.5.2", "5XB", "inf"])
def test_a_size_that_is_none_is_refused_with_an_example(tmp_path, text):
    with pytest.raises(ConfigError) as raised:
        agentnb.connect(start=tmp_path, files_quota=text)
    assert "500MB" in str(raised.value)


def test_no_descriptor_is_left_open(files):
    files.write_file("a/b/c", "1")
    os.symlink("/etc", files.root / "out")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/b/c", "a/b", "no", "../x", "out/passwd", "a/b/c/d", "x" * 300, "out"):
        for call in (
            files.read_file,
            files.exists,
            files.list,
            files.usage,
            files.resolve_path,
            files.delete,
            lambda path: files.write_file(path, "x"),
            lambda path: files.move(path, "a/b/../../../up"),
            lambda path: files.copy_directory(path, "out/x"),
            lambda path: files.copy_file(path, "out/x"),
        ):
            try:
                call(path)
            except (UsageError, NotFoundError, RejectedError):
                continue
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_of_a_file_is_that_of_python_as_well(files):
    files.write_file("src/main.py", "x")
    files.write_file("kept", "x")
    (files.root / "kept").chmod(0o400)
    for call, kind, number, path in (
        (lambda: files.read_file("gone.txt"), FileNotFoundError, errno.ENOENT, "gone.txt"),
        (lambda: files.delete("gone.txt"), FileNotFoundError, errno.ENOENT, "gone.txt"),
        (lambda: files.read_file("src"), IsADirectoryError, errno.EISDIR, "src"),
        (lambda: files.list("src/main.py"), NotADirectoryError, errno.ENOTDIR, "src/main.py"),
        (lambda: files.write_file("kept", "y"), PermissionError, errno.EACCES, "kept"),
    ):
        with pytest.raises(kind) as raised:
            call()
        assert isinstance(raised.value, AgentnbError)
        assert (raised.value.errno, raised.value.filename) == (number, path)
    files.write_file("to", "y")
    with pytest.raises(FileExistsError) as taken:
        files.move("src/main.py", "to")
    assert isinstance(taken.value, AgentnbError)
