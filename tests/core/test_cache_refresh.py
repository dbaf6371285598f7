"""When a value is loaded again, and what is served while that fails."""

from __future__ import annotations

import threading
import time

import pytest


def test_jitter_spreads_what_was_stored_together(cache):
    for n in range(20):
        cache.get_or_set(f"k{n}", lambda: 1, ttl=1000, jitter=0.5)
    ends = [cache.ttl(f"k{n}") for n in range(20)]
    assert all(490 < end <= 1000 for end in ends)
    assert max(ends) - min(ends) > 50


def test_one_refreshes_early_while_the_others_get_the_current_value(cache, together):
    cache.set("k", "current", ttl=60)
    inside, go_on = threading.Event(), threading.Event()

    def load():
        inside.set()
        go_on.wait(30)
        return "fresh"

    # So early that every look finds it due, nearly.
    first = []
    one = threading.Thread(
        target=lambda: first.append(cache.get_or_set("k", load, ttl=60, early=10**8))
    )
    one.start()
    assert inside.wait(30)
    others, errors = together(8, lambda: cache.get_or_set("k", load, ttl=60, early=10**8))
    assert (others, errors) == (["current"] * 8, [])
    go_on.set()
    one.join(30)
    assert first == ["fresh"]
    assert cache.get("k") == "fresh"


def test_a_value_far_from_its_end_is_not_refreshed(cache):
    cache.set("k", "current", ttl=60)
    assert cache.get_or_set("k", lambda: "fresh", early=1) == "current"


def test_an_early_refresh_that_fails_leaves_the_current_value(cache, caplog):
    cache.set("k", "current", ttl=60)
    assert cache.get_or_set("k", lambda: 1 / 0, early=10**8) == "current"
    assert "its loader failed" in caplog.text


def test_a_stale_value_is_served_while_the_source_fails_if_asked_for(cache, caplog):
    assert cache.get_or_set("k", lambda: "old", ttl=0.05, stale=60) == "old"
    while cache.get("k") is not None:
        time.sleep(0.01)
    assert cache.get_or_set("k", lambda: 1 / 0, stale=60) == "old"
    assert "its loader failed" in caplog.text
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("k", lambda: 1 / 0)
    assert cache.get_or_set("k", lambda: "new", stale=60) == "new"


def test_what_was_invalidated_is_not_served_stale(cache):
    cache.get_or_set("k", lambda: "old", ttl=0.05, stale=60)
    while cache.get("k") is not None:
        time.sleep(0.01)
    cache.invalidate("k*")
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("k", lambda: 1 / 0, stale=60)
