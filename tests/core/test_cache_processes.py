"""Loading once in several processes, and what becomes of it when one of them dies."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from agentnb.core.errors import LoadFailed
from tests.waiting import until

_FOUR_CALLERS = """
import threading
def load():
    redis.rpush({runs!r}, os.getpid())
    {body}
def call():
    try:
        say("got", cache.get_or_set("k", load))
    except Exception as error:
        say("failed", type(error).__name__, id(error), error)
say("ready")
sys.stdin.readline()
threads = [threading.Thread(target=call) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def four_processes(caching, cache, runs, body):
    """Let four callers in each of four processes begin at once; return what each process said."""
    source = _FOUR_CALLERS.format(runs=runs, body=body)
    prefix = cache._keys.prefix
    people = [caching(source, cache._redis, prefix=prefix) for _ in range(4)]
    for one in people:
        assert one.stdout.readline() == "ready\n"
    for one in people:
        one.stdin.write("\n")
        one.stdin.flush()
    return [one.stdout.read().splitlines() for one in people]


def runs_of(cache, name):
    return [int(raw) for raw in cache._redis.lrange(name, 0, -1)]


def test_sixteen_callers_in_four_processes_load_once(caching, cache):
    runs = cache._keys.internal("runs")
    said = four_processes(caching, cache, runs, "time.sleep(0.5); return 'value'")
    assert said == [["got value"] * 4] * 4
    assert len(runs_of(cache, runs)) == 1


def test_a_failure_is_shared_by_all_who_wait_in_whatever_process(caching, cache):
    runs = cache._keys.internal("runs")
    body = "time.sleep(0.5); raise ZeroDivisionError('no rates, postgres://u:hunter22@h/d')"
    said = [
        line.split(" ", 3) for lines in four_processes(caching, cache, runs, body) for line in lines
    ]
    assert len(runs_of(cache, runs)) == 1
    own = [words for words in said if words[1] == "ZeroDivisionError"]
    others = [words for words in said if words[1] == "LoadFailed"]
    assert (len(own), len(others)) == (4, 12)
    assert len({words[2] for words in own}) == 1
    for words in others:
        assert "ZeroDivisionError: no rates" in words[3]
        assert "hunter22" not in words[3]


def test_a_loader_whose_process_is_killed_is_replaced(caching, make_cache):
    cache = make_cache(lock_seconds=0.5)
    source = "cache.get_or_set('k', lambda: (say('loading'), time.sleep(600)))"
    victim = caching(source, cache._redis, prefix=cache._keys.prefix, lock_seconds=0.5)
    assert victim.stdout.readline() == "loading\n"
    os.kill(victim.pid, signal.SIGKILL)
    assert cache.get_or_set("k", lambda: "taken over") == "taken over"


def test_a_loader_that_slept_through_its_lock_stores_nothing(caching, make_cache):
    cache = make_cache(lock_seconds=0.5)
    source = """
def load():
    say("loading")
    sys.stdin.readline()
    return "old"
say(cache.get_or_set("k", load))
"""
    sleeper = caching(source, cache._redis, prefix=cache._keys.prefix, lock_seconds=0.5)
    assert sleeper.stdout.readline() == "loading\n"
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert cache.get_or_set("k", lambda: "new") == "new"
    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.stdin.write("\n")
    sleeper.stdin.flush()
    assert sleeper.stdout.readline() == "old\n"
    assert cache.get("k") == "new"


def test_what_another_process_invalidates_while_it_loads_is_not_stored(caching, cache):
    def load():
        other = caching("say(cache.invalidate('k*'))", cache._redis, prefix=cache._keys.prefix)
        assert other.stdout.readline() == "0\n"
        return "old"

    assert cache.get_or_set("k", load) == "old"
    assert cache.get("k") is None


def test_ctrl_c_in_a_loader_lets_another_process_load(caching, cache):
    source = """
try:
    cache.get_or_set("k", lambda: (say("loading"), time.sleep(600)))
except KeyboardInterrupt:
    say("interrupted")
"""
    other = caching(source, cache._redis, prefix=cache._keys.prefix)
    assert other.stdout.readline() == "loading\n"
    other.send_signal(signal.SIGINT)
    assert other.stdout.readline() == "interrupted\n"
    assert cache._redis.get(cache._names.lock("k")) is None
    assert cache.get_or_set("k", lambda: "loaded") == "loaded"


def test_a_failure_elsewhere_is_served_stale_if_asked_for(caching, cache):
    cache.get_or_set("k", lambda: "old", ttl=0.05, stale=60)
    until(lambda: cache.get("k") is None)
    source = "cache.get_or_set('k', lambda: (say('loading'), sys.stdin.readline(), 1 / 0))"
    other = caching(source, cache._redis, prefix=cache._keys.prefix)
    assert other.stdout.readline() == "loading\n"

    results = []

    def call(**options):
        try:
            results.append(cache.get_or_set("k", lambda: "not called", **options))
        except LoadFailed as error:
            results.append(error)

    threads = [threading.Thread(target=call), threading.Thread(target=call, kwargs={"stale": 60})]
    for thread in threads:
        thread.start()
    until(lambda: cache._loader.failures._asking.get("k") == 2)
    time.sleep(0.3)  # for both to have seen who loads
    other.stdin.write("\n")
    other.stdin.flush()
    for thread in threads:
        thread.join(30)
    assert "old" in results
    assert any(isinstance(result, LoadFailed) for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_renews_its_own_locks(make_cache):
    cache = make_cache(lock_seconds=0.3)

    def load():
        # The thread that renews runs in the parent, and not in the child.
        child = os.fork()
        if not child:
            signal.alarm(30)  # it must not outlive a test that fails
            code = 1
            try:
                cache.get_or_set("slow", lambda: (time.sleep(1.5), "the child's")[1])
                code = 0
            finally:
                os._exit(code)
        until(lambda: cache._redis.get(cache._names.lock("slow")) is not None)
        assert cache.get_or_set("slow", lambda: "loaded again") == "the child's"
        assert os.waitpid(child, 0)[1] == 0
        return "the parent's"

    assert cache.get_or_set("k", load) == "the parent's"
