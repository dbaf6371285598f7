"""Services, networks, input and variables of containers, on a real engine."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import redis as redis_py

from agentnb.core.docker import DockerManager, Network
from agentnb.core.errors import (
    DeadlineExceeded,
    NotFoundError,
    OptionRefused,
    RejectedError,
    UsageError,
)
from agentnb.core.redis.binary import find_binary
from tests.listening import Listener

SERVER = ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]


def sh(text):
    return ["sh", "-c", text]


@pytest.fixture(scope="module")
def redis_image(docker_image, docker_engine, tmp_path_factory):
    """Return an image of a Redis server: this machine's own, with the libraries it needs."""
    folder = tmp_path_factory.mktemp("redis-image")
    server = Path(find_binary())
    found = subprocess.run(["ldd", server], capture_output=True, text=True, check=False).stdout
    for library in map(Path, re.findall(r"(/\S+)", found)):
        target = folder / "root" / str(library).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (folder / "root/usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(server, folder / "root/usr/bin/redis-server")
    tag = f"{docker_image.partition(':')[0]}-redis:1"
    text = f"FROM {docker_image}\nCOPY root /\nENV PATH=/bin:/usr/bin\nEXPOSE 6379\n"
    with DockerManager(home=tmp_path_factory.mktemp("redis-home")) as docker:
        docker.build_image(folder, tag, text=text)
    yield tag
    docker_engine.remove_image(tag, force=True)


# Services


def test_a_service_is_ready_when_it_is_returned_and_gone_after_its_block(docker, redis_image):
    with docker.service(redis_image, SERVER, port=6379, name="agentnb-test-kv") as service:
        assert service.url == f"redis://127.0.0.1:{service.port}"
        assert repr(service) == f"<Service agentnb-test-kv of {redis_image} at {service.url}>"
        with redis_py.Redis.from_url(service.url) as client:
            client.set("k", "v")
            assert client.get("k") == b"v"
        described = docker.engine.api.inspect_container(service.container.id)
        assert [one["HostIp"] for one in described["NetworkSettings"]["Ports"]["6379/tcp"]] == [
            "127.0.0.1"
        ]
        assert "eady to accept connections" in service.logs()
        assert service.exec(["sh", "-c", "echo $0", "in"]).stdout == "in\n"
        assert docker.list().rows[0][5] == "service"
    assert len(docker.list()) == 0
    service.stop()  # gone already, which is no error


def test_a_service_is_ready_by_its_log_by_a_function_or_by_its_health_check(
    docker, docker_image, redis_image
):
    by_log = docker.service(redis_image, SERVER, ready=re.compile("[Rr]eady to accept"))
    assert "eady to accept" in by_log.logs()
    with pytest.raises(UsageError, match="is not published"):
        _ = by_log.url
    asked = []

    def ready(service):
        asked.append(service.port)
        with redis_py.Redis.from_url(service.url) as client:
            return client.ping() and len(asked) > 2

    with docker.service(redis_image, SERVER, port=6379, ready=ready, policy="network") as service:
        assert set(asked) == {service.port}
        assert len(asked) == 3
    tag = f"{docker_image.partition(':')[0]}-health:1"
    check = "HEALTHCHECK --interval=1s CMD test -e /tmp/up"
    docker.build_image(None, tag, text=f"FROM {docker_image}\n{check}\n")
    checked = docker.service(tag, sh("sleep 1; touch /tmp/up; sleep 60"))
    assert checked.exec("ls /tmp/up").ok
    assert len(docker.list()) == 2


def test_a_service_that_is_not_ready_is_an_error_with_its_log_and_is_removed(docker, docker_image):
    started = time.monotonic()
    last = r"after 3 s:\nstarting\nstill starting\nhint"
    with pytest.raises(DeadlineExceeded, match=f"does not listen on port 80 {last}"):
        docker.service(
            docker_image, sh("echo starting; echo still starting; sleep 60"), port=80, timeout=3
        )
    with pytest.raises(DeadlineExceeded, match=f"has not printed 'up' {last}"):
        docker.service(
            docker_image, sh("echo starting; echo still starting; sleep 60"), ready="up", timeout=3
        )

    def broken(_):
        raise ValueError("not yet, password=hunter22")

    with pytest.raises(
        DeadlineExceeded, match=r"not ready \(ValueError: not yet, password=•+\) after"
    ):
        docker.service(docker_image, "sleep 60", ready=broken, timeout=1)
    held = threading.Event()
    with pytest.raises(DeadlineExceeded, match=r"not ready \(TimeoutError: the function did not"):
        docker.service(docker_image, "sleep 60", ready=lambda _: held.wait(60), timeout=1)
    held.set()
    with pytest.raises(RejectedError, match=r"ended with exit code 3:\nno disk"):
        docker.service(docker_image, sh("echo no disk; exit 3"), port=80)
    assert time.monotonic() - started < 40
    assert len(docker.list()) == 0


def test_a_service_that_cannot_be_waited_for_is_refused_before_it_starts(
    docker, make_docker, docker_image
):
    for options, said in (
        ({}, "nothing tells when the service is ready: the image has no HEALTHCHECK"),
        ({"ready": 5}, "ready must be a text, a pattern or a function, got int"),
        ({"ready": lambda: True}, "ready cannot be called with the service: too many positional"),
        ({"port": True}, "port must be 1 to 65,535, got True"),
        ({"port": 80, "timeout": 0}, "timeout must be greater than 0 s, got 0"),
        ({"port": 80, "keep": True}, "a service goes with its process"),
        ({"port": 80, "scheme": "a b"}, "scheme must be that of a URL, got 'a b'"),
        ({"port": 80, "ports": {80: 0}}, "ports must be 1 to 65,535, got 0"),
    ):
        with pytest.raises(UsageError) as caught:
            docker.service(docker_image, "sleep 60", **options)
        assert caught.value.message.startswith(said)
        assert caught.value.hint

    async def ready(_):
        return True

    for options, said in (
        ({"ready": ready}, "cannot be a coroutine function"),
        ({"ready": lambda _: ready(None)}, "ready returned a coroutine"),
        ({"ready": lambda service: service.url}, "is not published"),
    ):
        with pytest.raises(UsageError, match=said):
            docker.service(docker_image, "sleep 60", **options)
    isolated = make_docker(policies=docker.policies[:1])
    with pytest.raises(OptionRefused, match="'ports' is refused: the policy 'isolated' has no"):
        isolated.service(docker_image, "sleep 60", port=80)
    away = DockerManager(host="tcp://192.0.2.1:2375")
    with pytest.raises(OptionRefused, match=r"'port' is refused: 192.0.2.1 publishes on its own"):
        away.service(docker_image, "sleep 60", port=80)
    assert len(docker.list()) == 0


def test_a_service_and_a_run_are_awaited_and_removed_when_they_are_cancelled(
    docker, docker_image, redis_image
):
    async def main():
        here = asyncio.get_running_loop()

        async def ready(service):
            assert asyncio.get_running_loop() is here
            with redis_py.Redis.from_url(service.url) as client:
                return client.ping()

        async with await docker.aservice(redis_image, SERVER, port=6379, ready=ready) as service:
            assert (await docker.aexec(service.container, "echo hi")).stdout == "hi\n"
            assert await docker.await_until(service.container, port=6379, timeout=5) is None
        results = await asyncio.gather(
            *(docker.arun(docker_image, ["echo", str(n)]) for n in range(3))
        )
        assert [result.stdout for result in results] == ["0\n", "1\n", "2\n"]
        for waiting in (
            docker.arun(docker_image, "sleep 60"),
            docker.aservice(docker_image, "sleep 60", ready="never"),
            docker.aservice(docker_image, "sleep 60", ready=lambda _: False),
        ):
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting, 1)
            assert time.monotonic() - started < 20
            assert len(docker.list()) == 0

    asyncio.run(main())


