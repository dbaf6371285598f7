"""Whose containers are: what is left of a process that was killed, and what others have made."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import pytest

from agentnb.core.docker.owner import IMAGE, KEEP, NAME, OWNER, SESSION
from agentnb.core.errors import NotFoundError
from tests.waiting import until

MAKER = """
import sys
from pathlib import Path
from agentnb.core.docker import DockerManager
docker = DockerManager(home=Path(sys.argv[1]))
{}
for keep in (False, True):
    docker.run_container(sys.argv[2], "sleep 300", name=f"{{sys.argv[3]}}-{{keep}}", keep=keep)
print("made", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def maker(docker_image):
    """Start a process that makes two containers, the second of which is kept."""
    started = []

    def start(home, name, before=""):
        process = subprocess.Popen(
            [sys.executable, "-c", MAKER.format(before), str(home), docker_image, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "made\n"
        return process

    yield start
    for one in started:
        one.kill()
        one.wait(10)
        one.stdin.close()
        one.stdout.close()


@pytest.fixture
def names(docker_engine):
    def found(prefix):
        listed = docker_engine.containers(all=True)
        every = [name.lstrip("/") for one in listed for name in one["Names"]]
        return sorted(name for name in every if name.startswith(prefix))

    return found


def test_a_killed_kernels_containers_are_removed_at_once(make_docker, maker, names):
    docker = make_docker()
    process = maker(docker._connection.home, "agentnb-kill")
    assert names("agentnb-kill") == ["agentnb-kill-False", "agentnb-kill-True"]
    process.kill()
    process.wait(10)
    until(lambda: names("agentnb-kill") == ["agentnb-kill-True"])
    assert [row.name for row in docker.list()] == ["agentnb-kill-True"]
    docker.stop_container("agentnb-kill-True", grace=0)


def test_what_the_helper_could_not_remove_is_swept_at_the_next_start(make_docker, maker, names):
    docker = make_docker()
    no_helper = "from agentnb.core.docker.session import Session; Session.watch = lambda self: None"
    process = maker(docker._connection.home, "agentnb-sweep", no_helper)
    other = make_docker(home=docker._connection.home)
    assert len(other.list()) == 2  # its maker lives
    other.close()
    process.kill()
    process.wait(10)
    assert len(names("agentnb-sweep")) == 2
    assert [row.name for row in docker.list()] == ["agentnb-sweep-True"]
    docker.stop_container("agentnb-sweep-True", grace=0)
    left = [path.name for path in (docker._connection.home / "docker").glob("*.session")]
    assert left == [f"{docker._connection.open().session.owner.session}.session"]


def test_a_process_that_ends_well_removes_its_own(make_docker, maker, names):
    docker = make_docker()
    process = maker(
        docker._connection.home, "agentnb-end", "import atexit; atexit.register(docker.close)"
    )
    process.stdin.close()
    assert process.wait(120) == 0
    assert names("agentnb-end") == ["agentnb-end-True"]
    docker.stop_container("agentnb-end-True", grace=0)


def test_a_forked_child_removes_nothing_of_its_parents(docker, docker_image):
    made = docker.run_container(docker_image, "sleep 60")
    child = os.fork()
    if not child:
        try:
            docker.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert [row.name for row in docker.list()] == [made.name]
    assert docker.exec(made, "true").ok


def test_the_helper_does_not_end_with_the_kernels_ctrl_c(docker, docker_image):
    docker.run_container(docker_image, "sleep 60")
    helper = docker._connection.open().session._helper
    assert os.getpgid(helper.pid) != os.getpgrp()
    docker.close()
    assert helper.returncode == 0


def test_one_homes_containers_and_images_are_no_other_homes(make_docker, docker_image):
    mine, other = make_docker(), make_docker()
    made = mine.run_container(docker_image, "sleep 60")
    tag = f"{docker_image.partition(':')[0]}-mine"
    mine.build_image(None, tag, text=f"FROM {docker_image}\n")
    assert len(other.list()) == len(other.images()) == len(other.prune(images=True)) == 0
    for call in (
        other.stop_container,
        other.get_container_logs,
        other.stats,
        lambda name: other.exec(name, "true"),
        lambda name: other.get_files(name, "/bin"),
        lambda name: other.put_files(name, {"a": "b"}),
        lambda name: other.wait_until(name, exited=True),
    ):
        for name in (made.name, made.id, made.id[:12], "../images/json", ""):
            with pytest.raises(NotFoundError):
                call(name)
    assert mine.exec(made, "true").ok
    assert [row.image for row in mine.images()] == [f"{tag}:latest"]


def test_the_labels_of_an_image_give_no_container_to_the_home(docker, docker_image, docker_engine):
    owner = docker._connection.open().session.owner
    labels = {OWNER: owner.id, NAME: "agentnb-other", SESSION: "0" * 16, KEEP: ""}
    lines = "".join(f"LABEL {name}={value!r}\n" for name, value in labels.items())
    tag = f"{docker_image.partition(':')[0]}-labels"
    docker.build_image(None, tag, text=f"FROM {docker_image}\n{lines}")
    made = docker_engine.create_container(tag, "sleep 60", name="agentnb-theirs")["Id"]
    try:
        assert len(docker.list()) == 0
        assert docker._connection.open().session.sweep() == []
        with pytest.raises(NotFoundError):
            docker.stop_container("agentnb-theirs")
        own = docker.run_container(tag, "sleep 60")
        assert docker._connection.open().session.sweep() == []
        assert [row.name for row in docker.list()] == [own.name]
    finally:
        docker_engine.remove_container(made, force=True)


def test_an_image_that_another_program_built_on_top_is_left_alone(
    docker, docker_image, docker_engine
):
    import io

    base = docker_image.partition(":")[0]
    docker.build_image(None, f"{base}-base", text=f"FROM {docker_image}\nENV A=b\n")
    dockerfile = io.BytesIO(f"FROM {base}-base\nENV B=c\n".encode())
    list(docker_engine.build(fileobj=dockerfile, tag=f"{base}-upon", rm=True))
    try:
        assert IMAGE in docker_engine.inspect_image(f"{base}-upon")["Config"]["Labels"]
        assert [row.image for row in docker.images()] == [f"{base}-base:latest"]
        docker.prune(images=True)
        assert docker_engine.inspect_image(f"{base}-upon")["RepoTags"] == [f"{base}-upon:latest"]
    finally:
        docker_engine.remove_image(f"{base}-upon", force=True)


def test_prune_says_what_it_would_remove_and_removes_what_has_ended(docker, docker_image):
    ended = docker.run_container(docker_image, "true")
    docker.wait_until(ended, exited=True)
    running = docker.run_container(docker_image, "sleep 60")
    tag = f"{docker_image.partition(':')[0]}-prune"
    first = docker.build_image(None, tag, text=f"FROM {docker_image}\nENV A=1\n")
    second = docker.build_image(None, tag, text=f"FROM {docker_image}\nENV A=2\n")
    with pytest.raises(NotFoundError):  # a tag that moves leaves nothing behind
        docker._connection.open().images.find(first.id)
    assert first.id != second.id
    told = docker.prune(images=True, dry_run=True)
    assert told.rows == [("container", ended.name), ("image", f"{tag}:latest")]
    assert docker.prune(images=True) == told
    assert [row.name for row in docker.list()] == [running.name]


# The SDK leaves the socket with which it could not connect to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_engine_may_be_killed_and_started_again(docker_image, engine_socket, tmp_path):
    """An engine of the test's own is hurt: another one's socket, in front of the real engine."""
    from agentnb.core.docker import DockerManager
    from agentnb.core.errors import UnavailableError

    path = tmp_path / "s"
    relay = "import socket, sys, threading, os\n" + RELAY
    command = [sys.executable, "-c", relay, str(path), engine_socket]

    def start():
        path.unlink(missing_ok=True)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    process = start()
    try:
        with DockerManager(f"unix://{path}", home=tmp_path / "home") as docker:
            assert len(docker.list()) == 0
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            process.stdout.close()
            with pytest.raises(UnavailableError, match="was lost"):
                docker.list()
            process = start()
            assert len(docker.list()) == 0
            assert docker.run(docker_image, "echo again").stdout == "again\n"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    gc.collect()


RELAY = """
def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
while True:
    client, _ = server.accept()
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(sys.argv[2])
    for pair in ((client, engine), (engine, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
