"""`assert_events` and the fixture `recorded_events`: what was published, in order."""

from __future__ import annotations

import threading
import time

import pytest

import agentnb
from agentnb.core.errors import DeadlineExceeded, UsageError
from agentnb.core.redis import Keys
from agentnb.core.workflow import Task
from agentnb.testing import assert_events, record_events, run_until_idle


def test_events_are_compared_by_channel_data_and_order(hub):
    expected = [
        ("order.created", {"id": 7, "lines": [{"sku": "a"}]}),
        "order.p*",
        ("mail.sent", lambda data: data.endswith("@example.com")),
    ]
    with assert_events(hub, expected):
        hub.events.publish("order.created", {"id": 7, "lines": [{"sku": "a", "n": 1}], "at": 1})
        hub.events.publish("order.paid", {"total": 20})
        hub.events.publish("something.else", 1)
        hub.events.publish("mail.sent", "ada@example.com", durable=False)


@pytest.mark.parametrize(
    "published",
    [
        [("a", 1)],
        [("a", 1), ("b", 3)],
        [("b", 2), ("a", 1)],
        [("a", 1), ("b", 2), ("b", 2)],
        [("a", 1), ("a", 1), ("b", 2)],
        [],
    ],
    ids=["missing", "other data", "other order", "twice", "twice before", "none"],
)
def test_other_events_are_an_error(hub, published):
    with (
        pytest.raises(AssertionError, match="not the expected ones"),
        assert_events(hub, [("a", 1), ("b", 2)]),
    ):
        for channel, data in published:
            hub.events.publish(channel, data)


def test_the_error_shows_what_was_expected_beside_what_was_published(hub):
    with (
        pytest.raises(AssertionError) as caught,
        assert_events(hub, [("order.created", {"id": 7}), "order.paid", "order.sent"]),
    ):
        hub.events.publish("order.created", {"id": 7})
        hub.events.publish("order.lost", {"id": 7})
        hub.events.publish("order.sent", {"id": 8})
    assert str(caught.value).splitlines() == [
        "the events are not the expected ones (- expected, + published):",
        '    order.created {"id":7}',
        "  - order.paid",
        '    order.sent {"id":8}',
        "other channels: order.lost",
    ]
    with (
        pytest.raises(AssertionError) as caught,
        assert_events(hub, [("order.created", {"id": 7}), "order.sent"], on="order.*"),
    ):
        hub.events.publish("order.created", {"id": 8})
        hub.events.publish("order.sent")
    assert str(caught.value).splitlines()[1:] == [
        '  - order.created {"id":7}',
        '  + order.created {"id":8}',
        "    order.sent null",
    ]


def test_no_event_can_be_expected(hub):
    with assert_events(hub, [], on="mail.*"):
        hub.events.publish("order.created")
    with (
        pytest.raises(AssertionError, match=r"\+ mail.sent"),
        assert_events(hub, [], on=["mail.*"]),
    ):
        hub.events.publish("mail.sent")


def test_the_error_of_the_block_comes_first(hub):
    with pytest.raises(KeyError, match="the real one"), assert_events(hub, ["a"]):
        raise KeyError("the real one")
    assert hub.events.subscriptions() == []


def test_events_of_other_hubs_are_waited_for(hub, recorded_events):
    with agentnb.connect() as other:
        for number in range(50):
            other.events.publish("other.hub", number)
            hub.events.publish("this.hub", number)
        assert [event.data for event in recorded_events.on("other.*")] == list(range(50))
    assert [event.data for event in recorded_events.on("this.*")] == list(range(50))
    assert len(recorded_events) == 100


def test_an_event_that_is_still_on_its_way_is_waited_for(hub, recorded_events, monkeypatch):
    receiver = hub.events._receiver
    offer = receiver._offer

    def late(name, event):
        time.sleep(0.2)
        offer(name, event)

    monkeypatch.setattr(receiver, "_offer", late)
    hub.redis.publish(Keys(hub.settings.key_prefix).channel("order"), "1")
    assert recorded_events.channels == ["order"]


def test_what_handlers_publish_is_waited_for(hub, recorded_events):
    for number in range(5):
        hub.events.subscribe(
            f"step.{number}", lambda event: hub.events.publish(f"step.{event.data}", event.data + 1)
        )
    hub.events.publish("step.0", 1)
    assert recorded_events.channels == [f"step.{number}" for number in range(6)]


def test_events_of_queues_and_workflows_are_recorded(hub):
    hub.queue("mail").process(lambda _: None)
    hub.workflows.agent("plan")(lambda _: None)
    with record_events(hub) as recorded:
        hub.queue("mail").add(1)
        hub.workflows.create("one", [Task("plan")])
        run_until_idle(hub)
    assert "queue.mail.completed" in recorded.channels
    assert {"queue.mail.completed", "workflow.created", "workflow.completed"} <= {
        *recorded.channels
    }


def test_a_handler_that_hangs_is_named(hub, recorded_events):
    gate = threading.Event()

    def hang(_):
        gate.wait(30)

    hub.events.subscribe("a", hang)
    hub.events.publish("a")
    with pytest.raises(DeadlineExceeded, match="hang"):
        recorded_events.settle(timeout=0.1)
    gate.set()


def test_what_is_no_event_is_an_error(hub):
    with pytest.raises(UsageError, match="an expected event"), assert_events(hub, [7]):
        pass
