"""One public call, one span: its name, its kind and what it says of the call."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import agentnb


@pytest.fixture(scope="module")
def hub():
    # Not under pytest's folder, whose path is too long for a socket.
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-calls-", dir="/tmp") as folder,
        agentnb.connect(home=Path(folder) / "home", workspace=Path(folder) / "work") as hub,
    ):
        hub.redis.ping()
        yield hub
        hub.stop()


@pytest.fixture
def caused(hub):
    """Return what the spans of a call are: each a service and a name, a kind, its attributes."""

    def caused(call):
        with hub.tracer.span("test") as top:
            call(hub)
        return [
            (f"{one.service}.{one.name}", one.kind, one.attributes)
            for one in hub.tracer.trace(top.trace_id)
            if one is not top
        ]

    return caused


CALLS = {
    "a value that is there": (
        lambda hub: hub.cache.get("there"),
        [("cache.get", "call", {"key": "there", "hit": True})],
    ),
    "a value that is missing": (
        lambda hub: hub.cache.get("missing"),
        [("cache.get", "call", {"key": "missing", "hit": False})],
    ),
    "a value that is loaded": (
        lambda hub: hub.cache.get_or_set("loaded", lambda: 1, tags=["t"]),
        [("cache.get_or_set", "call", {"key": "loaded", "hit": False})],
    ),
    "a value that was loaded": (
        lambda hub: hub.cache.get_or_set("there", lambda: 1),
        [("cache.get_or_set", "call", {"key": "there", "hit": True})],
    ),
    "a value that is set": (
        lambda hub: hub.cache.set("set", 1, tags=["t"]),
        [("cache.set", "call", {"key": "set"})],
    ),
    "keys that are deleted": (
        lambda hub: hub.cache.delete("a", "b"),
        [("cache.delete", "call", {"keys": 2})],
    ),
    "keys that are invalidated": (
        lambda hub: hub.cache.invalidate("a*"),
        [("cache.invalidate", "call", {"pattern": "a*"})],
    ),
    "tags that are invalidated": (
        lambda hub: hub.cache.invalidate_tags("t"),
        [("cache.invalidate_tags", "call", {"tags": ("t",)})],
    ),
    "a table of keys": (
        lambda hub: hub.cache.inspect.table(),
        [("cache.list", "call", {"pattern": "*"})],
    ),
}


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_a_public_call_is_one_span(hub, caused, call, expected):
    hub.cache.set("there", 1)
    assert caused(call) == expected


def test_a_loader_s_calls_are_spans_below_that_of_the_cache(hub, caused):
    hub.cache.delete("above")
    found = caused(lambda hub: hub.cache.get_or_set("above", lambda: hub.cache.get("below")))
    assert [name for name, *_ in found] == ["cache.get_or_set", "cache.get"]


def test_a_script_that_the_server_does_not_know_is_one_span_and_no_error(hub):
    from agentnb.core.redis import Script

    script = Script("return {'test of a script', ARGV[1]}")
    with hub.tracer.span("test") as top:
        for _ in range(2):
            assert script.run(hub.redis, [], ["x"]) == [b"test of a script", b"x"]
    spans = [one for one in hub.tracer.trace(top.trace_id) if one is not top]
    assert [(one.name, one.outcome, one.attempt) for one in spans] == [("EVALSHA", "ok", 1)] * 2
