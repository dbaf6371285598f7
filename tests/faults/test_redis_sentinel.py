"""A primary that Sentinels watch: it is found by its name, and its successor after it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import warnings

import pytest

import agentnb
from agentnb.core.errors import ConfigError, UnavailableError
from agentnb.core.redis import RedisClient
from tests.faults.redis_load import survive
from tests.listening import Listener
from tests.redis_servers import HOST, Sentinels, Server, free_ports, missing
from tests.waiting import until


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Return a primary and its Sentinels that no test kills."""
    with Sentinels(tmp_path_factory.mktemp("sentinel")) as made:
        yield made


def test_a_primary_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(tmp_path):
    with (
        Sentinels(tmp_path / "servers") as servers,
        agentnb.connect(redis_url=servers.url, home=tmp_path / "home") as hub,
    ):
        pause = survive(hub, servers.primary.kill)
        assert hub.redis.node == f"primary {HOST}:{servers.replica.port} of mymaster"
        assert pause < servers.down_after + 3 + 1  # the last one for two busy cores


def test_a_server_that_became_a_replica_is_left_though_its_connections_stay(tmp_path):
    with Sentinels(tmp_path / "servers") as servers, RedisClient(servers.url) as client:
        client.set("k", 1)
        for server in servers.watching[1:]:
            server.kill()  # so that nothing ends the connections but the test
        servers.watching[0].ask("SENTINEL", "REMOVE", "mymaster")
        servers.replica.ask("REPLICAOF", "NO", "ONE")
        servers.primary.ask("REPLICAOF", HOST, servers.replica.port)
        servers.watching[0].ask("SENTINEL", "MONITOR", "mymaster", HOST, servers.replica.port, 1)
        assert client.incr("k") == 2
        assert client.pipeline().incr("k").execute() == [3]
        assert servers.replica.ask("GET", "k") == b"3"


def test_sentinels_that_are_away_are_passed_over(watched, caplog):
    dead = free_ports(1)[0]
    caplog.set_level(logging.INFO, "agentnb.redis")
    url = watched.url.replace("://", f"://{HOST}:{dead},")
    with RedisClient(url) as client:
        assert client.ping()
        assert client.node == f"primary {HOST}:{watched.primary.port} of mymaster"
        assert client.blpop("none", timeout=0.1) is None
    assert "ERROR" not in caplog.text


