"""Settings and code of other users: refused by their owner, whoever runs the tests."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import ConfigError, UntrustedPath
from agentnb.core.paths import ensure_home
from agentnb.core.settings import Settings, find_root
from agentnb.core.trust import Trust, private_folder

NOBODY = 65534


@pytest.fixture
def project(tmp_path):
    """Return a folder in one that every user may write to, as /tmp is."""
    shared = tmp_path / "shared"
    (shared / "project").mkdir(parents=True)
    shared.chmod(0o1777)
    return shared / "project"


@pytest.fixture
def become_other(monkeypatch):
    """Return what makes this process's files another user's: by giving them away, or its name.

    Root gives the file to nobody. Another user cannot, and so takes another user's number.
    """

    def become(*paths):
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            return "nobody"
        own = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: own + 1)
        return f"uid {own}"

    return become


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("marker", [".env", ".git", ".agentnb"])
def test_a_marker_of_another_users_is_an_error_that_names_its_owner(project, become_other, marker):
    planted = project.parent / marker
    if marker == ".env":
        planted.write_text("GITHUB_API_URL=http://127.0.0.1:1\n")
    else:
        planted.mkdir()
    owner = become_other(planted)
    with pytest.raises(UntrustedPath) as raised:
        agentnb.connect(start=project)
    assert f"{planted} is not used: it belongs to " in raised.value.message
    assert owner in raised.value.message
    assert raised.value.hint.endswith(f"AGENTNB_TRUST={planted}")
    assert isinstance(raised.value, ConfigError)


def test_an_own_marker_in_a_folder_that_all_write_to_counts(project):
    (project.parent / ".env").write_text("AGENTNB_DB_ROWS=7\n")
    settings = Settings.load(start=project, environ={})
    assert (settings.root, settings.db_rows) == (project.parent, 7)


@pytest.mark.parametrize("bits", [0o606, 0o666, 0o602])
def test_a_dotenv_that_others_can_write_is_not_read(project, bits):
    (project / ".env").write_text("AGENTNB_DB_ROWS=7\n")
    (project / ".env").chmod(bits)
    with pytest.raises(UntrustedPath, match=rf"every user can write it \(mode 0{bits:o}\)"):
        Settings.load(start=project, environ={})
    (project / ".env").chmod(0o660)  # the primary group may
    assert Settings.load(start=project, environ={}).db_rows == 7


def test_a_dotenv_that_was_opened_to_others_later_is_not_read_again(project):
    (project / ".env").write_text("OTHER_URL=sqlite://\n")
    settings = Settings.load(start=project, environ={})
    assert settings.variable("OTHER_URL").reveal() == "sqlite://"
    (project / ".env").chmod(0o666)
    with pytest.raises(UntrustedPath):
        settings.variable("OTHER_URL")


def test_a_group_that_is_not_the_primary_one_is_another_user(tmp_path):
    found = list(tmp_path.stat())
    found[0], found[5] = stat.S_IFREG | 0o664, 54321
    with pytest.raises(UntrustedPath, match="the group gid 54321 can write it"):
        Trust().check(tmp_path, os.stat_result(found), service="settings")
    found[0] = stat.S_IFREG | 0o644
    Trust().check(tmp_path, os.stat_result(found), service="settings")


def test_what_is_roots_counts_for_every_user(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    Trust().check(Path("/"), service="settings")
    if tmp_path.stat().st_uid:
        with pytest.raises(UntrustedPath):
            Trust().check(tmp_path, service="settings")


def test_a_link_of_another_users_to_an_own_file_does_not_count(project, become_other):
    own = project / "own.env"
    own.write_text("AGENTNB_DB_ROWS=7\n")
    link = project / ".env"
    link.symlink_to(own)
    assert Settings.load(start=project, environ={}).db_rows == 7
    become_other(link)
    with pytest.raises(UntrustedPath):
        Settings.load(start=project, environ={})


def test_a_place_is_trusted_by_the_environment_alone(project, become_other):
    planted = project.parent / ".env"
    planted.write_text("AGENTNB_DB_ROWS=7\n")
    become_other(planted)
    for place in (planted, project.parent, f"/nowhere{os.pathsep}{project.parent}"):
        assert Settings.load(start=project, environ={"AGENTNB_TRUST": str(place)}).db_rows == 7
    for place in (project, "/nowhere", f"{project.parent}x", ""):
        with pytest.raises(UntrustedPath):
            Settings.load(start=project, environ={"AGENTNB_TRUST": str(place)})
    with pytest.raises(ConfigError, match="its paths are absolute"):
        Settings.load(start=project, environ={"AGENTNB_TRUST": "shared"})


def test_a_file_cannot_say_that_it_is_to_be_trusted(project):
    (project / ".env").write_text(f"AGENTNB_TRUST={project}\n")
    with pytest.raises(ConfigError, match="counts in the environment alone"):
        Settings.load(start=project, environ={})


def test_a_home_of_another_users_is_refused_wherever_it_is_named(project, become_other):
    home = project / "home"
    home.mkdir(mode=0o777)
    owner = become_other(home)
    for call in (
        lambda: agentnb.connect(home=home, start=project),
        lambda: ensure_home(home),
        lambda: private_folder(home, service="settings"),
    ):
        with pytest.raises(UntrustedPath, match=owner):
            call()
    assert not list(home.iterdir())


def test_a_home_that_is_planted_after_the_settings_were_read_is_not_written_to(
    project, become_other
):
    with agentnb.connect(home=project / "home", start=project, database_url="sqlite://") as hub:
        (project / "home").mkdir()
        become_other(project / "home")
        for _ in range(2):
            with pytest.raises(UntrustedPath):
                hub.db.query("select 1")
    assert not list((project / "home").iterdir())


@pytest.mark.parametrize("bits", [0o755, 0o770, 0o777])
def test_a_home_that_was_open_becomes_private_with_one_line(tmp_path, capfd, bits):
    home = tmp_path / ".agentnb"
    home.mkdir()
    home.chmod(bits)
    with agentnb.connect(start=tmp_path, home=home) as hub:
        hub.db.execute("create table t (a)")
    assert mode(home) == 0o700
    said = capfd.readouterr().err.splitlines()
    assert said == [
        f"agentnb: {home} was open to other users (mode 0{bits:o}); it is private now (0700)"
    ]


def test_what_another_user_put_into_an_open_home_is_not_used(tmp_path, monkeypatch):
    home = tmp_path / ".agentnb"
    (home / "modules").mkdir(parents=True)
    home.chmod(0o777)
    planted = home / "modules" / "queue_mail.py"
    planted.write_text("")
    original = Path.lstat

    def lstat(path):
        found = list(original(path))
        if path == planted:
            found[4] = os.geteuid() + 1
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", lstat)
    with pytest.raises(UntrustedPath, match=r"queue_mail\.py is in it: it belongs to "):
        ensure_home(home)


def test_a_folder_of_all_users_is_no_home(tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all").chmod(0o1777)
    with pytest.raises(ConfigError, match="is shared by all users"):
        ensure_home(tmp_path / "all")
    assert mode(tmp_path / "all") == 0o1777


def test_a_umask_of_zero_leaves_nothing_open(tmp_path):
    home = tmp_path / "a" / "b" / "home"
    script = (
        "import os; os.umask(0)\n"
        "import agentnb\n"
        f"with agentnb.connect(start='.', home={str(home)!r}) as h:\n"
        "    h.db.execute('create table t (a)')\n"
        "    h.cache.set('k', 1)\n"
        "    h.workflows.list()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert mode(home) == 0o700
    open_to_others = [
        path for path in home.rglob("*") if not path.is_socket() and mode(path) & 0o077
    ]
    assert open_to_others == []
    assert not mode(home.parent) & 0o022
    assert (home / "redis" / "owner.json").is_file()


def test_the_root_is_found_by_ones_own_markers(project):
    (project / ".git").mkdir()
    (project / "deep").mkdir()
    assert find_root(project / "deep") == project
