"""Paths, links, races and faults that try to get out of the workspace, or to break what is in it.

``AGENTNB_RACE=10`` gives the attacker ten seconds a race.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentnb.core.errors import (
    AgentnbError,
    NotFoundError,
    PathEscape,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.files import FileSystemManager
from agentnb.core.files.confinement import FOLDER, PATH_ONLY, Openat2, Outside, Walk
from agentnb.core.files.names import is_temporary
from agentnb.core.files.reading import READ
from agentnb.core.files.walking import READ_FOLDER

SECRET = "the secret of the outside"
RACE_SECONDS = float(os.environ.get("AGENTNB_RACE") or 1)


@pytest.fixture(params=[Openat2, Walk], ids=["openat2", "walk"])
def files(request, tmp_path):
    """Return a workspace full of traps, beside a folder with a secret."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (tmp_path / "ws2").mkdir()
    (tmp_path / "ws2" / "secret.txt").write_text(SECRET)
    with FileSystemManager(tmp_path / "ws", resolver=request.param()) as made:
        made.write_file("a/b/c.txt", "inside")
        root = made.root
        for name, target in {
            "abs": outside,
            "abs_file": outside / "secret.txt",
            "rel": "../outside",
            "rel_file": "../outside/secret.txt",
            "sibling": "../ws2",
            "chain": "chain2",
            "chain2": "a/chain3",
            "a/chain3": "../rel",
            "a/up": "../..",
            "parent": "..",
            "everything": "/",
            "self_root": "/proc/self/root",
            "self_cwd": "/proc/self/cwd",
            "abs_inside": root / "a",
            "loop": "loop",
            "loop1": "loop2",
            "loop2": "loop1",
            "dangling": "nowhere/at/all",
            "dangling_out": "../outside/new.txt",
            "null": "/dev/null",
            "in": "a/b",
            "a/b/up_in": "..",
            "long": "/".join(["a/b/../.."] * 100 + ["a/b/c.txt"]),
        }.items():
            os.symlink(target, root / name)
        os.mkfifo(root / "fifo")
        with socket.socket(socket.AF_UNIX) as link:
            here = os.getcwd()
            os.chdir(root)  # the path of a socket must be short
            try:
                link.bind("socket")
            finally:
                os.chdir(here)
        if os.geteuid() == 0:
            with contextlib.suppress(PermissionError):  # a container may not
                os.mknod(root / "device", 0o020666, os.makedev(1, 5))  # zeros without end
        yield made
    left = {path.name: path.read_text() for path in outside.iterdir()}
    assert left == {"secret.txt": SECRET}
    assert os.listdir(tmp_path / "ws2") == ["secret.txt"]
    assert sorted(os.listdir(tmp_path)) == ["outside", "ws", "ws2"]


ESCAPES = [
    "..",
    "../outside/secret.txt",
    "./../outside/secret.txt",
    ".//..//outside/secret.txt",
    "a/../../outside/secret.txt",
    "a/b/../../../outside/secret.txt",
    "../" * 40 + "etc/passwd",
    "../ws/a/b/c.txt",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "{outside}/secret.txt",
    "{root}/../outside/secret.txt",
    "{root}2/secret.txt",
    "abs/secret.txt",
    "abs_file",
    "rel/secret.txt",
    "rel_file",
    "rel/../ws/a/b/c.txt",
    "sibling/secret.txt",
    "chain/secret.txt",
    "a/chain3/secret.txt",
    "a/up/outside/secret.txt",
    "parent/outside/secret.txt",
    "everything/etc/passwd",
    "self_root/etc/passwd",
    "self_cwd/x",
    "abs_inside/b/c.txt",
    "null",
    "in/../../../outside/secret.txt",
    "in/up_in/../../outside/secret.txt",
]

NO_PATHS = [
    "",
    "\0",
    "a/b/c.txt\0.png",
    b"a/b/c.txt",
    None,
    7,
    "x" * 300,
    "é" * 150,
    "x/" * 200 + "x",
    "\ud800",
    ".agentnb-0123456789abcdef.tmp",
    "a/.agentnb-0123456789abcdef.tmp/x",
    "loop",
    "loop1/x",
    "a/b/c.txt/d",
    "fifo",
    "socket",
    "a",
    "in",
]

