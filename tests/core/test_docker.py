"""Containers and images on a real engine."""

from __future__ import annotations

import re
import threading
import time
import traceback

import pytest

import agentnb
from agentnb.core.docker import DockerManager
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)


def sh(text):
    return ["sh", "-c", text]


@pytest.fixture
def sleeper(docker, docker_image):
    return docker.run_container(docker_image, sh("echo up; sleep 300"))


# Running


def test_both_streams_and_the_exit_code_come_back(docker, docker_image):
    result = docker.run(docker_image, sh("echo out; echo err >&2; exit 3"))
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert not result.truncated
    assert not result.oom_killed
    with pytest.raises(RejectedError, match=r"exit code 3:\n"):
        result.check()
    assert docker.run(docker_image, "true").check().ok


def test_output_is_told_while_it_is_printed(docker, docker_image):
    seen = []
    docker.run(
        docker_image,
        sh("echo first; sleep 1; echo second"),
        on_line=lambda line: seen.append((line.text, time.monotonic())),
    )
    (first, early), (second, late) = seen
    assert (first, second) == ("first", "second")
    assert late - early > 0.5


def test_a_container_that_ran_is_gone(docker, docker_image, docker_engine):
    docker.run(docker_image, "true", name="agentnb-test-gone")
    names = [name for one in docker_engine.containers(all=True) for name in one["Names"]]
    assert "/agentnb-test-gone" not in names


def test_a_script_is_run_by_what_its_first_line_says(docker, docker_image):
    result = docker.run(docker_image, script="echo $((6 * 7)); cat notes", files={"notes": "hi"})
    assert result.stdout == "42\nhi\n"
    awk = docker.run(docker_image, script="#!/usr/bin/env -S awk -f\nBEGIN { print 6 * 7 }")
    assert awk.stdout == "42\n"
    with pytest.raises(UsageError, match="not both"):
        docker.run(docker_image, "true", script="true")


def test_memory_beyond_the_limit_is_said(docker, docker_image):
    result = docker.run(docker_image, "tail /dev/zero", memory="32m")
    assert result.oom_killed
    assert result.exit_code == 137
    hidden = docker.run(docker_image, sh("tail /dev/zero; true"), memory="32m")
    assert hidden.oom_killed
    assert hidden.ok
    assert "want of memory" in repr(hidden)


def test_what_runs_too_long_is_killed(docker, docker_image):
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"longer than 2 s and was killed:\nbusy"):
        docker.run(docker_image, sh("echo busy; sleep 60"), timeout=2)
    assert time.monotonic() - started < 15
    assert len(docker.list()) == 0


def test_a_program_or_an_image_that_is_not_there_is_said(docker, docker_image):
    with pytest.raises(NotFoundError, match="no such program in the image: nosuch"):
        docker.run(docker_image, "nosuch")
    with pytest.raises(NotFoundError, match="no image 'agentnb-nosuch'") as caught:
        docker.run("agentnb-nosuch", "true")
    assert "hub.docker.pull(" in caught.value.hint
    assert len(docker.list()) == 0


def test_the_trace_goes_on_inside(docker, docker_image):
    from agentnb.core.trace import Context, use

    with use(Context(7, 8)):
        result = docker.run(docker_image, sh("echo $TRACEPARENT $OWN"), env={"OWN": "mine"})
    assert result.stdout.startswith("00-00000000000000000000000000000007-")
    assert result.stdout.endswith(" mine\n")


def test_an_interrupted_run_leaves_no_container(docker, docker_image):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        docker.run(docker_image, sh("echo x; sleep 60"), on_line=interrupt)
    assert len(docker.list()) == 0


# Containers that go on


def test_a_container_goes_on_until_it_is_stopped(docker, sleeper):
    assert docker.wait_until(sleeper, line="up") == "up"
    [row] = docker.list()
    assert (row.name, row.state, row.policy) == (sleeper.name, "running", "isolated")
    docker.stop_container(sleeper)
    assert len(docker.list()) == 0
    with pytest.raises(NotFoundError, match="no container"):
        docker.stop_container(sleeper)


def test_one_that_ignores_sigterm_is_killed_after_its_grace(docker, docker_image):
    stubborn = docker.run_container(
        docker_image, sh("trap '' TERM; echo up; while :; do sleep 1; done")
    )
    docker.wait_until(stubborn, line="up")
    started = time.monotonic()
    docker.stop_container(stubborn, grace=1)
    assert 0.9 < time.monotonic() - started < 8
    assert len(docker.list()) == 0


