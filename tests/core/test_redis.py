"""The client on a server that is well."""

from __future__ import annotations

import contextlib
import gc
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest
import redis as theirs

import agentnb
from agentnb.core.errors import ConfigError, DeadlineExceeded, RejectedError, UsageError
from agentnb.core.redis import Changed, NoScript, RedisClient, Script
from agentnb.core.redis.server_paths import find_server_paths
from tests.waiting import until


@pytest.fixture(scope="module")
def own_home():
    """Return a home whose server these tests alone use, one after the other."""
    with tempfile.TemporaryDirectory(prefix="agentnb-redis-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        yield home
        until(lambda: not (home / "redis" / "running").exists())


@pytest.fixture
def client(own_home):
    with RedisClient(home=own_home) as cleaner:
        cleaner.flushall()
    with RedisClient(home=own_home) as made:
        yield made


def connections(client):
    return len(client.client_list())


def test_it_is_the_client_of_redis_py(client):
    assert isinstance(client, theirs.Redis)
    assert client.set("k", "v", ex=60)
    assert client.get("k") == b"v"
    client.hset("h", mapping={"a": 1, "b": 2})
    assert client.hgetall("h") == {b"a": b"1", b"b": b"2"}
    assert sorted(client.scan_iter("*")) == [b"h", b"k"]


def test_nothing_is_started_before_the_first_command(redis_home):
    with RedisClient(home=redis_home):
        assert not redis_home.exists()


def test_one_connection_serves_one_command_after_the_other(client):
    for _ in range(50):
        client.set("k", "v")
        client.get("k")
    assert connections(client) == 1


def test_threads_get_their_own_answers(client):
    wrong = []

    def work(number):
        for n in range(300):
            client.set(f"k{number}", n)
            if client.get(f"k{number}") != str(n).encode():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert connections(client) <= 9


def test_publisher_and_subscriber_have_connections_of_their_own(client):
    client.ping()
    client.publisher.ping()
    with client.subscriber.pubsub() as channel:
        channel.subscribe("news")
        assert channel.get_message(timeout=2)["type"] == "subscribe"
        assert connections(client) == 3
        assert client.publisher.publish("news", "hello") == 1
        assert channel.get_message(timeout=2)["data"] == b"hello"


def test_a_read_that_waits_outlives_the_time_of_a_call(client):
    quick = client.within(0.2)
    started = time.monotonic()
    assert quick.blpop("nothing", timeout=1) is None
    assert quick.xread({"log": "$"}, block=1000) == []
    assert time.monotonic() - started > 1.9


def test_a_read_that_waits_gets_what_another_thread_sends(client):
    timer = threading.Timer(0.3, client.rpush, ("jobs", "work"))
    timer.start()
    assert client.blpop("jobs", timeout=5) == (b"jobs", b"work")
    timer.join()


def test_a_pipeline_is_one_round_and_one_span(client):
    with client.pipeline(transaction=False) as pipe:
        assert pipe.set("a", 1).incr("a").get("a").execute() == [True, 2, b"2"]
    (span,) = [span for span in client._manager.tracer.recent() if span.name == "PIPELINE"]
    assert span.attributes == {"commands": 3}


def test_a_transaction_begins_again_when_a_watched_key_changes(client):
    rounds = []

    def transfer(pipe):
        balance = int(pipe.get("balance") or 0)
        if not rounds:
            client.set("balance", 100)
        rounds.append(balance)
        pipe.multi()
        pipe.set("balance", balance + 1)

    client.transaction(transfer, "balance")
    assert rounds == [0, 100]
    assert client.get("balance") == b"101"


def test_a_change_of_a_watched_key_is_told_to_those_who_do_not_begin_again(client):
    with client.pipeline() as pipe:
        pipe.watch("k")
        client.set("k", 1)
        pipe.multi()
        pipe.set("k", 2)
        with pytest.raises(Changed):
            pipe.execute()


def test_scripts_are_loaded_when_the_server_does_not_know_them(client):
    script = client.register_script("return redis.call('INCR', KEYS[1])")
    assert script(keys=["n"]) == 1
    client.script_flush()
    assert script(keys=["n"]) == 2
    with pytest.raises(NoScript) as caught:
        client.evalsha("0" * 40, 0)
    assert isinstance(caught.value, RejectedError)


def test_a_script_is_sent_once_and_again_to_a_server_that_has_forgotten_it(client):
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    sent = []

    def send(*words):
        sent.append(words[0])
        return client.execute_command(*words)

    assert [script.run_by(send, ["n"], [2]) for _ in range(3)] == [2, 4, 6]
    assert sent == ["EVALSHA", "EVAL", "EVALSHA", "EVALSHA"]
    client.script_flush()
    assert script.run(client, ["n"], [2]) == 8


def test_a_lock_of_redis_py_works(client):
    with client.lock("lock", timeout=5) as lock:
        assert lock.owned()
        assert not client.lock("lock", timeout=5).acquire(blocking=False)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda c: c.lpush("text", 1), RejectedError, "WRONGTYPE"),
        (lambda c: c.incr("text"), RejectedError, "not an integer"),
        (lambda c: c.execute_command("NOPE"), RejectedError, "unknown command"),
        (lambda c: c.set("k", object()), UsageError, "must be str"),
        (lambda c: c.pipeline().incr("text").execute(), RejectedError, "not an integer"),
        (lambda c: c.within(0), UsageError, "must be greater than 0 s, got 0"),
        (lambda c: c.client(), UsageError, "single connection"),
    ],
)
def test_a_refusal_is_an_agentnb_error_and_costs_no_connection(client, call, kind, text):
    client.set("text", "a word")
    with pytest.raises(kind, match=text) as caught:
        call(client)
    if kind is RejectedError:
        assert isinstance(caught.value.__cause__, theirs.RedisError)
    assert connections(client) == 1