FINE = [
    "a..b",
    "..a",
    "a..",
    "...",
    "....//....//x",
    "~",
    "~root/x",
    "$HOME/x",
    "%2e%2e/x",
    "C:\\x",
    "..\\..\\x",
    "two words",
    "a\nb",
    "a\rb\tc",
    "\x1b[31mred",
    "-rf",
    "--help",
    "; rm -rf x",
    "$(id)",
    "*",
    "[a]",
    "\udcff\udcfe",
    "e\u0301",
    "\u00e9",
    "\u202etxt.exe",
    "\U0001f600",
    "CASE",
    "case",
    "x" * 255,
    "trailing. ",
    " ",
    "CON",
    "nul.txt",
    "./a//b/./new",
    "a/../a/b/new2",
    "in/new3",
    "in/up_in/b/new4",
    "dangling",
    ".agentnb-notes.tmp",
    "a/" * 100 + "deep",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out(files, path, tmp_path):
    path = path.format(outside=tmp_path / "outside", root=files.root)
    under = f"{path}/x" if path != "/" else "/x"
    for call in (
        lambda: files.read_file(path),
        lambda: files.exists(path),
        lambda: files.write_file(path, "theirs"),
        lambda: files.write_file(path, "theirs", if_hash=""),
        lambda: files.write_file(under, "theirs"),
        lambda: files.list(path),
        lambda: files.usage(path),
        lambda: files.watch(path),
        lambda: files.resolve_path(path),
        lambda: files.ensure_directory(under),
        lambda: files.delete(under, recursive=True),
        lambda: files.move(under, "stolen"),
        lambda: files.move("a/b/c.txt", under),
        lambda: files.copy_file(path, "stolen"),
        lambda: files.copy_file("a/b/c.txt", under),
        lambda: files.copy_directory(path, "stolen"),
        lambda: files.copy_directory("a/b", under),
    ):
        with pytest.raises(AgentnbError) as raised:
            call()
        # `..` has no name to give; what is not a folder has nothing in it.
        allowed = (PathEscape, UsageError) if path.endswith((".txt", "..", "/")) else PathEscape
        assert isinstance(raised.value, allowed), (call, raised.value)
        assert SECRET not in str(raised.value)
    with pytest.raises(PathEscape):
        files.read_file(path)
    assert not files.exists("stolen")
    assert files.read_file("a/b/c.txt") == "inside"


@pytest.mark.parametrize("path", NO_PATHS)
def test_what_is_no_file_is_refused_at_once(files, path):
    before = files.list().column("name")
    for call in (
        lambda: files.read_file(path),
        lambda: files.write_file(path, "theirs"),
        lambda: files.copy_file(path, "stolen"),
    ):
        with pytest.raises(UsageError):
            call()
    assert files.list().column("name") == before


def test_a_device_is_neither_read_nor_written(files, require):
    require("mount", (files.root / "device").exists(), "devices cannot be made here")
    for call in (lambda: files.read_file("device"), lambda: files.write_file("device", "x")):
        with pytest.raises(UsageError, match="device is a device, not a file"):
            call()
    os.rename(files.root / "device", files.root / "a" / "device")
    assert files.copy_directory("a", "y").skipped == ["device"]


@pytest.mark.parametrize("path", FINE)
def test_an_odd_name_is_a_name_like_any_other(files, path):
    files.write_file(path, "it")
    assert files.read_file(path) == "it"
    assert files.exists(path)
    assert files.resolve_path(path).read_text() == "it"
    if "/" not in path and path != "dangling":
        assert path in files.list().column("name")
        assert path in files.glob("*")
        repr(files.list()).encode()
        files.copy_file(path, "copies/1")
        files.move(path, "moved")
        assert not files.exists(path)
        files.move("moved", path)
    assert files.delete(path) == 1


def test_two_names_that_look_alike_are_two_files(files):
    for number, name in enumerate(("CASE", "case", "e\u0301", "\u00e9")):
        files.write_file(name, str(number))
    assert [files.read_file(name) for name in ("CASE", "case", "e\u0301", "\u00e9")] == list("0123")


@pytest.mark.parametrize(
    "pattern", ["../*", "/etc/*", "a/../../outside/*", "**/../**", "", "\0", "/"]
)
def test_a_pattern_does_not_leave(files, pattern):
    with pytest.raises(UsageError):
        files.glob(pattern)


def test_a_walk_of_everything_sees_nothing_of_the_outside(files):
    assert not [path for path in files.glob("**") if "secret" in path or "passwd" in path]
    assert files.usage().total.size == len("inside")
    copied = files.copy_directory("a", "z")
    assert (copied.files, copied.links) == (1, 3)
    assert SECRET not in "".join(
        path.read_text()
        for path in files.root.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and path.name not in {"fifo", "socket", "device"}
    )
    for name in ("abs", "rel", "everything", "loop", "dangling_out", "parent"):
        assert files.delete(name, recursive=True) == 1


def test_a_link_that_leads_out_is_moved_as_a_link(files):
    files.move("abs", "elsewhere/abs")
    assert os.readlink(files.root / "elsewhere" / "abs").endswith("outside")
    files.write_file("it", "x")
    files.move("it", "rel_file", overwrite=True)
    assert files.read_file("rel_file") == "x"


def test_a_hard_link_to_the_outside_is_not_written_through(files, tmp_path):
    os.link(tmp_path / "outside" / "secret.txt", files.root / "hard")
    files.write_file("hard", "ours now")
    files.write_file("a/hard", "x")
    files.copy_file("a/hard", "hard")
    assert files.read_file("hard") == "x"


def test_the_magic_links_of_proc_lead_nowhere(files, mounted):
    (files.root / "proc").mkdir()
    mounted(files.root / "proc", "-t", "proc", "proc")
    for path in ("proc/self/root/etc/passwd", "proc/self/cwd/x", f"proc/{os.getpid()}/root/etc"):
        with pytest.raises((PathEscape, UsageError)):
            files.read_file(path)
    with pytest.raises((PathEscape, UsageError, NotFoundError)):
        files.read_file("proc/self/fd/0")
    assert files.read_file("proc/self/comm")  # said to have no bytes, and yet a file


def test_what_is_mounted_inside_is_not_emptied(files, mounted, tmp_path):
    files.ensure_directory("a/b/mnt")
    mounted(files.root / "a/b/mnt", "--bind", str(tmp_path / "outside"))
    with pytest.raises(RejectedError):
        files.delete("a", recursive=True)
    assert files.exists("a/b/mnt/secret.txt")


@pytest.fixture
def full(mounted, tmp_path):
    """Return a workspace on a disk of 256 kB."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted(where, "-t", "tmpfs", "-o", "size=256k", "tmpfs")
    return FileSystemManager(where / "ws")


def test_on_a_full_disk_nothing_is_half_written(full):
    full.write_file("kept", "x" * 100_000)
    for call in (
        lambda: full.write_file("kept", "y" * 200_000),
        lambda: full.write_file("new/er", "y" * 300_000),
        lambda: (full.copy_file("kept", "a"), full.copy_file("kept", "b")),
    ):
        with pytest.raises(RejectedError, match="disk is full") as raised:
            call()
        assert "free some room" in raised.value.hint
    assert full.read_file("kept") == "x" * 100_000
    assert full.read_file("a") == "x" * 100_000
    found = {name for _, _, names in os.walk(full.root) for name in names}
    assert found == {"kept", "a"}
    full.delete("a")
    full.write_file("new/er", "z" * 100_000)


def test_a_tree_that_does_not_fit_leaves_whole_files_only(full):
    for number in range(3):
        full.write_file(f"tree/{number}", str(number) * 60_000)
    with pytest.raises(RejectedError, match="disk is full"):
        full.copy_directory("tree", "copy")
    for name in os.listdir(full.root / "copy"):
        assert full.read_file(f"copy/{name}") == name * 60_000


# Death in the middle


WRITER = """
import sys
from agentnb.core.files import FileSystemManager
files = FileSystemManager(sys.argv[1])
data = b"x" * 20_000_000
print("writing", flush=True)
while True:
    files.write_file("big", data)
"""


def test_a_writer_that_is_killed_leaves_the_old_file_and_what_it_left_is_swept(tmp_path):
    files = FileSystemManager(tmp_path / "ws")
    files.write_file("big", b"x" * 20_000_000)
    left = []
    for _ in range(20):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(files.root)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        until = time.monotonic() + 20
        while not (left := _unfinished(files)) and time.monotonic() < until:
            pass
        if left:
            alive = FileSystemManager(tmp_path / "ws")
            alive.write_file("other", "sweeps")  # while the writer lives it keeps what it writes
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if left := _unfinished(files):
            break
    assert left
    assert files.list().column("name") == ["big", "other"]
    assert files.read_file("big", encoding=None) == b"x" * 20_000_000
    FileSystemManager(tmp_path / "ws").write_file("other", "swept")
    assert _unfinished(files) == []


def _unfinished(files):
    return [name for name in os.listdir(files.root) if is_temporary(name)]


def test_what_is_being_written_is_not_swept(tmp_path):
    writer = FileSystemManager(tmp_path / "ws")
    writer.ensure_directory(".")
    from agentnb.core.files.writing import create

    folder = os.open(writer.root, os.O_RDONLY)
    name, made = create(folder)
    FileSystemManager(tmp_path / "ws").write_file("a", "")
    assert _unfinished(writer) == [name]
    os.close(made)
    FileSystemManager(tmp_path / "ws").write_file("b", "")
    assert _unfinished(writer) == []
    os.close(folder)


def test_a_tree_whose_removal_was_cut_short_is_swept(tmp_path):
    files = FileSystemManager(tmp_path / "ws")
    (tmp_path / "ws/.agentnb-0123456789abcdef.tmp/x/y").mkdir(parents=True)
    assert files.list().column("name") == []
    FileSystemManager(tmp_path / "ws").write_file("a", "")
    assert os.listdir(files.root) == ["a"]


# Races


@pytest.fixture
def swapped(monkeypatch):
    """Return what puts a link out in the place of a name, right after it was looked at."""
    look = os.stat

    def arm(place, target, looks):
        place.with_name(f"{place.name}_link").symlink_to(target)
        left = [looks]

        def stat(path, *, dir_fd=None, follow_symlinks=True):
            found = look(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
            if path == place.name and dir_fd is not None:
                left[0] -= 1
                if left[0] == 0:  # by the folder, which may have been moved aside
                    here = {"src_dir_fd": dir_fd, "dst_dir_fd": dir_fd}
                    os.rename(path, f"{path}_gone", **here)
                    os.rename(f"{path}_link", path, **here)
            return found

        monkeypatch.setattr(os, "stat", stat)

    return arm


@pytest.mark.parametrize(
    "call",
    [
        lambda files: files.copy_directory("t", "copied"),
        lambda files: files.glob("t/**/*.txt"),
        lambda files: files.usage("t").total.size,
        lambda files: files.delete("t", recursive=True),
        lambda files: files.delete("t/v", recursive=True),
        lambda files: files.watch("t").poll(),
        lambda files: FileSystemManager(files.root).write_file("new", "sweeps"),
    ],
)
@pytest.mark.parametrize("name", ["t/v", "t/f.txt", "t/.agentnb-0123456789abcdef.tmp"])
@pytest.mark.parametrize("looks", [1, 2])
def test_what_becomes_a_link_between_a_look_and_a_step_is_not_followed(
    files, swapped, tmp_path, call, name, looks
):
    files.write_file("t/f.txt", "inside")
    files.write_file("t/v/x", "inside")
    (files.root / "t" / ".agentnb-0123456789abcdef.tmp").mkdir()
    out = tmp_path / "outside"
    target = out if name != "t/f.txt" else out / "secret.txt"
    swapped(files.root / name, target, looks)
    try:
        found = call(files)
    except AgentnbError as error:
        found = error
    assert "secret" not in str(found)
    assert found != len(SECRET) + len("insideinside")
    for path in files.root.joinpath("copied").rglob("*"):
        assert "secret" not in path.name
        assert path.is_symlink() or path.is_dir() or path.read_text() == "inside"


ATTACKER = """
import ctypes, os, sys
root, victim, outside = sys.argv[1:]
os.chdir(root)
swap = ctypes.CDLL(None).renameat2
one, two = victim.encode(), (victim + "_link").encode()
os.symlink(outside, two)
print("ready", flush=True)
while True:
    swap(-100, one, -100, two, 2)  # RENAME_EXCHANGE
"""


@pytest.fixture
def attack(tmp_path):
    """Return what swaps a folder in the workspace with a link out of it, without end."""
    attackers = []

    def end(one):
        assert one.poll() is None, "the attacker gave up"
        one.kill()
        one.wait()
        one.stdout.close()

    def start(root, victim):
        outside = os.path.relpath(tmp_path / "outside", (root / victim).parent)
        attackers.append(
            subprocess.Popen(
                [sys.executable, "-c", ATTACKER, str(root), victim, outside],
                stdout=subprocess.PIPE,
            )
        )
        assert attackers[-1].stdout.readline() == b"ready\n"
        return lambda: end(attackers.pop())

    yield start
    for one in attackers:
        end(one)


def met(seen):
    """Tell whether both ways of the race were met; else it was none."""
    return all({"escape", "done"} <= seen[name] for name in ("read", "write"))


def test_no_race_leads_out(files, attack):
    """Every call on a folder that is a link out of the workspace half of the time."""
    files.write_file("t/v/secret.txt", "inside")
    files.write_file("t/v/w/deep.txt", "inside")
    stop = attack(files.root, "t/v")
    calls = {
        "read": lambda: files.read_file("t/v/secret.txt"),
        "write": lambda: files.write_file("t/v/new.txt", "ours"),
        "write_hash": lambda: files.write_file("t/v/new2.txt", "ours", if_hash=""),
        "make": lambda: files.ensure_directory("t/v/made/deep"),
        "list": lambda: files.list("t/v").column("name"),
        "glob": lambda: files.glob("t/**/*.txt"),
        "usage": lambda: files.usage("t").total.size,
        "copy": lambda: files.copy_directory("t", "copied"),
        "copy_file": lambda: files.copy_file("t/v/secret.txt", "one"),
        "copy_into": lambda: files.copy_file("a/b/c.txt", "t/v/copied.txt"),
        "move": lambda: (
            files.move("a/b/c.txt", "t/v/moved.txt", overwrite=True)
            or files.move("t/v/moved.txt", "a/b/c.txt", overwrite=True)
        ),
        "delete": lambda: files.delete("t/v/made", recursive=True),
        "exists": lambda: files.exists("t/v/secret.txt"),
        "resolve": lambda: files.resolve_path("t/v/secret.txt"),
    }
    seen = {name: set() for name in calls}
    until = time.monotonic() + RACE_SECONDS
    rounds = 0
    # Longer where the attacker has hardly come to work yet.
    while (now := time.monotonic()) < until or (not met(seen) and now < until + 60):
        rounds += 1
        for name, call in calls.items():
            try:
                result = call()
            except PathEscape:
                seen[name].add("escape")
            except (NotFoundError, UsageError, RejectedError, UnavailableError):
                seen[name].add("other")
            else:
                seen[name].add("done")
                assert SECRET not in str(result)
                if name == "list":
                    assert set(result) >= {"secret.txt", "w"}
        with contextlib.suppress(AgentnbError):
            files.delete("copied", recursive=True)
        with contextlib.suppress(AgentnbError):
            files.move("t/v/moved.txt", "a/b/c.txt", overwrite=True)
        with contextlib.suppress(AgentnbError):
            files.delete("t/v/new2.txt")
    stop()
    assert met(seen), (rounds, seen)
    for path in Path(files.root).rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "device":
            assert SECRET not in path.read_text()


def test_a_tree_that_is_attacked_while_it_is_deleted_takes_nothing_with_it(files, attack):
    files.write_file("t/v/x", "")
    attack(files.root, "t/v")
    until = time.monotonic() + RACE_SECONDS / 2
    while time.monotonic() < until:
        # A copy, since the attacker needs something to attack.
        with contextlib.suppress(AgentnbError):
            files.copy_directory("t", "u")
        with contextlib.suppress(AgentnbError):
            files.delete("u", recursive=True)
        with contextlib.suppress(AgentnbError):
            files.delete("t/v/x")
        with contextlib.suppress(AgentnbError):
            files.write_file("t/v/x", "")


# Both ways are one


def any_path(chance, most):
    steps = [*"abcd", *"abcd", "loop", "nothing", "..", "."]
    return "/".join(chance.choice(steps) for _ in range(chance.randint(1, most)))


def tangled(root, chance):
    """Make folders full of links that lead anywhere."""
    folders = [root, root / "a", root / "b", root / "a/b", root / "a/b/c"]
    for folder in folders:
        folder.mkdir()
    (root / "loop").symlink_to("loop")
    for folder in folders:
        for name in "abcd":
            target = any_path(chance, 4)
            with contextlib.suppress(FileExistsError):
                if chance.random() < 0.6:
                    (folder / name).symlink_to(f"/{target}" if chance.random() < 0.1 else target)
                else:
                    (folder / name).touch(exist_ok=False)


def outcome(resolver, top, parts, flags):
    """Return the number of what is found, or why nothing is."""
    try:
        found = resolver.open(top, parts, flags)
    except Outside:
        return "outside"
    except OSError as error:
        return errno.errorcode[error.errno]
    inode = os.fstat(found).st_ino
    os.close(found)
    return inode


@pytest.mark.parametrize("seed", [1, 7])
def test_the_kernel_and_the_walk_agree_on_any_path_through_any_links(tmp_path, seed):
    chance = random.Random(seed)
    (tmp_path / "a").mkdir()  # to be found by those who get out
    tangled(tmp_path / "ws", chance)
    top = os.open(tmp_path / "ws", os.O_RDONLY)
    kernel, walk, seen = Openat2(), Walk(), set()
    for _ in range(3000):
        path = any_path(chance, 7)
        parts = [part for part in path.split("/") if part != "."]
        for flags in (PATH_ONLY, READ, READ_FOLDER, PATH_ONLY | os.O_NOFOLLOW, FOLDER):
            found = outcome(kernel, top, parts, flags)
            assert found == outcome(walk, top, parts, flags), (path, flags)
            seen.add(found)
    os.close(top)
    assert {"outside", "ELOOP", "ENOTDIR", "ENOENT"} <= seen
