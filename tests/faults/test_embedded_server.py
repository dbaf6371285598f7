"""The embedded server while its processes, its users and its disk misbehave."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from agentnb.core.errors import DeadlineExceeded
from agentnb.core.redis import RedisClient

STAY = """
client = RedisClient(home=home)
client.incr("users")
say(client.info("server")["run_id"])
sys.stdin.readline()
"""


@pytest.fixture
def client(redis_home):
    with RedisClient(home=redis_home) as made:
        yield made


def run_id(client):
    return client.info("server")["run_id"]


def test_twelve_processes_that_start_at_once_share_one_server(redis_home, person, running, gone):
    begin = redis_home.parent / "begin"
    wait = f"while not os.path.exists({str(begin)!r}): time.sleep(0.001)\n"
    people = [person("say('here')\n" + wait + STAY, redis_home) for _ in range(12)]
    for one in people:
        assert one.hear() == "here"
    begin.touch()
    assert len({one.hear() for one in people}) == 1
    with RedisClient(home=redis_home) as client:
        assert client.get("users") == b"12"
    pids = running(redis_home)
    assert [one.end() for one in people] == [0] * 12
    assert gone(*pids)


def test_a_killed_server_is_back_with_its_data(redis_home, client, running, gone):
    client.set("k", "v")
    before = run_id(client)
    pids = running(redis_home)
    os.kill(pids[1], signal.SIGKILL)
    assert gone(*pids)
    assert client.get("k") == b"v"
    assert client.incr("n") == 1
    assert run_id(client) != before


def test_a_command_that_is_not_repeated_finds_the_new_server_too(redis_home, client, running, gone):
    client.incr("n")
    pids = running(redis_home)
    os.kill(pids[1], signal.SIGKILL)
    assert gone(*pids)
    assert client.incr("n") == 2


def test_a_killed_supervisor_takes_the_server_along_and_both_are_back(
    redis_home, client, running, gone
):
    client.set("k", "v")
    pids = running(redis_home)
    os.kill(pids[0], signal.SIGKILL)
    assert gone(*pids)
    assert client.get("k") == b"v"
    assert running(redis_home)[0] != pids[0]


def test_a_killed_supervisor_leaves_no_orphan_when_nobody_comes_back(
    redis_home, person, running, gone
):
    one = person(STAY, redis_home)
    one.hear()
    pids = running(redis_home)
    os.kill(pids[0], signal.SIGKILL)
    os.kill(one.pid, signal.SIGKILL)
    assert gone(*pids)


def test_a_killed_kernel_leaves_no_orphan_and_what_it_wrote(redis_home, person, running, gone):
    one = person(STAY, redis_home)
    one.hear()
    pids = running(redis_home)
    os.kill(one.pid, signal.SIGKILL)
    assert gone(*pids)
    with RedisClient(home=redis_home) as client:
        assert client.get("users") == b"1"


def test_nothing_acknowledged_is_lost_when_all_are_killed_at_once(
    redis_home, person, running, gone
):
    one = person(
        "client = RedisClient(home=home)\nwhile True: say(client.rpush('log', 'x' * 100))\n",
        redis_home,
    )
    for _ in range(2000):
        acknowledged = int(one.hear())
    pids = running(redis_home)
    for pid in (one.pid, *pids):
        os.kill(pid, signal.SIGKILL)
    assert gone(*pids)
    with RedisClient(home=redis_home) as client:
        assert client.llen("log") >= acknowledged


def test_users_that_are_killed_while_they_start_it_leave_it_usable(
    redis_home, person, running, gone
):
    start = "client = RedisClient(home=home)\nsay('here')\nclient.incr('n')\ntime.sleep(60)\n"
    for _ in range(8):
        one = person(start, redis_home)
        one.hear()
        time.sleep(random.uniform(0, 0.12))
        os.kill(one.pid, signal.SIGKILL)
    with RedisClient(home=redis_home) as client:
        assert client.ping()
        pids = running(redis_home)
    assert gone(*pids)


def test_an_interrupt_of_the_process_group_leaves_the_server_alone(redis_home, person):
    one = person(
        """
client = RedisClient(home=home)
before = client.info("server")["run_id"]
try:
    say("here")
    time.sleep(20)
except KeyboardInterrupt:
    say(before == client.info("server")["run_id"])
""",
        redis_home,
    )
    assert one.hear() == "here"
    os.killpg(one.pid, signal.SIGINT)
    assert one.hear() == "True"


def test_it_stays_for_those_who_are_left_and_for_those_who_come_soon(redis_home, person):
    first, second = person(STAY, redis_home), person(STAY, redis_home)
    same = first.hear()
    assert second.hear() == same
    first.end()
    time.sleep(2)
    with RedisClient(home=redis_home) as client:
        second.end()
        assert run_id(client) == same
    with RedisClient(home=redis_home) as client:
        assert run_id(client) == same
        time.sleep(2)
        assert run_id(client) == same


def test_a_stopped_server_costs_no_more_than_the_deadline_and_works_again(
    redis_home, client, running
):
    client.set("k", "v")
    same, (_, server) = run_id(client), running(redis_home)
    os.kill(server, signal.SIGSTOP)
    try:
        started = time.monotonic()
        for call in (lambda: client.within(1).get("k"), lambda: client.within(1).incr("n")):
            with pytest.raises(DeadlineExceeded):
                call()
        with RedisClient(home=redis_home, timeout=1) as other, pytest.raises(DeadlineExceeded):
            other.get("k")
        assert time.monotonic() - started < 6
        time.sleep(1)
    finally:
        os.kill(server, signal.SIGCONT)
    assert client.get("k") == b"v"
    assert run_id(client) == same


def test_a_machine_that_sleeps_wakes_up_with_everything_in_place(redis_home, person, running):
    one = person(
        """
client = RedisClient(home=home)
client.set("k", "v")
say("here")
sys.stdin.readline()
say(client.get("k"))
""",
        redis_home,
    )
    one.hear()
    pids = (*running(redis_home), one.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(float(os.environ.get("AGENTNB_SLEEP", "3")))
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    one.go()
    assert one.hear() == "b'v'"


def test_a_forked_child_uses_it_beside_its_parent_and_after_it(redis_home, person):
    one = person(
        """
client = RedisClient(home=home)
same = client.info("server")["run_id"]
child = os.fork()
name = "child" if not child else "parent"
for n in range(300):
    client.set(name, f"{name}{n}")
    assert client.get(name) == f"{name}{n}".encode()
if child:
    say("parent done")
    sys.stdout.close()
    os._exit(0)
time.sleep(2.5)
client.set("outcome", str(client.info("server")["run_id"] == same))
""",
        redis_home,
    )
    assert one.hear() == "parent done"
    with RedisClient(home=redis_home) as client:
        until = time.monotonic() + 15
        while client.get("outcome") is None and time.monotonic() < until:
            time.sleep(0.05)
        assert client.get("outcome") == b"True"


def test_a_home_that_is_deleted_meanwhile_is_made_again(redis_home, client, running, gone):
    import shutil

    client.set("k", "v")
    pids = running(redis_home)
    os.kill(pids[1], signal.SIGKILL)
    assert gone(*pids)
    shutil.rmtree(redis_home)
    assert client.get("k") is None
    time.sleep(2)  # longer than an unused server lives
    client.set("k", "new")
    assert client.get("k") == b"new"
    assert Path(redis_home, "redis", "users.lock").exists()
