"""Finding and removing keys: many, by tag, and never a stranger's."""

from __future__ import annotations

import re
import time

import pytest

from agentnb.core.cache.names import Names


@pytest.fixture
def commands(shared_redis):
    """Return what counts how often each command was called since it was last asked."""

    def count():
        stats = shared_redis.info("commandstats")
        shared_redis.config_resetstat()
        return {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}

    count()
    return count


def test_keys_are_found_by_pattern_sorted_and_up_to_a_limit(cache):
    for name in ("user:2", "user:1", "user:10", "task:1"):
        cache.set(name, 1)
    assert cache.keys() == ["task:1", "user:1", "user:10", "user:2"]
    assert cache.keys("user:?") == ["user:1", "user:2"]
    assert cache.keys("[tu]*:1") == ["task:1", "user:1"]
    assert cache.keys("\\*") == []
    assert len(cache.keys(limit=2)) == 2


def test_a_prefix_with_characters_of_patterns_matches_only_itself(make_cache):
    odd, plain = make_cache(prefix="a*[b]?"), make_cache(prefix="axb1")
    odd.set("k", 1)
    plain.set("k", 2)
    assert odd.keys() == ["k"]
    assert odd.invalidate("*") == 1
    assert plain.get("k") == 2
    plain.delete("k")


def test_invalidating_10_000_of_100_000_goes_in_small_steps(cache, shared_redis, commands):
    with shared_redis.pipeline(transaction=False) as pipe:
        for n in range(100_000):
            name = f"old:{n}" if n % 10 == 0 else f"new:{n}"
            pipe.set(cache._keys.cache(name), "1", px=60_000)
        pipe.execute()
    commands()
    assert cache.invalidate("old:*") == 10_000
    used = commands()
    assert "keys" not in used
    assert "del" not in used
    assert used["scan"] >= 100
    assert used["unlink"] >= 20
    assert sum(1 for _ in cache._names.matching("*")) == 90_000
    assert cache.invalidate("*") == 90_000


def test_no_step_removes_more_than_500(cache, shared_redis):
    shared_redis.config_set("slowlog-log-slower-than", 0)
    shared_redis.config_set("slowlog-max-len", 10_000)
    for n in range(1200):
        cache.set(f"k{n}", 1, tags=["all"])
    shared_redis.slowlog_reset()
    assert cache.invalidate("k*") == 1200
    lines = [entry["command"] for entry in shared_redis.slowlog_get(10_000)]
    shared_redis.config_set("slowlog-log-slower-than", 10_000)
    unlinks = [line for line in lines if line.startswith(b"UNLINK")]
    assert len(unlinks) >= 3
    for line in unlinks:
        more = re.search(rb"\((\d+) more arguments\)", line)
        assert int(more[1]) < 1000 if more else True  # a lock and a copy for each key


def test_tags_remove_what_was_stored_with_any_of_them(cache):
    cache.set("a", 1, tags=["x"])
    cache.set("b", 1, tags=["x", "y"])
    cache.get_or_set("c", lambda: 1, tags=["y"])
    cache.set("d", 1)
    assert cache.invalidate_tags("y") == 2
    assert cache.keys() == ["a", "d"]
    assert cache.invalidate_tags("x", "y", "unknown") == 1
    assert cache.invalidate_tags() == 0
    assert cache.keys() == ["d"]


def test_a_tag_of_many_keys_is_removed_in_small_steps(cache, commands):
    for n in range(1200):
        cache.set(f"k{n}", 1, tags=["all"])
    commands()
    assert cache.invalidate_tags("all") == 1200
    assert commands()["spop"] >= 3
    assert cache.keys() == []


def test_a_tag_lives_as_long_as_its_longest_key(cache, shared_redis):
    cache.set("long", 1, ttl=1000, tags=["t"])
    cache.set("short", 1, ttl=10, tags=["t"])
    assert shared_redis.ttl(cache._names.tag("t")) > 900


