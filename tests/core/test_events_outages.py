"""Servers that are killed, stopped or cut off: no event is lost, none is seen twice."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentnb.core.errors import ConfigError, DeadlineExceeded, UnavailableError
from agentnb.core.events import EventBus, listener
from agentnb.core.redis import RedisClient
from agentnb.core.redis.binary import find_binary
from tests.listening import Relay

# Listens with a durable subscription and a live one, and says what they got once told to.
_LISTEN = """
durable, live = [], []
keep = lambda found: lambda event: found.append("gap" if event.gap else event.data)
one = bus.subscribe("n.*", keep(durable), overflow="reread", queue=50)
other = bus.subscribe("n.*", keep(live), queue=100_000)
say("ready")
last = int(sys.stdin.readline())
until = time.monotonic() + 40
while (durable[-1:] != [last] or live[-1:] != [last]) and time.monotonic() < until:
    time.sleep(0.01)
time.sleep(0.1)  # what comes twice would come now
say(json.dumps([durable, live, one.dropped + other.dropped, one.gaps]))
"""


def _heard(process, last):
    process.stdin.write(f"{last}\n")
    process.stdin.flush()
    durable, live, dropped, gaps = json.loads(process.stdout.readline())
    assert dropped == 0
    return durable, live, gaps


@contextlib.contextmanager
def _server(folder, port=0):
    if not port:
        with socket.socket() as link:
            link.bind(("127.0.0.1", 0))
            port = link.getsockname()[1]
    words = [str(find_binary()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    words += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(500):
        with socket.socket() as link:
            if link.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.01)
    process.port = port
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture
def own_redis(redis_home):
    """Return a client of an embedded server that a test may kill."""
    with RedisClient(home=redis_home) as client:
        client.ping()
        yield client


def test_a_server_killed_in_a_burst_of_ten_thousand_loses_and_doubles_none(
    own_redis, redis_home, kill_server, make_bus, listening, until
):
    bus = make_bus(own_redis, prefix="burst")
    other = listening(_LISTEN, own_redis, prefix="burst")
    assert other.stdout.readline() == "ready\n"
    here = []
    bus.subscribe("n.*", lambda event: here.append(event.data), queue=20_000)
    sent, killed = [], []

    def kill():
        done = False
        while not done:  # it may be about to be started again
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):
                kill_server(redis_home)
                done = True
        killed.append(True)

    for n in range(10_000):
        if n in {2_000, 5_000, 8_000}:
            threading.Thread(target=kill).start()
        sent.append(bus.publish(f"n.{n % 3}", n))
    assert bus.flush(30)
    until(lambda: len(killed) == 3)
    assert not any(event.pending for event in sent)
    durable, live, gaps = _heard(other, 9_999)
    assert durable == live == list(range(10_000))
    assert gaps == 0
    until(lambda: len(here) == 10_000)
    assert here == list(range(10_000))
    kept = bus.history("n.*", 20_000)
    assert [event.id for event in kept] == [event.id for event in sent]
    assert [event.place for event in kept] == [event.place for event in sent]


def test_while_the_server_is_away_events_wait_and_are_sent_under_the_same_ids(
    tmp_path, until, caplog
):
    caplog.set_level(logging.INFO, "agentnb.events")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(_server(tmp_path))
        url = f"redis://127.0.0.1:{first.port}"
        redis = stack.enter_context(RedisClient(url, timeout=0.5))
        bus = stack.enter_context(EventBus(redis, outbox_size=20))
        other = stack.enter_context(EventBus(stack.enter_context(RedisClient(url))))
        here, there = [], []
        bus.subscribe("c", lambda event: here.append(event.data))
        other.subscribe("c", lambda event: there.append(event.data))
        bus.publish("c", "before")
        until(lambda: there)
        first.kill()
        first.wait()
        sent = [bus.publish("c", n) for n in range(20)]
        assert all(event.pending and event.place is None for event in sent)
        assert "pending=True" in repr(sent[0])
        until(lambda: len(here) == 21)  # those of this process have them all the same
        with pytest.raises(UnavailableError, match="the outbox is full: 20 events wait for redis"):
            bus.publish("c", "one too many")
        with pytest.raises(UnavailableError):
            bus.ping()
        stack.enter_context(_server(tmp_path, first.port))
        assert bus.flush(15)
        until(lambda: len(there) == 21)
        assert there == here == ["before", *range(20)]
        assert not any(event.pending for event in sent)
        assert [event.id for event in bus.history("c")[1:]] == [event.id for event in sent]
        until(lambda: bus._receiver.connected)
        bus.ping()
        assert "events wait for redis" in caplog.text
        assert "20 events that waited were sent" in caplog.text


def test_a_bus_that_closes_says_what_was_never_sent(tmp_path):
    with _server(tmp_path) as server:
        redis = RedisClient(f"redis://127.0.0.1:{server.port}", timeout=0.3)
        bus = EventBus(redis)
        bus.publish("c", 1)
        server.kill()
        server.wait()
        bus.publish("c", 2)
        with pytest.raises(UnavailableError, match="1 event was never sent"):
            bus.close(1.0)
        assert bus._closing
        redis.close()


def test_a_subscription_made_while_the_server_is_away_stands_once_it_is_back(tmp_path, until):
    with contextlib.ExitStack() as stack:
        with _server(tmp_path) as first:
            port = first.port
        redis = stack.enter_context(RedisClient(f"redis://127.0.0.1:{port}", timeout=0.3))
        bus = stack.enter_context(EventBus(redis))
        got = []
        one = bus.subscribe("c", lambda event: got.append(event.data))
        assert one.state == "waits for the server"
        stack.enter_context(_server(tmp_path, port))
        until(one._delivery.inbox.ready.is_set)
        other = stack.enter_context(RedisClient(f"redis://127.0.0.1:{port}"))
        with EventBus(other) as there:
            there.publish("c", "now")
        until(lambda: got == ["now"])


def test_a_server_that_refuses_us_is_an_error_at_once(tmp_path):
    with _server(tmp_path) as server:
        admin = RedisClient(f"redis://127.0.0.1:{server.port}")
        admin.config_set("requirepass", "secret-word")
        with (
            RedisClient(f"redis://:wrong@127.0.0.1:{server.port}") as redis,
            EventBus(redis) as bus,
        ):
            with pytest.raises(ConfigError, match="password"):
                bus.subscribe("c", print)
            with pytest.raises(ConfigError, match="password"):
                bus.publish("c", 1)
            assert bus.subscriptions() == []
            assert bus.pending == 0
        admin.close()


def test_a_server_that_stops_for_a_while_gets_each_event_once(tmp_path, listening):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_server(tmp_path))
        url = f"redis://127.0.0.1:{server.port}"
        redis = stack.enter_context(RedisClient(url, timeout=0.3))
        bus = stack.enter_context(EventBus(redis))
        other = listening(_LISTEN, url)
        assert other.stdout.readline() == "ready\n"
        for n in range(100):
            if n == 50:
                server.send_signal(signal.SIGSTOP)
                # What was sent to a server that does not answer may be carried out later.
                threading.Timer(1.2, server.send_signal, [signal.SIGCONT]).start()
            bus.publish("n.x", n)
        assert bus.flush(15)
        durable, live, _ = _heard(other, 99)
        assert durable == live == list(range(100))
        assert [event.data for event in bus.history("n.x", 200)] == list(range(100))


class Proxy(Relay):
    """A network between a client and a server that can be cut, or fall silent."""

    def __init__(self, port):
        self._silenced = set()
        super().__init__(port, lambda far, *_: far not in self._silenced)

    def silence(self):
        """Let nothing through on the connections that there are; new ones work."""
        self._silenced.update(self.links)


def test_what_was_missed_while_the_network_was_cut_or_silent_is_read_from_the_log(
    tmp_path, until, monkeypatch
):
    monkeypatch.setattr(listener, "_BEAT", 0.1)
    monkeypatch.setattr(listener, "_SILENCE", 0.4)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_server(tmp_path))
        proxy = stack.enter_context(Proxy(server.port))
        far = stack.enter_context(RedisClient(f"redis://127.0.0.1:{proxy.port}", timeout=0.5))
        near = stack.enter_context(RedisClient(f"redis://127.0.0.1:{server.port}"))
        bus = stack.enter_context(EventBus(far))
        source = stack.enter_context(EventBus(near))
        got, own = [], []
        bus.subscribe("c", lambda event: got.append(event.data), queue=10_000)
        bus.subscribe("own", lambda event: own.append(event.data))
        numbers = iter(range(10_000))

        def publish(count):
            for _ in range(count):
                source.publish("c", next(numbers))
            bus.publish("own", count)

        publish(300)
        for _ in range(3):
            proxy.cut()
            publish(400)
        until(lambda: len(got) == 1500)
        proxy.silence()
        publish(500)
        until(lambda: len(got) == 2000)
        publish(10)
        until(lambda: len(got) == 2010)
        assert got == list(range(2010))
        until(lambda: own == [300, 400, 400, 400, 500, 10])


def test_a_process_that_sleeps_reads_what_it_missed(shared_redis, listening, make_bus):
    bus = make_bus(prefix="asleep")
    other = listening(_LISTEN, shared_redis, prefix="asleep")
    assert other.stdout.readline() == "ready\n"
    bus.publish("n.x", 0)
    os.kill(other.pid, signal.SIGSTOP)
    try:
        for n in range(1, 3_000):
            bus.publish("n.x", n)
        # A server gives up on those who do not read; so does a network.
        assert shared_redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 1
        for n in range(3_000, 5_000):
            bus.publish("n.x", n)
    finally:
        os.kill(other.pid, signal.SIGCONT)
    durable, live, gaps = _heard(other, 4_999)
    assert durable == live == list(range(5_000))
    assert gaps == 0


def test_what_the_log_no_longer_has_gives_one_gap_event(shared_redis, listening, make_bus):
    bus = make_bus(prefix="trimmed", log_size=100)
    other = listening(_LISTEN, shared_redis, prefix="trimmed")
    assert other.stdout.readline() == "ready\n"
    bus.publish("n.x", 0)
    time.sleep(0.2)
    os.kill(other.pid, signal.SIGSTOP)
    try:
        shared_redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        for n in range(1, 3_000):
            bus.publish("n.x", n)
    finally:
        os.kill(other.pid, signal.SIGCONT)
    durable, live, gaps = _heard(other, 2_999)
    assert durable == live
    assert gaps == 1
    assert durable.count("gap") == 1
    at = durable.index("gap")
    assert durable[:at] == list(range(at))
    rest = durable[at + 1 :]
    assert rest == list(range(3_000 - len(rest), 3_000))
    assert 100 <= len(rest) < 400


def test_a_log_that_was_emptied_gives_a_gap_and_goes_on(make_bus, shared_redis, until, monkeypatch):
    monkeypatch.setattr(listener, "_BEAT", 60)  # it does not see that the log is empty
    here, there = make_bus(), make_bus()
    got = []
    there.subscribe("c", lambda event: got.append("gap" if event.gap else event.data))
    for n in range(3):
        here.publish("c", n)
    until(lambda: len(got) == 3)
    shared_redis.delete(here._event_log.key)
    time.sleep(0.01)  # places begin with the time, in milliseconds
    here.publish("c", 3)
    until(lambda: len(got) == 4)
    shared_redis.delete(here._event_log.key)
    shared_redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    until(lambda: got[-1] == "gap")
    here.publish("c", 4)
    until(lambda: got == [0, 1, 2, 3, "gap", 4])


def test_order_does_not_depend_on_clocks(make_bus, shared_redis, until):
    here, there = make_bus(), make_bus()
    got, durable = [], []
    there.subscribe("c", lambda event: got.append(event.data))
    there.subscribe("c", lambda event: durable.append(event.data), overflow="reread", queue=1)
    here.publish("c", 0)
    # As after a jump of the server's clock: the log is a century ahead of it.
    future = f"{int(time.time() * 1000) + 10**12 * 3}-5"
    shared_redis.xadd(here._event_log.key, {"id": "x", "c": "y", "m": "{}"}, id=future)
    for n in range(1, 50):
        assert here.publish("c", n).place == f"{future.partition('-')[0]}-{5 + n}"
    shared_redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    for n in range(50, 100):
        here.publish("c", n)
    until(lambda: len(got) == len(durable) == 100)
    assert got == durable == list(range(100))
    ids = [event.id for event in here.history("c", 200)]
    assert len(set(ids)) == 100


_STORM = """
import random, threading
main, over, armed, came = threading.main_thread().ident, threading.Event(), False, 0
here = []
bus.subscribe("n", lambda event: here.append(event.data), queue=100_000)

