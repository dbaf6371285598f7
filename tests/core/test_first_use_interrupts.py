"""Ctrl-C during the first use of a service, when it imports, leaves the service usable."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Each turn is a forked child in which nothing but the hub has been imported.
PROGRAM = """
import os, random, signal, sys, threading, time, traceback
import agentnb
from agentnb.core.errors import AgentnbError

agentnb.Hub
name, home = sys.argv[1], sys.argv[2]
uses = {
    "db": lambda hub: hub.db.query("select 1"),
    "cache": lambda hub: hub.cache.get("x"),
    "events": lambda hub: hub.events.publish("made", 1),
    "queue": lambda hub: hub.queue("q").add(1),
    "workflows": lambda hub: hub.workflows.list(),
    "files": lambda hub: hub.files.glob("*"),
    "git": lambda hub: hub.repo(".").log(),
    "api": lambda hub: hub.api("http://127.0.0.1:1").get("/", retries=0),
    "websocket": lambda hub: hub.websocket("ws://127.0.0.1:1").connect(0),
    "docker": lambda hub: hub.docker.list(),
}

def use(hub):
    try:
        uses[name](hub)
    except AgentnbError as error:
        if isinstance(error, agentnb.UsageError):
            raise

def turn(after):
    main = threading.get_ident()
    hub = agentnb.connect(home=home, docker_host="unix:///nowhere.sock")
    noticed = threading.Event()
    def interrupt():
        if not noticed.wait(after):
            signal.pthread_kill(main, signal.SIGINT)
    thread = threading.Thread(target=interrupt)
    outcome = "finished"
    try:
        thread.start()
        use(hub)
        noticed.set()
        thread.join()
        time.sleep(0.05)  # for an interrupt that was held back
    except KeyboardInterrupt:
        outcome = "interrupted"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    thread.join()
    for _ in range(2):
        use(hub)
    hub.close()
    return outcome

began = time.monotonic()
moments = random.Random(name)
seen = []
for number in range(7):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        start = time.monotonic()
        try:
            said = turn(10 if not number else moments.random() * float(os.environ["SPENT"]))
            said = f"{said} {time.monotonic() - start}"
        except BaseException:
            said = traceback.format_exc()
        os.write(write, said.encode()[-3000:])
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as file:
        outcome, _, rest = file.read().partition(" ")
    if outcome not in {"finished", "interrupted"}:
        print(outcome, rest)
        sys.exit(1)
    if not number:
        os.environ["SPENT"] = rest  # how long the first use takes on this machine
    seen.append(outcome)
print("usable", seen.count("interrupted"))
"""
ASKED = """
import sys, threading, time
from pathlib import Path

def use_git():
    from agentnb.core.git.executor import git_class
    return git_class().GIT_PYTHON_GIT_EXECUTABLE

def use_redis():
    from agentnb.core.redis.binary import version_of
    return version_of(Path(sys.argv[2])).kind

def use_docker():
    from agentnb.core.docker.buildkit import Command, _says
    return _says(Command(sys.argv[2], None), "--version").split()[0]

use = {"git": use_git, "valkey-server": use_redis, "docker": use_docker}[Path(sys.argv[2]).name]
seen = []
thread = threading.Thread(target=lambda: seen.append(use()))
thread.start()
try:
    time.sleep(10)
except KeyboardInterrupt:
    thread.join()
    print("interrupted", *seen)
"""
PROGRAM_ASKED = """#!{python} -SI
import os, pathlib, signal, time
told = pathlib.Path({told!r})
if not told.exists():
    told.touch()
    os.killpg(os.getppid(), signal.SIGINT)
time.sleep(0.1)
print({says!r})
"""
SERVICES = ["db", "cache", "events", "queue", "workflows", "files", "git", "api", "websocket"]


@pytest.mark.parametrize("service", [*SERVICES, "docker"])
def test_an_interrupt_of_the_first_use_leaves_a_service_usable(service, redis_home):
    found = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", PROGRAM, service, str(redis_home)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=redis_home.parent,
    )
    assert found.stdout.startswith("usable"), (found.stdout + found.stderr)[-3000:]


@pytest.mark.parametrize(
    ("name", "says", "found"),
    [
        ("git", "git version 2.39.5", "git"),
        ("valkey-server", "Valkey server v=9.1.2 sha=0", "Valkey"),
        ("docker", "Docker version 27.0.1", "Docker"),
    ],
)
def test_an_interrupt_does_not_end_a_program_that_is_asked_for_its_version(
    name, says, found, tmp_path
):
    program = tmp_path / name
    program.write_text(
        PROGRAM_ASKED.format(python=sys.executable, told=str(tmp_path / "told"), says=says)
    )
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASKED, "first", str(program)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert done.stdout == f"interrupted {found}\n", done.stdout + done.stderr