def test_a_program_is_run_in_one(docker, sleeper):
    result = docker.exec(
        sleeper, sh("echo out; echo err >&2; echo $X; pwd; exit 4"), env={"X": "y"}, workdir="/bin"
    )
    assert (result.stdout, result.stderr, result.exit_code) == ("out\ny\n/bin\n", "err\n", 4)
    for command in ("sleep 60", sh("while :; do echo x; done")):
        with pytest.raises(DeadlineExceeded, match="goes on in the container"):
            docker.exec(sleeper, command, timeout=0.3)


def test_files_go_in_and_come_out_without_a_mount(docker, docker_image, tmp_path):
    (tmp_path / "script.sh").write_text("#!/bin/sh\ncat in/a > out; echo ok")
    (tmp_path / "script.sh").chmod(0o755)
    made = docker.run_container(docker_image, "sleep 300", files={"in/a": "text"})
    docker.put_files(made, {"script.sh": tmp_path / "script.sh", "b": b"\0\xff"})
    assert docker.exec(made, "./script.sh").check().stdout == "ok\n"
    found = docker.get_files(made, "/mnt/work")
    assert found["work/out"] == b"text"
    assert found["work/b"] == b"\0\xff"
    assert docker.get_files(made, "/mnt/work/out") == {"out": b"text"}
    with pytest.raises(NotFoundError):
        docker.get_files(made, "/mnt/nosuch")


def test_a_container_without_a_folder_of_its_own_cannot_be_written_to(docker, sleeper):
    with pytest.raises(RejectedError, match="may not be written to") as caught:
        docker.put_files(sleeper, {"a": "b"}, to="/bin")
    assert "work=" in caught.value.hint
    for path in ("../a", "/etc/passwd", "a/../../b", ""):
        with pytest.raises(UsageError):
            docker.put_files(sleeper, {path: "x"})


def test_files_are_taken_out_up_to_a_limit_and_links_are_not_followed(docker, docker_image):
    made = docker.run_container(
        docker_image,
        sh(
            "ln -s /etc/passwd link; mkfifo pipe; head -c 3000000 /dev/zero > big; echo up; sleep 9"
        ),
        work=True,
    )
    docker.wait_until(made, line="up")
    with pytest.raises(RejectedError, match="more to take out than 1,000,000 bytes"):
        docker.get_files(made, "/mnt/work", limit=1_000_000)
    assert list(docker.get_files(made, "/mnt/work")) == ["work/big"]


def test_what_a_container_uses_is_told(docker, docker_image):
    busy = docker.run_container(docker_image, sh("while :; do :; done"))
    assert docker.stats(busy).cpu is None
    deadline = time.monotonic() + 60
    while not (docker.stats(busy).cpu or 0) > 5:  # of a processor that may be busy with others
        assert time.monotonic() < deadline
        time.sleep(0.3)
    found = docker.stats(busy)
    assert 0 < found.memory < found.memory_limit == 1024**3
    assert found.pids >= 2
    assert found.received is None
    assert docker.usage()[0].name == busy.name


def test_waiting_for_a_port_a_check_and_an_end(docker, docker_image):
    server = docker.run_container(docker_image, sh("sleep 0.3; while :; do nc -l -p 8000; done"))
    docker.wait_until(server, port=8000, timeout=20)
    with pytest.raises(DeadlineExceeded, match="does not listen on port 8001"):
        docker.wait_until(server, port=8001, timeout=0.3)
    with pytest.raises(UsageError, match="no HEALTHCHECK"):
        docker.wait_until(server, healthy=True)
    with pytest.raises(UsageError, match="takes exactly one of"):
        docker.wait_until(server)
    tag = f"{docker_image.partition(':')[0]}-healthy"
    check = 'HEALTHCHECK --interval=1s --timeout=2s CMD ["/bin/true"]'
    docker.build_image(None, tag, text=f"FROM {docker_image}\n{check}\n")
    well = docker.run_container(tag, "sleep 60")
    docker.wait_until(well, healthy=True, timeout=20)
    docker.stop_container(well)
    short = docker.run_container(docker_image, sh("echo said; exit 5"))
    assert docker.wait_until(short, exited=True) == 5
    with pytest.raises(RejectedError, match="ended without having printed 'other':\nsaid"):
        docker.wait_until(short, line="other")
    with pytest.raises(RejectedError, match="ended with exit code 5:\nsaid"):
        docker.wait_until(short, port=1)
    assert docker.wait_until(short, line=re.compile("^sa")) == "said"