def interrupt(number, frame):
    # Only between the lines that arm and disarm, so that the script itself is not hit.
    global armed, came
    if armed:
        armed = False
        came += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)

def storm():
    while not over.is_set():
        time.sleep(random.uniform(0, 0.002))
        signal.pthread_kill(main, signal.SIGINT)

thread = threading.Thread(target=storm, daemon=True)
thread.start()
returned, n = [], 0
while came < 400:
    try:
        armed = True
        bus.publish("n", n)
        returned.append(n)
        armed = False
    except KeyboardInterrupt:
        pass
    n += 1
over.set()
thread.join()
bus.flush(10)
until = time.monotonic() + 10
kept = [event.data for event in bus.history("n", 100_000)]
while len(here) < len(kept) and time.monotonic() < until:
    time.sleep(0.01)
say(json.dumps([returned, here, kept, n]))
"""


def test_interrupts_lose_no_event_and_double_none(shared_redis, listening):
    storm = listening(_STORM, shared_redis, prefix="storm")
    returned, here, kept, count = json.loads(storm.stdout.readline())
    assert storm.wait(20) == 0
    assert count > 400
    assert len(set(kept)) == len(kept)
    assert here == kept
    assert set(returned) <= set(kept)


def test_a_forked_child_is_a_source_of_its_own(shared_redis, make_bus):
    script = f"""