# Networks


def test_containers_of_a_network_reach_each_other_by_name_and_nothing_else(
    docker, docker_image, redis_image
):
    network = docker.network("agents")
    assert (str(network), repr(network)) == ("agents", "<Network agents>")
    assert docker.network("agents") == network
    inside = {"network": network, "policy": "network"}
    service = docker.service(redis_image, SERVER, port=6379, alias="kv", network="agents")
    assert service.container.ports[6379] == service.port
    with redis_py.Redis.from_url(service.url) as client:
        assert client.ping()
    ask = "printf '*1\\r\\n$4\\r\\nPING\\r\\n' | timeout 3 nc {} 6379 | head -1"
    for name in ("kv", service.name):
        assert "PONG" in docker.run(docker_image, sh(ask.format(name)), **inside).stdout
    [row] = docker.networks()
    assert (row.network, row.containers) == ("agents", service.name)
    # Neither the machine, at the network's own address, nor another home's container.
    described = docker.engine.api.inspect_network(network.id)
    assert described["Internal"]
    gateway = described["IPAM"]["Config"][0]["Gateway"]
    with Listener(lambda link: link.sendall(b"reached\n"), "0.0.0.0") as server:
        told = docker.run(
            docker_image, sh(f"echo x | timeout 2 nc {gateway} {server.port}; echo end"), **inside
        )
    assert "reached" not in told.stdout
    lonely = docker.network("lonely")
    assert (
        "PONG"
        not in docker.run(
            docker_image, sh(ask.format("kv")), network=lonely, policy="network"
        ).stdout
    )
    with pytest.raises(RejectedError, match=f"'agents' is used by {service.name}"):
        docker.remove_network(network)
    assert docker.prune(dry_run=True).rows == [("network", "lonely")]
    docker.prune()
    assert docker.run(docker_image, "true", network=lonely, policy="network").ok  # made again
    service.stop()
    docker.remove_network("agents")
    with pytest.raises(NotFoundError, match="no network 'agents'") as caught:
        docker.run(docker_image, "true", network="agents", policy="network")
    assert "hub.docker.network('agents')" in caught.value.hint


