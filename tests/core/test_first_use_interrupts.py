"""Ctrl-C during the first use of a service, when it imports, leaves the service usable."""

from __future__ import annotations

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
