"""A Node service with an event bus of the same kind talks with us, both ways."""

from __future__ import annotations

import pytest

VALUES = [{"a": [1, None, {"b": 1.5}]}, {}, [1, "two"], [], "text", "", "123", 0, None, True, "🦀"]


@pytest.fixture
def bus(make_bus, shared_redis):
    """Return a bus of bare names on an empty server."""
    shared_redis.flushall()
    yield make_bus(prefix="")
    shared_redis.flushall()


@pytest.fixture
def service(neighbour, shared_redis):
    return neighbour("event_bus.mjs", shared_redis)


def _without(value):
    return {k: v for k, v in value.items() if k != "_agentnb"} if isinstance(value, dict) else value


def test_what_we_publish_the_neighbour_receives(bus, service, until):
    service.listen("agent.done")
    for value in VALUES:
        bus.publish("agent.done", value)
    bus.publish("agent.done", [2], durable=False)
    got = until(lambda: len(found := service.got()) == len(VALUES) + 1 and found)
    assert [_without(value) for _, value in got] == [*VALUES, [2]]
    assert got[0][1]["_agentnb"]["source"] == bus.source
    assert service.errors() == []


def test_what_the_neighbour_publishes_we_receive(bus, service, until):
    got, all_of_it = [], []
    bus.subscribe("workflow.created", got.append)
    bus.subscribe("*", all_of_it.append)
    for value in VALUES:
        service.publish("workflow.created", value)
    until(lambda: len(got) == len(all_of_it) == len(VALUES))
    assert [event.data for event in got] == [event.data for event in all_of_it] == VALUES
    assert {(event.id, event.source) for event in got} == {("", "")}


def test_ours_and_theirs_are_each_received_once(make_bus, bus, service, until):
    other = make_bus(prefix="")
    service.listen("c")
    got = {"bus": [], "other": [], "pattern": []}
    bus.subscribe("c", got["bus"].append)
    other.subscribe("c", got["other"].append)
    other.subscribe("?", got["pattern"].append)
    for n in range(30):
        bus.publish("c", n)
        service.publish("c", n)
        service.publish("c", n)
        bus.publish("c", {"n": n})
        service.publish("c", {"n": n})
    bus.publish("c", "end")
    for found in got.values():
        until(lambda found=found: len(found) == 151)
        values = sorted(str(event.data) for event in found)
        assert values == sorted(
            ["end", *[str(n) for n in range(30)] * 3, *[str({"n": n}) for n in range(30)] * 2]
        )
    # It has what it published itself twice, once by way of the server, as it always has.
    assert len(service.got()) == 61 + 2 * 90
    assert bus.dead_letters() == []


def test_what_the_neighbour_passes_on_is_an_event_of_its_own(bus, service, until):
    service.echo("in", "out")
    got = []
    bus.subscribe("out", got.append)
    sent = bus.publish("in", {"a": 1})
    [event] = until(lambda: got)
    assert event.data == {"a": 1}
    assert event.id != sent.id


def test_nothing_arrives_after_unsubscribing_on_either_side(bus, service, until):
    got = []
    bus.subscribe("c", got.append)
    bus.subscribe("d", got.append)
    service.listen("c")
    bus.unsubscribe("c")
    service.unsubscribe("c")
    service.publish("c", 1)
    service.publish("d", 2)
    until(lambda: got)
    assert [event.data for event in got] == [2]
    bus.publish("c", 3)
    assert service.got() == []


def test_internal_names_are_refused_for_channels(bus):
    with pytest.raises(Exception, match="agentnb's own"):
        bus.publish("{agentnb}:events", 1)
    with pytest.raises(Exception, match="agentnb's own"):
        bus.subscribe("{agentnb}:events", print)
    assert bus.subscriptions() == []
