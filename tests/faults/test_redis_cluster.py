"""A Redis Cluster: any of its nodes serves, and the one that has the keys is followed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import threading
import time
import warnings
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import RejectedError, UnavailableError
from agentnb.core.redis import Changed, RedisClient
from tests.faults.redis_load import survive
from tests.listening import Relay
from tests.redis_servers import PROGRAMS, Cluster, missing


@pytest.fixture(scope="module", params=PROGRAMS)
def cluster(request, require, tmp_path_factory):
    """Return a cluster whose nodes all run, of Redis 7 and of Valkey 9."""
    name = request.param
    require("redis", missing(name) is None, missing(name))
    with Cluster(tmp_path_factory.mktemp("cluster"), name) as made:
        yield made


@pytest.fixture
def connect(tmp_path):
    """Return what makes hubs on one node of a cluster."""
    made = []

    def make(server, **settings):
        home = tmp_path / f"home-{len(made)}"
        made.append(agentnb.connect(redis_url=server.url, home=home, **settings))
        return made[-1]

    yield make
    for hub in made:
        hub.close()


def sockets_to(*servers):
    """Return how many connections of this process lead to some servers."""
    ports = {f"{server.port:04X}" for server in servers}
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    established = {f"socket:[{row[9]}]" for row in rows if row[2][-4:] in ports and row[3] == "01"}
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(entry.readlink()) in established
    return found


def test_any_node_serves_all_that_stands_on_redis(cluster, connect, until):
    for server in cluster.servers:
        hub = connect(server)
        name = f"at-{server.port}"
        hub.cache.set(name, {"n": 1})
        assert hub.cache.get(name) == {"n": 1}
        assert asyncio.run(hub.cache.aget(name)) == {"n": 1}
        heard = []
        hub.events.subscribe("*.done", lambda event, heard=heard: heard.append(event.data["n"]))
        hub.events.publish("agent.done", {"n": 1})
        until(lambda heard=heard: heard == [1])
        done = []
        worker = hub.queue(name).work(lambda job, done=done: done.append(job.data["n"]))
        with worker:
            hub.queue(name).add({"n": 2}).result(timeout=20)
        assert done == [2]
        kind = "redis" if server is cluster.home else f"redis, node 127.0.0.1:{cluster.home.port}"
        assert ["redis", kind, "ok"] in [list(row[:3]) for row in hub.health().rows]


def test_each_kind_of_command_follows_the_keys_at_its_first_use(cluster):
    calls = {
        "command": lambda client: client.set("{agentnb}:t:k", "v"),
        "blocking": lambda client: client.blpop("{agentnb}:t:none", timeout=0.1) is None,
        "script": lambda client: client.eval(
            "return redis.call('incr', KEYS[1])", 1, "{agentnb}:t:n"
        ),
        "pipeline": lambda client: (
            client.pipeline(transaction=False).set("{agentnb}:t:p", 1).execute()
        ),
        "transaction": lambda client: client.pipeline().set("{agentnb}:t:p", 1).execute(),
        "watch": lambda client: client.transaction(
            lambda pipe: (pipe.get("{agentnb}:t:k") and pipe.multi()) or pipe.incr("{agentnb}:t:w"),
            "{agentnb}:t:k",
        ),
        "pubsub": lambda client: client.pubsub().subscribe("{agentnb}:t:c") is None,
        "publish": lambda client: client.publisher.publish("{agentnb}:t:c", "x") == 0,
    }
    for name, call in calls.items():
        with RedisClient(cluster.others[0].url) as client:
            assert call(client), name
            assert f"node 127.0.0.1:{cluster.home.port}" in client.node, name


def test_a_redirection_is_followed_without_a_look_at_the_cluster(cluster, caplog):
    """Of protocol 2 there is no greeting, which would say that there is a cluster."""
    caplog.set_level(logging.INFO, "agentnb.redis")
    url = f"{cluster.others[0].url}?protocol=2"
    with RedisClient(url) as client, client.pipeline() as pipe:
        pipe.watch("{agentnb}:two")  # on a connection that is kept, and has to be made anew
    caplog.clear()
    with RedisClient(url) as client:
        for number in range(3):
            assert client.set("{agentnb}:two", number)
        assert client.pipeline().incr("{agentnb}:two").execute() == [3]
        assert client.pipeline(transaction=False).incr("{agentnb}:two").execute() == [4]
        assert client.publisher.eval("return 7", 1, "{agentnb}:two") == 7
        assert sockets_to(*cluster.others) == 0
    assert caplog.text.count("follows the keys of {agentnb}") == 1
    assert "ERROR" not in caplog.text


def test_no_idle_connection_is_left_at_a_node_that_is_used_no_longer(cluster):
    source, target = cluster.home, cluster.others[0]
    with RedisClient(source.url) as client:
        barrier = threading.Barrier(4)

        def use(pipe):
            pipe.watch("{agentnb}:t:k")
            barrier.wait(120)  # four connections at once

        threads = [threading.Thread(target=use, args=[client.pipeline()]) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(20)
        del threads
        gc.collect()
        assert sockets_to(source) == 4
        try:
            cluster.move(source, target)
            client.set("{agentnb}:t:k", 1)
            assert (sockets_to(source), sockets_to(target)) == (0, 1)
        finally:
            cluster.move(target, source)


def test_another_prefix_is_followed_to_where_its_own_keys_are(cluster, connect):
    home = cluster.home
    # The tag app-1 is on another node than agentnb: in each third of the slots there is one.
    from redis.crc import key_slot

    prefix = next(
        name for name in (f"app-{n}" for n in range(99)) if key_slot(name.encode()) < 10922
    )
    hub = connect(home, key_prefix=prefix)
    hub.cache.set("k", 1)
    assert hub.cache.get("k") == 1
    assert "node" in hub.redis.node


def test_a_key_of_another_node_is_refused_with_the_node_and_the_reason(cluster):
    from redis.crc import key_slot

    key = next(k for k in (f"mine-{n}" for n in range(99)) if key_slot(k.encode()) < 5000)
    with RedisClient(cluster.servers[1].url) as client:
        client.set("{agentnb}:t:k", "v")
        for call in (
            lambda: client.get(key),
            lambda: client.pipeline().set(key, 1).execute(),
            lambda: client.pipeline(transaction=False).ping().set(key, 1).execute(),
        ):
            with pytest.raises(RejectedError) as caught:
                call()
            assert f"127.0.0.1:{cluster.servers[0].port} has this key" in caught.value.message
            assert "keys of {agentnb}" in caught.value.message
            assert "{agentnb}:mine" in caught.value.hint
        replies = (
            client.pipeline(transaction=False).ping().set(key, 1).execute(raise_on_error=False)
        )
        assert replies[0] is True
        assert "caused error" not in str(replies[1])
        assert client.get("{agentnb}:t:k") == b"v"  # it has not gone elsewhere
        with pytest.raises(RejectedError, match="not in one slot"):
            client.mset({"{agentnb}:a": 1, key: 2})


def test_a_forked_child_follows_by_itself(cluster):
    with RedisClient(cluster.others[0].url) as client:
        client.set("{agentnb}:t:k", "parent")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if not child:
            os._exit(0 if client.incr("{agentnb}:t:forked") >= 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert client.get("{agentnb}:t:k") == b"parent"


def test_slots_that_move_under_load_lose_and_double_nothing(cluster, connect, caplog):
    """ASK and TRYAGAIN are waited out, MOVED is followed, and a blocked worker is woken."""
    source, target = cluster.home, cluster.others[0]
    caplog.set_level(logging.INFO, "agentnb.redis")
    hub = connect(cluster.others[1])
    queue, done, stop, acknowledged = hub.queue("moves"), [], threading.Event(), []
    client = hub.redis

    def add():
        while not stop.is_set():
            number = len(acknowledged)
            queue.add({"n": number})
            client.pipeline().incr("{agentnb}:t:both").incr("{agentnb}:t:sum").execute()
            client.pipeline(transaction=False).incr("{agentnb}:t:a").incr("{agentnb}:t:b").execute()
            acknowledged.append(number)

    adding = threading.Thread(target=add)
    for key in ("both", "sum", "a", "b"):
        client.delete(f"{{agentnb}}:t:{key}")
    try:
        with queue.work(lambda job: done.append(job.data["n"]), concurrency=4):
            adding.start()
            cluster.move(source, target, between=lambda: time.sleep(0.3))
            before = len(acknowledged)
            _wait_for(lambda: len(acknowledged) > before + 20)
            stop.set()
            adding.join(20)
            _wait_for(lambda: len(done) >= len(acknowledged))
        assert sorted(done) == acknowledged
        sums = [int(client.get(f"{{agentnb}}:t:{key}")) for key in ("both", "sum", "a", "b")]
        assert sums == [len(acknowledged)] * 4
        assert f"to 127.0.0.1:{target.port}" in caplog.text
        assert sockets_to(source) <= 1  # the events' listener, up to its next beat
    finally:
        stop.set()
        adding.join(20)
        cluster.move(target, source)
    client.set("{agentnb}:t:k", "back")
    assert source.ask("GET", "{agentnb}:t:k") == b"back"


def test_a_watch_does_not_outlive_the_move_of_its_keys(cluster):
    source, target = cluster.home, cluster.others[0]
    with RedisClient(cluster.servers[0].url) as client:
        client.set("{agentnb}:t:k", 1)
        try:
            with client.pipeline() as pipe:
                pipe.watch("{agentnb}:t:k")
                value = int(pipe.get("{agentnb}:t:k"))
                cluster.move(source, target)
                pipe.multi()
                pipe.set("{agentnb}:t:k", value + 1)
                target.ask("SET", "{agentnb}:t:k", 10)
                with pytest.raises(Changed):
                    pipe.execute()
            assert client.get("{agentnb}:t:k") == b"10"
        finally:
            cluster.move(target, source)


def test_a_slot_that_nobody_has_is_an_outage(cluster):
    with RedisClient(cluster.home.url, timeout=0.5) as client:
        client.set("{agentnb}:t:k", 1)
        for server in cluster.servers[:3]:
            server.ask("CLUSTER", "DELSLOTS", cluster.slot)
        try:
            with pytest.raises(UnavailableError) as caught:
                client.set("{agentnb}:t:k", 2)
            assert "CLUSTERDOWN" in caught.value.message
        finally:
            for server in cluster.servers[:3]:
                server.ask(
                    "CLUSTER",
                    "SETSLOT",
                    cluster.slot,
                    "NODE",
                    cluster.ids[cluster.servers.index(cluster.home)],
                )
        assert client.set("{agentnb}:t:k", 3)


def test_a_primary_that_is_killed_is_replaced_and_nothing_acknowledged_is_lost(require, tmp_path):
    """The URL names the node that dies: the others are known from the cluster."""
    require("redis", missing("redis-server") is None, missing("redis-server"))
    with (
        Cluster(tmp_path / "cluster", "redis-server") as cluster,
        agentnb.connect(redis_url=cluster.home.url, home=tmp_path / "home") as hub,
    ):
        pause = survive(hub, cluster.home.kill)
        assert f"node 127.0.0.1:{cluster.replica.port}" in hub.redis.node
        assert pause < cluster.node_timeout + 5


def _wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_health_of_a_fresh_hub_names_the_node_after_its_first_answer(cluster, connect):
    hub = connect(cluster.others[0])
    assert hub.redis.node is None
    kind = f"redis, node 127.0.0.1:{cluster.home.port}"
    assert [row[1] for row in hub.health().rows if row[0] == "redis"] == [kind]


def test_another_database_is_refused_with_the_reason(cluster):
    url = cluster.home.url.removesuffix("/0") + "/3"
    with RedisClient(url) as client, pytest.raises(RejectedError) as caught:
        client.get("{agentnb}:k")
    assert "end REDIS_URL with /0" in caught.value.hint


def test_a_node_that_is_reached_by_another_address_than_its_own_is_not_left(cluster):
    """As through a forwarded port: the cluster's own addresses may not be reached from here."""
    with Relay(cluster.home.port) as way, RedisClient(f"redis://127.0.0.1:{way.port}") as client:
        assert client.set("{agentnb}:t:k", "v")
        assert client.node is None
        assert sockets_to(cluster.home) == 1  # the way's own