def test_nothing_is_left_behind_on_the_server(make_cache, shared_redis):
    cache = make_cache(prefix="left", lock_seconds=0.05)
    cache.get_or_set("k", lambda: 1, ttl=0.1, stale=0.1)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("f", lambda: 1 / 0)
    until = time.monotonic() + 20
    while list(shared_redis.scan_iter("{left}*", count=10_000)):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_bare_names_stand_in_the_form_that_others_read(bare, shared_redis):
    bare.set("user:1", {"name": "Ada"})
    bare.set("word", "text")
    assert shared_redis.get("user:1") == b'{"name":"Ada"}'
    assert shared_redis.get("word") == b"text"
    assert 3590 < shared_redis.ttl("word") <= 3600


def test_with_bare_names_a_pattern_never_touches_a_strangers_key(bare, shared_redis):
    shared_redis.set("user:stranger", "1")
    shared_redis.set("bull:mail:1", "job")
    shared_redis.set("{agentnb}:queue:x", "internal")
    bare.set("user:1", 1)
    bare.get_or_set("user:2", lambda: 2, tags=["t"])
    assert bare.keys() == ["user:1", "user:2"]
    assert bare.stats()[0].keys == 2
    assert bare.invalidate("user:1") == 1
    assert bare.invalidate("*") == 1
    left = set(shared_redis.scan_iter("*", count=10_000))
    assert {b"user:stranger", b"bull:mail:1", b"{agentnb}:queue:x"} <= left
    assert not {b"user:1", b"user:2"} & left


def test_with_bare_names_a_key_that_a_stranger_took_after_its_end_is_theirs(bare, shared_redis):
    bare.set("k", "ours", ttl=0.05, tags=["t"])
    bare.set("long", "ours", ttl=60, tags=["t"])
    while shared_redis.exists("k"):
        time.sleep(0.01)
    time.sleep(0.01)
    shared_redis.set("k", "theirs")
    assert bare.keys() == ["long"]
    assert bare.invalidate_tags("t") == 1
    assert bare.invalidate("*") == 0
    assert shared_redis.get("k") == b"theirs"


def test_with_bare_names_a_shorter_time_to_live_counts(bare, shared_redis):
    bare.set("k", 1, ttl=600)
    bare.set("k", 1, ttl=0.05)
    while shared_redis.exists("k"):
        time.sleep(0.01)
    time.sleep(0.01)
    shared_redis.set("k", "theirs")
    bare.set("other", 1)
    assert bare.invalidate("*") == 1
    assert shared_redis.get("k") == b"theirs"


def test_with_bare_names_what_a_neighbour_deleted_is_not_listed(bare, shared_redis):
    bare.set("a", 1)
    bare.set("b", 1)
    shared_redis.delete("a")
    assert bare.keys() == ["b"]
    assert bare.invalidate("*") == 1


def test_with_bare_names_many_are_removed_in_small_steps(bare, commands):
    for n in range(1200):
        bare.set(f"k{n}", 1)
    commands()
    assert bare.invalidate("k*") == 1200
    used = commands()
    assert "keys" not in used
    assert used["unlink"] >= 3
    assert bare.keys() == []


def test_with_bare_names_a_running_loader_is_reached_too(bare):
    assert bare.get_or_set("k", lambda: (bare.invalidate("k*"), "old")[1]) == "old"
    assert bare.get("k") is None


def test_names_that_are_internal_are_refused(bare):
    from agentnb.core.errors import UsageError

    with pytest.raises(UsageError, match="agentnb's own"):
        bare.set("{agentnb}:cache-lock:k", 1)


def test_names_of_keys_that_are_no_text_can_be_removed(cache, shared_redis):
    shared_redis.set(cache._keys.cache("").encode() + b"caf\xe9", "1")
    assert isinstance(cache._names, Names)
    assert cache.keys() == ["caf\udce9"]
    assert cache.invalidate("*") == 1