import os, sys
from agentnb.core.redis import RedisClient
from agentnb.core.events import EventBus
bus = EventBus(RedisClient("unix://{shared_redis.target.options["path"]}"), prefix="forked")
bus.publish("c", "parent")
child = os.fork()
bus.publish("c", "child" if child == 0 else "parent again")
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
bus.close()
"""
    words = [sys.executable, "-W", "ignore", "-c", script]
    subprocess.run(words, check=True, timeout=30, cwd=Path(__file__).parent)
    found = {event.data: event for event in make_bus(prefix="forked").history("c")}
    assert set(found) == {"parent", "child", "parent again"}
    assert found["parent"].source == found["parent again"].source != found["child"].source
    assert len({event.id for event in found.values()}) == 3


def test_a_wait_for_an_event_ends_in_its_time_while_the_server_is_away(tmp_path):
    """The client's own time-out, for which the subscription waits, is longer."""
    with socket.create_server(("127.0.0.1", 0)) as link:
        port = link.getsockname()[1]
    with RedisClient(f"redis://127.0.0.1:{port}/0", timeout=60) as client:
        bus = EventBus(client)
        begun = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=re.escape("no event on c within 0.2 s")):
            bus.wait_for("c", timeout=0.2)
        assert time.monotonic() - begun < 30
        with _server(tmp_path, port):  # else the end waits for the thread that connects
            bus.close()
