"""A Node service with a cache of the same kind shares it, both ways, under an empty prefix."""

from __future__ import annotations

import datetime as dt

import pytest

VALUES = [
    {"name": "Ada", "tags": ["x", 1, 1.5, None, True], "deep": {"a": {"b": []}}},
    *([1, "two", None], {}, [], 0, -7, 1.5, 2**53 - 1, True, False),
    *("plain text", "", "ünï 🦀", "line\nline", "nothing", "{broken", "-", "\x01odd"),
]


@pytest.fixture
def service(neighbour, shared_redis):
    return neighbour("cache_manager.mjs", shared_redis)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_we_store_the_neighbour_reads(bare, service, value):
    bare.set("k", value)
    assert service.get("k") == value
    assert service.getOrSet("k", "fetched") == value


@pytest.mark.parametrize("value", [value for value in VALUES if value != ""], ids=repr)
def test_what_the_neighbour_stores_we_read(bare, service, value):
    service.set("k", value)
    assert bare.get("k") == value
    assert type(bare.get("k")) is type(value)
    assert bare.get_or_set("k", lambda: "loaded") == value


def test_text_that_looks_like_json_is_text_to_the_neighbour_too(bare, service):
    for text in ("123", "null", "true", '{"a": 1}', "[1]", '"quoted"', " 1 ", "1e999", "NaN"):
        bare.set("k", text)
        assert service.get("k") == text


def test_null_is_kept_by_both(bare, service):
    bare.set("ours", None)
    service.set("theirs", None)
    assert service.get("ours") is None
    assert bare.get("theirs", "default") is None


def test_a_large_value_is_readable_to_the_neighbour(bare, service):
    value = {"rows": ["the same words again"] * 10_000}
    bare.get_or_set("k", lambda: value)
    assert service.get("k") == value


def test_what_one_loaded_the_other_does_not_load(bare, service):
    bare.get_or_set("a", lambda: {"by": "us"})
    assert service.getOrSet("a", {"by": "them"}) == {"by": "us"}
    service.getOrSet("b", {"by": "them"})
    assert bare.get_or_set("b", lambda: {"by": "us"}) == {"by": "them"}


def test_a_date_of_the_neighbours_is_a_datetime_where_asked_for(bare, service):
    service.set("when", "2026-01-02T03:04:05.678Z")
    when = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)
    assert bare.get("when", type=dt.datetime) == when


def test_both_keep_values_for_the_same_time(bare, service):
    bare.set("ours", 1)
    service.set("theirs", 1)
    assert 3590 < service.ttl("ours") <= 3600
    assert 3590 < bare.ttl("theirs") <= 3600
    service.set("short", 1, 60)
    assert 50 < bare.ttl("short") <= 60


def test_what_one_invalidates_is_gone_for_the_other(bare, service):
    bare.set("user:1", 1)
    service.set("user:2", 2)
    # Ours only: a pattern of ours leaves what a neighbour has stored.
    assert bare.invalidate("user:*") == 1
    assert service.get("user:1") is None
    assert service.get("user:2") == 2
    bare.set("user:3", 3)
    service.invalidate("user:*")
    assert bare.get("user:2") is None
    assert bare.get("user:3") is None
    assert bare.keys() == []
    assert bare.invalidate("*") == 0


def test_a_copy_in_this_process_follows_the_neighbour(bare, service):
    service.set("k", 1)
    for n in range(2, 30):
        assert bare.get("k", local=True) == n - 1
        service.set("k", n)
        while bare.get("k", local=True) != n:
            pass