def test_the_services_and_a_forked_child_use_the_primary(watched, tmp_path):
    with agentnb.connect(redis_url=watched.url, home=tmp_path / "home") as hub:
        hub.cache.set("k", 1)
        kind = f"redis, primary {HOST}:{watched.primary.port} of mymaster"
        assert ["redis", kind, "ok"] in [list(row[:3]) for row in hub.health().rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if not child:
            os._exit(0 if hub.redis.incr("{agentnb}:forked") == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert hub.cache.get("k") == 1


def test_a_name_that_they_do_not_watch_is_a_wrong_setting(watched):
    for name, hint in (("mymastr", "mymaster"), ("other", f":{watched.ports[0]}")):
        with RedisClient(watched.url.replace("mymaster", name)) as client:
            with pytest.raises(
                ConfigError, match=f"no primary {name}: they watch mymaster"
            ) as found:
                client.ping()
            assert hint in found.value.hint


def test_sentinels_that_cannot_be_reached_are_an_outage():
    dead = free_ports(2)
    url = f"redis+sentinel://:hunter22@{HOST}:{dead[0]},{HOST}:{dead[1]}/mymaster/0"
    with RedisClient(url, timeout=0.5) as client, pytest.raises(UnavailableError) as caught:
        client.get("k")
    for port in dead:
        assert f"{HOST}:{port}" in caught.value.message
    assert "REDIS_URL says redis+sentinel://" in caught.value.hint
    assert "hunter22" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


@pytest.fixture
def guarded(require, tmp_path):
    """Return the URL of a primary and its Sentinel, both with TLS and a password of their own."""
    require("redis", missing("redis-server") is None, missing("redis-server"))
    openssl = shutil.which("openssl")
    require("openssl", openssl is not None, "no openssl on PATH")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                openssl,
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"),
            *("-out", certificate, "-keyout", key),
        ],
        check=True,
        capture_output=True,
    )
    tls = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate]
    tls += ["--tls-auth-clients", "no", "--tls-replication", "yes"]
    ports = free_ports(2)
    primary = Server(tmp_path / "primary", program="redis-server", port=ports[0])
    primary.command += map(str, ["--requirepass", "hunter22-1", *tls])
    sentinel = Server(tmp_path / "sentinel", program="redis-server", port=ports[1])
    (tmp_path / "sentinel" / "sentinel.conf").write_text(
        f"sentinel monitor mymaster {HOST} {ports[0]} 1\nsentinel auth-pass mymaster hunter22-1\n"
        "requirepass hunter22-2\n"
    )
    words = ["--sentinel", "--bind", HOST, "--dir", tmp_path / "sentinel", *tls]
    sentinel.command[1:] = map(str, [tmp_path / "sentinel" / "sentinel.conf", *words])
    for server in (primary, sentinel):
        if "--port" in server.command:
            at = server.command.index("--port")
            del server.command[at : at + 2]
        server.command += ["--port", "0", "--tls-port", str(server.port)]
        server.start()
    yield (
        f"rediss+sentinel://:hunter22-1@{HOST}:{ports[1]}/mymaster/0"
        f"?sentinel_password=hunter22-2&ssl_ca_certs={certificate}"
    )
    primary.close()
    sentinel.close()


def test_sentinels_and_primary_have_tls_and_passwords_that_are_not_shown(guarded, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with agentnb.connect(redis_url=guarded, home=tmp_path / "home") as hub:
        until(lambda: _works(hub.cache))
        shown = [repr(hub), repr(hub.redis), str(hub.redis.target), str(hub.health().dicts())]
        shown += [str(hub.settings), str(hub.settings.table()), caplog.text]
    wrong = {
        guarded.replace("sentinel_password=hunter22-2&", ""): "ask for a password",
        guarded.replace("hunter22-2", "hunter22-3"): "refuse the user name or the password",
        guarded.replace(":hunter22-1@", ":hunter22-4@"): "refuses the user name or the password",
        guarded.partition("&ssl_ca")[0]: "CERTIFICATE",
    }
    for url, message in wrong.items():
        with RedisClient(url, timeout=1) as client:
            with pytest.raises((ConfigError, UnavailableError), match=message) as caught:
                client.ping()
            shown += [str(caught.value), caught.value.hint, repr(client), repr(client.target)]
    assert "hunter22" not in "".join(shown)


def _works(cache):
    try:
        cache.set("k", 1)
    except UnavailableError:
        return False
    return cache.get("k") == 1


def test_sentinels_that_say_nothing_hold_no_call_beyond_its_time():
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Listener()) for _ in range(3)]
        hosts = ",".join(f"{HOST}:{one.port}" for one in silent)
        client = stack.enter_context(RedisClient(f"redis+sentinel://{hosts}/mymaster/0"))
        with pytest.raises(UnavailableError, match="no time left to ask it"):
            client.within(0.3).get("k")
        assert [len(one.links) for one in silent[1:]] == [0, 0]


def test_a_replica_that_a_sentinel_still_takes_for_the_primary_is_not_read(watched):
    sentinel = watched.watching[0]
    sentinel.ask("SENTINEL", "MONITOR", "other", HOST, watched.replica.port, 1)
    try:
        url = f"redis+sentinel://{HOST}:{sentinel.port}/other"
        with RedisClient(url, timeout=0.5) as client, pytest.raises(UnavailableError) as caught:
            client.get("k")
        assert f"{HOST}:{watched.replica.port} is no primary now" in caught.value.message
    finally:
        sentinel.ask("SENTINEL", "REMOVE", "other")