def test_a_network_is_a_homes_own_and_the_policys_to_give(docker, make_docker, docker_image):
    docker.network("agents")
    other = make_docker()
    assert len(other.networks()) == 0
    with pytest.raises(NotFoundError):
        other.run(docker_image, "true", network="agents", policy="network")
    with pytest.raises(OptionRefused, match="'network' is refused: the policy 'isolated' has no"):
        docker.run(docker_image, "true", network="agents")
    for name in ("host", "bridge", "none", "container:x", "a/b", "", "x" * 64):
        with pytest.raises(OptionRefused, match="'network' is refused"):
            docker.run(docker_image, "true", network=name, policy="network")
        with pytest.raises(UsageError, match="network must be letters"):
            docker.network(name)
    with pytest.raises(UsageError, match="alias= is a name on a network"):
        docker.run(docker_image, "true", alias="x", policy="network")


def test_a_network_goes_with_its_process_also_when_it_is_killed(
    make_docker, docker_engine, docker_image, tmp_path
):
    home = tmp_path / "killed-home"

    def networks():
        return [one for one in docker_engine.networks() if owner() in one["Name"]]

    def owner():
        return (home / "docker" / "owner").read_text()

    code = f"""
        import os, pathlib, signal
        from agentnb.core.docker import DockerManager
        docker = DockerManager(home=pathlib.Path({str(home)!r}))
        net = docker.network("mine")
        docker.run_container({docker_image!r}, "sleep 60", network=net, policy="network")
        print(len(docker.networks()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert found.stdout == "1\n"
    until = time.monotonic() + 30
    while networks() and time.monotonic() < until:
        time.sleep(0.1)
    assert networks() == []
    first, second = make_docker(home=home), make_docker(home=home)
    first.network("shared")
    made = second.run_container(docker_image, "sleep 60", network="shared", policy="network")
    first.close()  # a container of another process uses it
    assert [row.containers for row in second.networks()] == [made.name]
    second.close()
    with make_docker(home=home) as third:
        assert len(third.networks()) == 0  # swept
    assert networks() == []


def test_two_that_ask_at_once_get_one_network(docker):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(docker.network("one"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(docker.networks()) == 1
    assert isinstance(found[0], Network)


# Input


def test_a_program_gets_its_whole_input_and_its_end(docker, docker_image):
    made = docker.run_container(docker_image, "sleep 300")
    data = os.urandom(3_000_000).hex().encode()
    for call in (
        lambda command, **options: docker.exec(made, command, **options),
        lambda command, **options: docker.run(docker_image, command, **options),
    ):
        assert call("cat", stdin="héllo").stdout == "héllo\n"
        assert call("wc -c", stdin=b"").stdout.strip() == "0"
        # Both ways at once, more than any buffer holds; then one that does not read it all.
        same = call(sh("tee /dev/stderr | md5sum"), stdin=data, limit=10**8)
        assert same.stdout.split()[0] == hashlib.md5(data).hexdigest()
        assert call("head -c 1", stdin=data).stdout == data[:1].decode() + "\n"
        with pytest.raises(
            UsageError, match="stdin must be text or bytes, got a value of type int"
        ):
            call("cat", stdin=5)
        with pytest.raises(UsageError, match="stdin holds half a character"):
            call("cat", stdin="\ud800")
    with pytest.raises(DeadlineExceeded):
        docker.exec(made, "sleep 60", stdin=data, timeout=1)
    assert docker.run(docker_image, sh("cat; echo end")).stdout == "end\n"  # none is its end


# Variables of files, platforms, entrypoints


def test_variables_of_files_are_those_that_docker_reads(
    require, docker, docker_image, docker_engine, tmp_path, monkeypatch
):
    require("docker", shutil.which("docker") is not None, "no docker on PATH")
    monkeypatch.setenv("FROM_HERE", "a b")
    text = (
        "\ufeff# comment\nA=1\r\n  B='quoted, x'\n\nC=a=b # kept \n\t#no\nFROM_HERE\nD=\nA=2\n"
        "é.x-y=é\n"
    )
    file = tmp_path / "one.env"
    file.write_bytes(text.encode())
    found = docker.run_container(docker_image, "sleep 60", env_file=file, env={"D": "mine"})
    mine = docker.engine.api.inspect_container(found.id)["Config"]["Env"]
    command = ["docker", "create", "--env-file", file, "-e", "D=mine", docker_image, "true"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        theirs = docker_engine.inspect_container(made)["Config"]["Env"]
    finally:
        docker_engine.remove_container(made)
    mine = dict(one.split("=", 1) for one in mine)
    for name in ("TRACEPARENT", "CORRELATION_ID"):
        mine.pop(name, None)
    assert mine == dict(one.split("=", 1) for one in theirs)
    two = tmp_path / "two.env"
    two.write_text("A=3\n")
    assert docker.exec(found, sh("echo $A"), env_file=[file, str(two)]).stdout == "3\n"
    for bad, said in (
        ("=1", "line 1 of .* has no name"),
        ("A=1\nB C=secret", "line 2 of .*two.env has a space in its name"),
        ("NOT_SET_ANYWHERE", "names NOT_SET_ANYWHERE, which has no value here"),
    ):
        two.write_text(bad)
        with pytest.raises(UsageError, match=said) as caught:
            docker.run(docker_image, "true", env_file=two)
        assert "secret" not in str(caught.value)
    two.write_bytes(b"A=\xff")
    with pytest.raises(UsageError, match="not UTF-8 at byte 2"):
        docker.run(docker_image, "true", env_file=two)
    with pytest.raises(NotFoundError, match="there is no file"):
        docker.run(docker_image, "true", env_file=tmp_path / "three.env")


def test_a_platform_and_an_entrypoint_are_the_containers_or_an_error(docker, docker_image):
    machine = docker.engine.api.version()["Arch"]
    assert docker.run(docker_image, "true", platform=f"linux/{machine}").ok
    other = "linux/s390x"
    with pytest.raises(RejectedError, match="platform") as caught:
        docker.run(docker_image, "true", platform=other)
    assert f"pull the image for {other}" in caught.value.hint
    assert docker.run(docker_image, "a b", entrypoint="echo -n x").stdout == "x a b\n"


def test_files_in_and_out_have_the_same_base(docker, docker_image):
    made = docker.run_container(docker_image, "sleep 60", work=True)
    docker.put_files(made, {"a/x.txt": "x"})
    assert docker.get_files(made, "a/x.txt") == {"x.txt": b"x"}
    docker.put_files(made, {"y.txt": "y"}, "a")
    assert docker.get_files(made, "a") == {"a/x.txt": b"x", "a/y.txt": b"y"}
    assert docker.get_files(made, "/mnt/work/a/x.txt") == {"x.txt": b"x"}
