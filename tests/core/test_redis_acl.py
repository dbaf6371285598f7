"""A user with the rights that the guide names may do all that agentnb does, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import RejectedError
from agentnb.core.redis import Keys, RedisClient
from tests.redis_servers import PROGRAMS, Server, missing

ROOT = Path(__file__).parents[2]
RULES = Keys("agentnb").rights.split()
# Commands that agentnb sends by methods of redis-py, or whose words are not all a key.
WORDS = {
    "EVAL": "return 1\n1\n{agentnb}:k",
    "EVALSHA": "e0e1f9fabfc9d4800c877a703b823ac0578ff8db\n1\n{agentnb}:k",
    "CLUSTER": "SLOTS",
    "HELLO": "3",
    "INFO": "stats",
    "PING": "",
    "PSUBSCRIBE": "{agentnb}:channel:*",
    "PUBLISH": "{agentnb}:channel:x\nv",
    "PUNSUBSCRIBE": "{agentnb}:channel:*",
    "SCAN": "0",
    "SELECT": "0",
    "SUBSCRIBE": "{agentnb}:channel:x",
    "TIME": "",
    "UNSUBSCRIBE": "{agentnb}:channel:x",
    "WAIT": "1\n1",
    "XINFO": "STREAM\n{agentnb}:k",
    "ZUNIONSTORE": "{agentnb}:k\n1\n{agentnb}:k",
}
BY_METHODS = """
    BLPOP DEL DISCARD EXEC EXISTS GET GETRANGE HDEL HEXISTS HGET HGETALL HMGET HSET INCR LPOP LPUSH
    LRANGE MGET MULTI PEXPIRE PTTL RPUSH SET SMEMBERS STRLEN TYPE UNLINK UNWATCH WATCH ZCARD ZRANGE
    ZRANK ZREM ZSCAN
"""


def commands():
    """Return the names of the commands in the code of agentnb."""
    found = {*WORDS, *BY_METHODS.split()}
    for path in (ROOT / "agentnb" / "core").rglob("*.py"):
        text = path.read_text()
        found |= {*re.findall(r"""\bcall\(['"]([A-Z]+)['"]""", text)}
        found |= {*re.findall(r"""(?:execute_command|send)\(\s*"([A-Z]+)\"""", text)}
    return sorted(found)


@pytest.fixture(scope="module", params=PROGRAMS)
def server(request, require, tmp_path_factory):
    """Return a server with a user bob, who has the rights of the guide."""
    name = request.param
    require("redis", missing(name) is None, missing(name))
    made = Server(tmp_path_factory.mktemp("acl"), program=name).start()
    made.ask("ACL", "SETUSER", "bob", "on", ">hunter22", *RULES)
    yield made
    made.close()


def url_of(server, user="bob"):
    return f"redis://{user}:hunter22@127.0.0.1:{server.port}/0"


def dry_run(server, command):
    """Return what the server says of bob's command, without running it."""
    if command in WORDS:
        words = WORDS[command].split("\n") if WORDS[command] else []
    else:
        (arity,) = (found["arity"] for found in server.ask("COMMAND", "INFO", command).values())
        words = ["{agentnb}:k"] * (abs(arity) - 1)
    return server.ask("ACL", "DRYRUN", "bob", command, *words)


def test_each_command_of_the_code_is_allowed(server):
    names = commands()
    assert len(names) > 60
    assert {name: dry_run(server, name) for name in names} == dict.fromkeys(names, b"OK")


def test_the_services_work_and_the_server_refuses_nothing(server, tmp_path, until):
    server.ask("ACL", "LOG", "RESET")
    with agentnb.connect(redis_url=url_of(server), home=tmp_path / "home") as hub:
        hub.cache.set("k", {"n": 1}, tags=["t"])
        assert hub.cache.get_or_set("other", lambda: 1, tags=["t"]) == 1
        hub.cache.invalidate_tags("t")
        assert hub.cache.get("k") is None
        assert hub.cache.inspect.server_counts() is not None
        heard = []
        hub.events.subscribe("agent.*", lambda event: heard.append(event.data))
        hub.events.publish("agent.done", 1)
        until(lambda: heard == [1])
        assert len(hub.events.history("agent.done")) == 1
        queue = hub.queue("mail")
        with queue.work(lambda job: job.log("x") or job.data):
            assert queue.add(2, delay=0.01, key="k").result(20) == 2
        queue.add(3)
        assert queue.counts()["waiting"] == 1
        assert len(queue.search("waiting").jobs) == 1
        assert all(row[2] == "ok" for row in hub.health().rows if row[0] in {"redis", "events"})
    assert server.ask("ACL", "LOG") == []


def test_keys_of_others_and_commands_of_administrators_are_not_allowed(server):
    for words in (["GET", "mine"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"]):
        assert b"no permissions" in server.ask("ACL", "DRYRUN", "bob", *words).lower()


def test_a_refusal_names_what_is_refused_and_the_rule_that_allows_it(server):
    line = f"ACL SETUSER bob {Keys('agentnb').rights}"
    with RedisClient(url_of(server)) as client:
        cases = {
            ("KEYS", "*"): ("'keys' command", "ACL SETUSER bob +keys allows it; agentnb needs "),
            ("GET", "mine"): ("NOPERM", "agentnb's keys need "),
            ("EVAL", "return redis.call('KEYS', '*')", 0): ("script", line),
            ("EVAL", "return redis.call('GET', 'mine')", 0): ("script", line),
        }
        for words, (message, hint) in cases.items():
            with pytest.raises(RejectedError) as caught:
                client.execute_command(*words)
            assert message in caught.value.message
            assert "its user bob" in caught.value.message
            assert hint in caught.value.hint
            assert line in caught.value.hint
    with (
        RedisClient(url_of(server), prefix="other") as client,
        pytest.raises(RejectedError) as caught,
    ):
        client.get("{other}:k")
    assert "~{other}:* &*" in caught.value.hint


def test_channels_that_are_not_all_allowed_are_named_with_the_rule(server, tmp_path):
    """Of a pattern the ACL wants the text itself, so that ``&{agentnb}:*`` is not enough."""
    rules = [rule for rule in RULES if rule != "&*"]
    server.ask("ACL", "SETUSER", "eve", "on", ">hunter22", *rules, "&{agentnb}:*")
    with agentnb.connect(redis_url=url_of(server, "eve"), home=tmp_path / "home") as hub:
        with pytest.raises(RejectedError, match="channel") as caught:
            hub.events.subscribe("agent.*", print)
        assert "ACL SETUSER eve &* allows all channels" in caught.value.hint
    with RedisClient(url_of(server, "eve")) as client, pytest.raises(RejectedError) as caught:
        client.publisher.publish("other", "x")
    assert "ACL SETUSER eve &*" in caught.value.hint


def test_the_guide_has_the_rules():
    text = (ROOT / "notebooks" / "guide" / "services.md").read_text()
    assert f"ACL SETUSER app on >secret {Keys('agentnb').rights}\n" in text
