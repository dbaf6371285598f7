"""Lists of containers and long logs, beside the docker SDK and docker's own command."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path
from time import perf_counter

from rounds import Row, by_turns, compared, ratio, scratch, spelt

CONTAINERS = 10
LINES = 100_000
TAG = f"agentnb-benchmark-{os.getpid()}:1"
TEXT = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
"""
MB = 1_000_000


@contextlib.contextmanager
def engine(folder):
    """Yield a manager with an image on a real engine, or None where there is none."""
    from agentnb.core.docker import DockerManager
    from agentnb.core.errors import UnavailableError

    busybox = shutil.which("busybox")
    with DockerManager(home=folder / "home") as docker:
        try:
            docker.ping()
        except UnavailableError:
            busybox = None
        if busybox is None:
            yield None
            return
        context = folder / "context"
        context.mkdir()
        shutil.copy(busybox, context)
        docker.build_image(context, TAG, text=TEXT)
        try:
            yield docker
        finally:
            docker.close()
            docker.prune(images=True)


def lists(docker, rounds):
    """Return the row about a list of ten containers."""
    from docker import DockerClient

    for _ in range(CONTAINERS):
        docker.run_container(TAG, "sleep 600")
    theirs = DockerClient()
    label = {"label": f"agentnb.container.owner={docker._connection.open().session.owner.id}"}
    calls = {
        "agentnb": docker.list,
        "docker SDK": lambda: theirs.containers.list(all=True, filters=label),
    }
    assert [len(call()) for call in calls.values()] == [CONTAINERS, CONTAINERS]
    found = by_turns(calls, rounds=rounds, calls=5, clock=perf_counter)
    theirs.close()
    what = f"a list of {CONTAINERS} containers"
    return compared(what, found, "agentnb", "docker SDK", target=0.2)


def logs(docker, rounds):
    """Return the rows about a log of many lines."""
    lines = (
        f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i of a long log of text; done"
    )
    made = docker.run_container(TAG, ["sh", "-c", lines])
    docker.wait_until(made, exited=True, timeout=120)
    command = ["docker", "logs", made.name]
    calls = {"agentnb": lambda: docker.get_container_logs(made)}
    if shutil.which("docker"):
        calls["docker logs"] = lambda: subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    assert docker.get_container_logs(made).lines[-1].text == f"line {LINES} of a long log of text"
    every = docker.get_container_logs(made, limit=10**9)
    assert len(every) == LINES
    del every
    tracemalloc.start()
    docker.get_container_logs(made)
    peak = tracemalloc.get_traced_memory()[1] / MB
    tracemalloc.stop()
    what = f"{LINES:,} lines of a log"
    rows = [Row(f"{what}, peak of memory", f"{peak:.1f} MB", "", peak, 5, "MB")]
    if "docker logs" in calls:
        found = by_turns(calls, rounds=rounds, clock=perf_counter)
        value = ratio(found, "agentnb", "docker logs")
        peer = f"docker logs {spelt(found['docker logs'])}"
        rows.insert(0, Row(what, spelt(found["agentnb"]), peer, value, 1.5))
    return rows


def measure(*, quick):
    """Return the rows of this subject."""
    rounds = 5 if quick else 15
    with scratch() as folder, engine(Path(folder)) as docker:
        if docker is None:
            return []
        return [lists(docker, rounds * 2), *logs(docker, rounds)]