def test_a_published_port_answers_on_this_machine_only(docker, docker_image):
    server = docker.run_container(
        docker_image,
        sh("while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhi' | nc -l -p 8000; done"),
        policy="network",
        ports=[8000],
    )
    docker.wait_until(server, port=8000, timeout=20)
    [(inside, outside)] = server.ports.items()
    assert inside == 8000
    bound = docker.engine.api.inspect_container(server.id)["NetworkSettings"]["Ports"]
    assert bound == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside)}]}


def test_events_are_those_of_our_containers(docker, docker_image, make_docker):
    make_docker().run(docker_image, "true")
    docker.run(docker_image, sh("exit 2"), name="agentnb-test-events")
    found = [(e["action"], e["exit_code"]) for e in docker.events(since=60)]
    assert ("start", None) in found
    assert ("die", 2) in found
    assert {e["container"] for e in docker.events(since=60)} == {"agentnb-test-events"}


def test_events_are_followed(docker, docker_image):
    seen = []
    coming = docker.events(since=0, follow=True, timeout=20)
    reader = threading.Thread(
        target=lambda: seen.append(next(e for e in coming if e["action"] == "die"))
    )
    reader.start()
    docker.run(docker_image, "true")
    reader.join(20)
    coming.close()
    assert seen[0]["exit_code"] == 0


# Where there is no engine


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9", "silent"])
def test_without_an_engine_it_is_said_within_two_seconds_how_to_start_one(host, tmp_path):
    import socket

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        docker = DockerManager(f"unix://{tmp_path}/s" if host == "silent" else host, home=tmp_path)
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="no Docker engine answers") as caught:
            docker.list()
        assert time.monotonic() - started < 2
        assert "start one" in caught.value.hint or "listen" in caught.value.hint
        docker.close()
    assert not (tmp_path / "docker").exists()


def test_a_misspelt_context_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with (
        DockerManager(context="nosuch", home=tmp_path) as docker,
        pytest.raises(ConfigError, match="no docker context 'nosuch'"),
    ):
        docker.list()
    for host, said in (("ssh://me@there", "over ssh"), ("nonsense", "not the address")):
        with DockerManager(host, home=tmp_path) as docker, pytest.raises(ConfigError, match=said):
            docker.list()


def test_a_password_in_an_engines_address_is_refused_and_not_told(tmp_path):
    with DockerManager("tcp://ada:hunter22@127.0.0.1:9", home=tmp_path) as docker:
        with pytest.raises(ConfigError, match="takes no user and no password") as caught:
            docker.list()
        assert "hunter22" not in "".join(traceback.format_exception(caught.value))


def test_the_hub_has_it_with_its_settings_and_in_its_health(docker_image, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTNB_DOCKER_POLICIES", "network, isolated")
    monkeypatch.setenv("AGENTNB_DOCKER_MEMORY", "64m")
    with agentnb.connect(home=tmp_path / "home") as hub:
        assert [policy.name for policy in hub.docker.policies] == ["network", "isolated"]
        made = hub.docker.run_container(docker_image, "sleep 60")
        config = hub.docker.engine.api.inspect_container(made.id)["HostConfig"]
        assert config["Memory"] == config["MemorySwap"] == 64 * 1024**2
        with pytest.raises(UsageError, match="'service' is not allowed here"):
            hub.docker.run(docker_image, "true", policy="service")
        [row] = hub.health()
        assert (row.service, row.state) == ("docker", "ok")
        found = [one for one in hub.tracer.recent(100) if one.service == "docker"]
        assert (found[0].name, found[0].attributes["image"]) == ("run_container", docker_image)
        hub.docker.exec(made, ["sh", "-c", "exit 3"])
        done = hub.tracer.recent(1)[0]
        assert (done.name, done.attributes["container"]) == ("exec", made.name)
        assert done.attributes["exit_code"] == 3
    monkeypatch.setenv("AGENTNB_DOCKER_POLICIES", "everything")
    with pytest.raises(ConfigError, match=r"AGENTNB_DOCKER_POLICIES must be .*, got 'everything'"):
        agentnb.connect(home=tmp_path / "home")
