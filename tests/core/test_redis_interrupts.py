"""Ctrl-C at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

COUNT = int(os.environ.get("AGENTNB_INTERRUPTS", "3000"))

_STORM = """
import contextlib, os, random, signal, sys, threading, time
from pathlib import Path
from agentnb.core.redis import RedisClient

client, wanted = RedisClient(home=Path(sys.argv[1])), int(sys.argv[2])
for n in range(100):
    client.set(f"k{n}", f"v{n}" * 30)
    client.set(f"big{n}", f"b{n}," * 30_000)
main, over, armed = threading.main_thread().ident, threading.Event(), [False]

def interrupt(*_):
    # Only inside the block that expects it, and once: elsewhere it would end the script.
    if armed[0]:
        armed[0] = False
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)

def storm():
    while not over.is_set():
        time.sleep(random.uniform(0, 0.004))
        signal.pthread_kill(main, signal.SIGINT)

came = wrong = right = 0
armed = False

def interrupt(number, frame):
    # Only between the lines that arm and disarm, so that the test itself is not hit.
    global armed, came
    if armed:
        armed = False
        came += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)
thread = threading.Thread(target=storm)
thread.start()
while came < wanted:
    n = random.randrange(100)
    choice = random.random()
    try:
        armed = True
        if choice < 0.6:
            ok = client.get(f"k{n}") == f"v{n}".encode() * 30
        elif choice < 0.8:
            ok = client.get(f"big{n}") == f"b{n},".encode() * 30_000
        elif choice < 0.9:
            pipe = client.pipeline(transaction=choice < 0.85)
            ok = pipe.get(f"k{n}").get(f"k{99 - n}").execute() == [
                f"v{n}".encode() * 30, f"v{99 - n}".encode() * 30
            ]
        else:
            ok = client.blpop(f"none{n}", timeout=0.003) is None
        armed = False
        right += ok
        wrong += not ok
    except KeyboardInterrupt:
        pass
over.set()
thread.join()
names = []
for number in os.listdir("/proc/self/fd"):
    with contextlib.suppress(OSError):
        names.append(os.readlink(f"/proc/self/fd/{number}"))
sockets = sum(name.startswith("socket:") for name in names)
print(came, right > wanted // 4, wrong, sockets, len(client.client_list()))
"""


@pytest.mark.timeout(900)
def test_interrupts_at_random_moments_give_no_wrong_value_and_leak_no_connection(redis_home):
    found = subprocess.run(
        [sys.executable, "-c", _STORM, str(redis_home), str(COUNT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    came, enough, wrong, sockets, connections = found.stdout.split()
    assert (int(came), enough, wrong) == (COUNT, "True", "0")
    # One for commands, one for those that wait.
    assert int(sockets) <= 2
    assert int(connections) <= 2


_PROMPT = """
import sys, time
from pathlib import Path
from agentnb.core.redis import RedisClient

client = RedisClient(home=Path(sys.argv[1]), timeout=30)
client.set("k", "v")
print("here", flush=True)
started = time.monotonic()
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - started < 10, flush=True)
sys.stdin.readline()
print(client.get("k"), flush=True)
"""


def prompt(call, home):
    return subprocess.Popen(
        [sys.executable, "-c", _PROMPT.format(call=call), str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "call",
    [
        "client.blpop('nothing', timeout=0)",
        "client.xread({'log': '$'}, block=0)",
        "channel = client.pubsub(); channel.subscribe('news'); list(channel.listen())",
    ],
)
def test_a_read_that_waits_is_interrupted_at_once(redis_home, call):
    with prompt(call, redis_home) as process:
        assert process.stdout.readline() == "here\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted True\n"
        process.stdin.close()
        assert process.stdout.readline() == "b'v'\n"


def test_a_second_interrupt_does_not_wait_for_a_server_that_hangs(redis_home):
    with prompt("client.get('k')\n    while True: client.get('k')", redis_home) as process:
        assert process.stdout.readline() == "here\n"
        text = (redis_home / "redis" / "running").read_text()
        server = int(text.rpartition("server=")[2])
        os.kill(server, signal.SIGSTOP)
        try:
            time.sleep(0.5)
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            assert process.stdout.readline() == "interrupted True\n"
        finally:
            os.kill(server, signal.SIGCONT)
        process.stdin.close()
        assert process.stdout.readline() == "b'v'\n"


def test_a_pause_before_another_attempt_is_interrupted_at_once(redis_home):
    call = "RedisClient('redis://127.0.0.1:1', timeout=30).get('k')"
    with prompt(call, redis_home) as process:
        assert process.stdout.readline() == "here\n"
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted True\n"
        process.stdin.close()
        assert process.stdout.readline() == "b'v'\n"