def test_a_subscriber_and_a_waiting_command_follow_the_keys(cluster):
    source, target = cluster.home, cluster.others[0]
    with RedisClient(cluster.others[1].url) as client:
        subscriber = client.pubsub()
        subscriber.subscribe("{agentnb}:t:c")
        assert subscriber.get_message(timeout=5)["type"] == "subscribe"
        found = []
        waiting = threading.Thread(
            target=lambda: found.append(client.blpop("{agentnb}:t:list", timeout=7))
        )
        waiting.start()
        _wait_for(lambda: b"cmd=blpop" in source.ask("CLIENT", "LIST"))
        try:
            cluster.move(source, target)
            client.set("{agentnb}:t:k", 1)
            assert client.node == f"node 127.0.0.1:{target.port}"
            _wait_for(lambda: subscriber.get_message(timeout=0.1) is None)
            assert subscriber.connection.port == target.port
            client.publish("{agentnb}:t:c", "news")
            _wait_for(lambda: (subscriber.get_message(timeout=1) or {}).get("data") == b"news")
            client.rpush("{agentnb}:t:list", "x")
            waiting.join(20)
            assert found == [(b"{agentnb}:t:list", b"x")]
        finally:
            cluster.move(target, source)
            waiting.join(20)
            subscriber.close()


def test_a_cluster_is_known_to_have_a_successor_before_anything_has_moved(cluster):
    """Else the breaker would keep all calls from it for longer than a failover takes."""
    with RedisClient(cluster.home.url) as client:
        assert client._manager.breaker.cooldown > 5
        client.set("{agentnb}:t:k", "v")
        assert client._manager.breaker.cooldown == 1
