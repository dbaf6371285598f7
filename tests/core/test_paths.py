from __future__ import annotations

import contextlib
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

import agentnb
from agentnb.core.cellmodule import keep_module
from agentnb.core.db import sqlite
from agentnb.core.errors import ConfigError, UnavailableError
from agentnb.core.paths import ensure_home, is_network

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
server:/my\\040data /mnt/my\\040data cifs rw 0 0
host:/x /mnt/ssh fuse.sshfs rw 0 0
host:/x /mnt/late nfs rw 0 0
tmpfs /mnt/late tmpfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/ada/.agentnb", True),
        ("/home", True),
        ("/homes/ada", False),
        ("/home/local/x", False),
        ("/mnt/my data/x.db", True),
        ("/mnt/ssh/x", True),
        ("/mnt/late/x", False),
        ("/var/x", False),
    ],
)
def test_a_network_is_told_by_the_mount_that_a_path_lies_on(path, expected):
    assert is_network(Path(path), MOUNTS) is expected


def test_a_temporary_folder_of_this_machine_is_asked_for_without_failing(tmp_path):
    assert is_network(tmp_path) in {True, False}


def test_a_home_is_private_and_ignored_by_git(tmp_path):
    home = ensure_home(tmp_path / "a" / ".agentnb")
    assert (home / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    (home / ".gitignore").write_text("mine\n")
    assert (ensure_home(home) / ".gitignore").read_text() == "mine\n"


def test_a_folder_with_other_things_in_it_is_not_hidden_from_git(tmp_path):
    (tmp_path / "code.py").write_text("")
    ensure_home(tmp_path)
    assert not (tmp_path / ".gitignore").exists()


@pytest.mark.parametrize("home", ["a file", "a file/below", "/proc/no-such-home"])
def test_a_home_that_cannot_be_written_is_told(tmp_path, home):
    (tmp_path / "a file").write_text("")
    with agentnb.connect(home=tmp_path / home) as hub, pytest.raises(ConfigError) as caught:
        hub.db.query("select 1")
    assert "home folder cannot be used" in str(caught.value)
    assert "AGENTNB_HOME" in caught.value.hint


def test_a_database_elsewhere_works_without_a_home(tmp_path):
    (tmp_path / "file").write_text("")
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with agentnb.connect(home=tmp_path / "file" / "home", database_url=url) as hub:
        assert hub.db.query("select 1").scalar() == 1
        assert "no log is written" in hub.health().note


def test_the_logs_of_a_database_elsewhere_are_ignored_by_git_too(tmp_path):
    home = tmp_path / ".agentnb"
    with agentnb.connect(home=home, database_url=f"sqlite:///{tmp_path / 'x.db'}") as hub:
        hub.db.query("select 1")
    assert (home / ".gitignore").read_text() == "*\n"
    assert list((home / "logs").iterdir())


@pytest.mark.parametrize("name", ["with space", "a?b", "a%20b", "a#b", "größe", "it's", 'a"b'])
def test_a_home_may_have_any_name(tmp_path, name):
    home = tmp_path / name / ".agentnb"
    with agentnb.connect(home=home) as hub:
        hub.db.execute("create table t (a)")
    assert (home / "agentnb.db").is_file()
    assert (home / ".gitignore").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("network", "mode"), [(True, "delete"), (False, "wal")])
def test_sqlite_on_a_network_goes_without_wal(tmp_path, monkeypatch, network, mode):
    mounts = f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} {'nfs' if network else 'xfs'} rw 0 0\n"
    monkeypatch.setattr(sqlite, "is_network", lambda path: is_network(path, mounts))
    with agentnb.connect(home=tmp_path / "home") as hub:
        hub.db.execute("create table t (a)")
        assert hub.db.query("pragma journal_mode").scalar() == mode
    with closing(sqlite3.connect(tmp_path / "home" / "agentnb.db")) as raw:
        assert raw.execute("pragma journal_mode").fetchone() == (mode,)


def test_a_home_on_a_full_disk_is_an_error_that_says_so_and_is_made_later(mounted, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted(disk, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    with contextlib.suppress(OSError), (disk / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    home = disk / "home"
    module = home / "modules" / "agent_plan.py"
    for call in (lambda: ensure_home(home), lambda: keep_module(home, module, "x = 1")):
        with pytest.raises(UnavailableError, match="No space left") as raised:
            call()
        assert raised.value.hint.startswith("free some room on that disk")
    (disk / "rest").unlink()
    keep_module(home, module, "x = 1")
    assert (home / ".gitignore").read_text() == "*\n"
    assert module.read_text() == "x = 1"
    assert list(module.parent.iterdir()) == [module]
