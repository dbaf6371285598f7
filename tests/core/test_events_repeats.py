"""An event that is sent again, since its reply was lost or its id is known, is seen once."""

from __future__ import annotations

import socket
import threading

import pytest

from agentnb.core.events import EventBus
from agentnb.core.events.scripts import PUBLISH
from agentnb.core.redis import RedisClient
from tests.listening import Listener

# The script that publishes, as the outbox sends it, and as a single publish does.
_PUBLISHES = (b"agentnb_publish", PUBLISH.sha.encode())


class LossyProxy(Listener):
    """Hands requests on to a server; refuses connections, or drops the reply to a publish."""

    def __init__(self, path):
        self.refuses, self.loses, self.lost = False, 0, 0
        self._path = path
        super().__init__(self._serve)
        self.url = f"redis://127.0.0.1:{self.port}"

    def _serve(self, near):
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(self._path)
            while not self.refuses and (request := near.recv(1 << 20)):
                if self.refuses:
                    return
                far.sendall(request)
                reply = far.recv(1 << 20)
                if self.loses and any(script in request for script in _PUBLISHES):
                    self.loses -= 1
                    self.lost += 1
                    return
                near.sendall(reply)


@pytest.fixture
def proxy(shared_redis):
    with LossyProxy(shared_redis.connection_pool.connection_kwargs["path"]) as one:
        yield one


@pytest.fixture
def far_bus(proxy, make_bus):
    """Return a bus behind the proxy, of the prefix that `make_bus` uses."""
    with RedisClient(proxy.url, timeout=0.5) as client:
        bus = make_bus(client)
        yield bus
        bus.close(2.0)


@pytest.fixture
def seen(make_bus):
    """Return what two subscribers of another bus have received: a live one and a durable one."""
    bus, live, durable = make_bus(), [], []
    bus.subscribe("c", lambda event: live.append(event.data))
    bus.subscribe("c", lambda event: durable.append(event.data), overflow="reread")
    return bus, live, durable


def test_a_batch_whose_reply_was_lost_is_sent_once(proxy, far_bus, seen, shared_redis, until):
    bus, live, durable = seen
    proxy.refuses = True
    events = [far_bus.publish("c", n) for n in range(5)]
    assert all(event.pending for event in events)
    proxy.loses, proxy.refuses = 1, False
    assert far_bus.flush(20)
    assert proxy.lost == 1
    until(lambda: len(live) >= 5)  # what this process publishes is not behind what the server sends
    bus.publish("c", "last")
    until(lambda: live[-1:] == durable[-1:] == ["last"])
    assert live == durable == [0, 1, 2, 3, 4, "last"]
    assert shared_redis.xlen(bus._event_log.key) == 6
    assert not any(event.pending for event in events)
    assert [event.place for event in bus.history("c")][:5] == [event.place for event in events]


def test_an_event_whose_reply_was_lost_is_sent_once(proxy, far_bus, seen, shared_redis, until):
    bus, live, durable = seen
    bus.publish("c", 0)  # from here on the server knows the script
    proxy.loses = 1
    event = far_bus.publish("c", 1)
    assert far_bus.flush(20)
    assert (proxy.lost, event.pending) == (1, False)
    until(lambda: 1 in live)
    bus.publish("c", 2)
    until(lambda: live[-1:] == durable[-1:] == [2])
    assert live == durable == [0, 1, 2]
    assert shared_redis.xlen(bus._event_log.key) == 3


def test_one_id_that_is_published_twice_is_seen_once_everywhere(make_bus, seen, until):
    bus, live, durable = seen
    one, other, own = make_bus(), make_bus(), []
    one.subscribe("c", lambda event: own.append(event.data))
    for publisher in (one, one, other, bus):
        publisher.publish("c", "first", event_id="same")
    until(lambda: live)
    bus.publish("c", "last")
    until(lambda: live[-1:] == durable[-1:] == own[-1:] == ["last"])
    assert live == durable == own == ["first", "last"]
    assert [event.data for event in bus.history("c")] == ["first", "last"]


def test_one_id_that_another_bus_has_published_and_the_server_sends_late_is_seen_once(
    make_bus, seen, until
):
    bus, live, durable = seen
    until(lambda: bus._receiver.connected)
    with bus._receiver._listener._lock:  # it reads nothing meanwhile
        make_bus().publish("c", "first", event_id="same")
        bus.publish("c", "first", event_id="same")
        bus.publish("c", "last")
    until(lambda: live[-1:] == durable[-1:] == ["last"])
    assert live == durable == ["first", "last"]


def test_one_id_that_stands_twice_in_the_log_is_replayed_once(make_bus, until):
    for _ in range(2):
        make_bus().publish("c", "first", event_id="same")
    replayed, reread = [], []
    reader = make_bus()
    reader.subscribe("c", lambda event: replayed.append(event.data), replay=10)
    reader.subscribe("c", lambda event: reread.append(event.data), replay=10, overflow="reread")
    reader.publish("c", "last")
    until(lambda: replayed[-1:] == reread[-1:] == ["last"])
    assert replayed == reread == ["first", "last"]


def test_an_event_that_is_not_kept_and_sent_twice_is_seen_once(seen, make_bus, until):
    bus, live, _ = seen
    publisher = make_bus()
    for _ in range(2):
        publisher.publish("c", "first", durable=False, event_id="same")
    until(lambda: live)
    bus.publish("c", "last")
    until(lambda: live[-1:] == ["last"])
    assert live == ["first", "last"]


def test_a_bus_remembers_as_many_ids_as_the_log_and_the_outbox_keep(shared_redis, until):
    seen = []
    with EventBus(shared_redis, prefix="remembers", log_size=20, outbox_size=5) as bus:
        bus.subscribe("c", lambda event: seen.append(event.data))
        with EventBus(shared_redis, prefix="remembers") as other:
            for n in range(25):
                other.publish("c", n, event_id=f"e{n}")
            other.publish("c", "again", event_id="e0")
            other.publish("c", "last")
        until(lambda: seen[-1:] == ["last"])
    assert seen == [*range(25), "last"]


def test_one_id_that_stands_twice_in_the_log_is_read_again_once(make_bus, until):
    seen, go = [], threading.Event()
    reader, publishers = make_bus(), [make_bus(), make_bus()]

    def handle(event):
        go.wait(10)
        seen.append(event.data)

    # With room for one event it reads the others from the log once it has time.
    reader.subscribe("c", handle, queue=1, overflow="reread")
    for n in range(5):
        for publisher in publishers:
            publisher.publish("c", n, event_id=f"e{n}")
    publishers[0].publish("c", "last")
    go.set()
    until(lambda: seen[-1:] == ["last"])
    assert seen == [0, 1, 2, 3, 4, "last"]