def test_every_command_is_a_span_that_shows_the_key_and_no_value(client):
    client.set("name", "a secret")
    client.get("name")
    spans = client._manager.tracer.recent(2)
    assert [(s.name, s.service, s.outcome, s.attributes) for s in spans] == [
        ("SET", "redis", "ok", {"key": "name"}),
        ("GET", "redis", "ok", {"key": "name"}),
    ]


def test_a_span_never_shows_a_password(client):
    with pytest.raises(ConfigError):
        client.execute_command("AUTH", "hunter22")
    client.config_set("requirepass", "hunter22")
    assert "hunter22" not in str([span.to_dict() for span in client._manager.tracer.recent()])
    client.config_set("requirepass", "")  # the server is the next test's


def test_closing_closes_all_and_the_next_use_opens_again(client):
    client.set("k", "v")
    view, again = client.within(2), client.publisher
    view.close()
    again.close()
    assert client._manager.server.joined
    client.close()
    assert not client._manager.server.joined
    assert client.get("k") == b"v"
    assert view.get("k") == again.get("k") == b"v"


def test_a_client_that_is_forgotten_leaves_the_server(redis_home):
    client = RedisClient(home=redis_home)
    client.ping()
    server = client._manager.server
    del client
    gc.collect()
    assert not server.joined


def test_two_hubs_share_the_server_and_nothing_else(redis_home):
    with agentnb.connect(home=redis_home) as one, agentnb.connect(home=redis_home) as two:
        one.redis.set("k", "v")
        assert two.redis.get("k") == b"v"
        assert one.redis is one.redis
        assert one.redis is not two.redis
        one.close()
        assert two.redis.get("k") == b"v"


def test_a_hub_pings_what_is_open_and_closes_it(redis_home):
    with agentnb.connect(home=redis_home) as hub:
        assert hub.health().column("state") == ["not opened", "not opened"]
        client = hub.redis
        client.set("k", "v")
        assert [row[:3] for row in hub.health()] == [("redis", "embedded", "ok")]
        assert "redis" in repr(hub)
    assert not client._manager.server.joined


def test_a_hub_logs_when_it_connects(redis_home):
    with agentnb.connect(home=redis_home) as hub:
        hub.redis.ping()
    text = "".join(path.read_text() for path in (redis_home / "logs").glob("*.jsonl"))
    assert "redis connected" in text
    assert "redis disconnected" in text
    assert "redis error" not in text


def test_neither_url_nor_home_is_a_wrong_setting():
    with pytest.raises(ConfigError, match="neither"):
        RedisClient()


def test_an_embedded_server_that_hangs_is_named_in_the_error_of_its_time_out(redis_home):
    with RedisClient(home=redis_home, timeout=1) as client, contextlib.ExitStack() as stack:
        assert client.ping()
        waiting = client.subscriber  # whose connections bring the server back by themselves
        path = find_server_paths(redis_home).socket
        path.rename(path.with_suffix(".aside"))
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(path))
        listening.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:  # somebody listens, to too many
                link = stack.enter_context(socket.socket(socket.AF_UNIX))
                link.settimeout(0)
                link.connect(str(path))
        with pytest.raises(TimeoutError, match="the embedded server does not answer") as raised:
            waiting.get("k")
        assert isinstance(raised.value, DeadlineExceeded)
        path.with_suffix(".aside").replace(path)
        assert waiting.get("k") is None
