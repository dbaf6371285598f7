"""Events: published, received once and in order, kept, looked back at."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import threading
import time
from typing import TypedDict

import msgspec
import pytest

from agentnb.core.errors import DeadlineExceeded, NotFoundError, UsageError
from agentnb.core.events import Event, EventBus
from agentnb.core.trace import start_trace

VALUES = [{"a": 1, "deep": {"b": [None, 1.5]}}, {}, [1, "two"], "text", 0, None, True, "ünï 🦀"]


def test_an_event_reaches_handlers_here_and_elsewhere_once(make_bus, until):
    here, there = make_bus(), make_bus()
    got_here, got_there = [], []
    here.subscribe("agent.*", got_here.append)
    there.subscribe("agent.*", got_there.append)
    sent = [here.publish("agent.done", value) for value in VALUES]
    here.publish("other", "not for these")
    here.publish("agent.last")
    until(lambda: got_there and got_there[-1].channel == "agent.last")
    until(lambda: got_here and got_here[-1].channel == "agent.last")
    for got in (got_here, got_there):
        assert [event.data for event in got[:-1]] == VALUES
        assert [event.id for event in got[:-1]] == [event.id for event in sent]
        assert {event.source for event in got} == {here.source}
    assert len({event.id for event in sent}) == len(sent)
    assert not any(event.pending for event in sent)


def test_an_event_says_when_where_and_in_which_trace_it_was_published(make_bus, until):
    here, there = make_bus(), make_bus()
    got = []
    there.subscribe("c", got.append)
    place = start_trace(correlation_id="order 17")
    sent = here.publish("c", 1)
    [event] = until(lambda: got)
    assert event.trace_id == place.trace_id == sent.trace_id
    assert event.correlation_id == "order 17"
    assert abs((event.time - dt.datetime.now(dt.UTC)).total_seconds()) < 5
    assert event.time.tzinfo is dt.UTC
    assert event.place == sent.place
    assert here.publish("c", 1, correlation_id="own").correlation_id == "own"


def test_a_handler_runs_in_the_trace_of_its_event(make_bus, until):
    here, there = make_bus(), make_bus()
    sent = []

    def answer(event):
        sent.append(there.publish("answer", event.data + 1))

    there.subscribe("question", answer)
    place = start_trace(correlation_id="chat 3")
    assert here.publish("question", 1).trace_id == place.trace_id
    until(lambda: sent)
    assert sent[0].trace_id == place.trace_id
    assert sent[0].correlation_id == "chat 3"
    handled = [span for span in there._tracer.recent(100) if span.name == "handle"]
    assert handled[-1].trace_id == place.trace_id


def test_handlers_cannot_change_what_the_others_see(bus, until):
    got = []

    def change(event):
        event.data["a"] = "changed"
        got.append(event)

    bus.subscribe("c", change)
    bus.subscribe("c", change)
    data = {"a": 1}
    event = bus.publish("c", data)
    until(lambda: len(got) == 2)
    assert data == {"a": 1}
    assert event.data == {"a": 1}


def test_patterns_match_as_the_server_matches(make_bus, until):
    here, there = make_bus(), make_bus()
    patterns = ["a.*", "a.?", "a.[bc]", "a.[^b]", "[a-c].b", r"a\\.b", "a.b", "*"]
    channels = ["a.b", "a.c", "a.bb", "b.b", "d.b", "ä.b", "a.", "a\\.b"]
    ours, theirs = [], []
    for pattern in patterns:
        here.subscribe(pattern, lambda event, p=pattern: ours.append((p, event.channel)))
        there.subscribe(pattern, lambda event, p=pattern: theirs.append((p, event.channel)))
    for channel in channels:
        here.publish(channel)
    here.publish("end")
    until(lambda: ("*", "end") in theirs and ("*", "end") in ours)
    until(lambda: sorted(ours) == sorted(theirs))  # each subscription has a thread of its own
    assert ("a.[^b]", "a.c") in ours
    assert ("a.[^b]", "a.b") not in ours


def test_two_prefixes_do_not_hear_each_other(make_bus, until):
    one, other = make_bus(prefix="one"), make_bus(prefix="other")
    got = []
    other.subscribe("*", got.append)
    one.publish("c", 1)
    other.publish("c", 2)
    until(lambda: got)
    assert [event.data for event in got] == [2]
    assert [event.data for event in one.history()] == [1]


def test_async_handlers_are_awaited_one_event_after_the_other(bus, until):
    got = []

    async def handle(event):
        await asyncio.sleep(0.02 if event.data == 0 else 0)
        got.append(event.data)

    bus.subscribe("c", handle)
    for n in range(5):
        bus.publish("c", n)
    until(lambda: len(got) == 5)
    assert got == [0, 1, 2, 3, 4]


def test_events_come_to_an_async_for(make_bus):
    here, there = make_bus(), make_bus()

    async def read(bus, name):
        found, reading = [], threading.Event()
        stream = bus.stream(f"{name}.*")

        def publish():
            while not reading.wait(0.02):  # a stream has what comes after its first step
                here.publish(f"{name}.first")
            for n in range(50):
                here.publish(f"{name}.{n}", n)

        threading.Thread(target=publish).start()
        async for event in stream:
            reading.set()
            if event.data is not None:
                found.append(event.data)
            if event.data == 49:
                break
        await stream.aclose()
        return found

    for bus, name in ((here, "near"), (there, "far")):  # what is late of one is none of the other's
        assert asyncio.run(read(bus, name)) == list(range(50))
        assert bus.subscriptions() == []


def test_waiting_for_an_event(make_bus):
    here, there = make_bus(), make_bus()
    threading.Timer(0.5, lambda: here.publish("ready.now", "yes")).start()
    assert there.wait_for("ready.*", timeout=30).data == "yes"
    with pytest.raises(DeadlineExceeded, match=r"no event on never within 0\.05 s"):
        there.wait_for("never", timeout=0.05)

    async def wait():
        asyncio.get_running_loop().call_later(0.5, lambda: here.publish("ready.now", "again"))
        return await there.await_for("ready.*", 30)

    assert asyncio.run(wait()).data == "again"
    assert there.subscriptions() == []


def test_history_is_the_last_of_a_channel_or_pattern(make_bus):
    here, there = make_bus(), make_bus()
    for n in range(700):
        here.publish(f"n.{n % 2}", n)
    kept = here.publish("n.1", "kept")
    here.publish("n.1", "not kept", durable=False)
    assert [event.data for event in there.history("n.0", 3)] == [694, 696, 698]
    assert [event.data for event in there.history("n.*", 3)] == [698, 699, "kept"]
    assert len(there.history("n.*", 1000)) == 701
    assert there.history("n.1", 1)[0].id == kept.id
    after = there.history("n.*", 10, since=there.history("n.*", 3)[0].place)
    assert [event.data for event in after] == [699, "kept"]
    assert there.history("n.*", since=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)) == []
    assert len(there.history("n.0", 9, since=time.time() - 3600)) == 9


def test_a_subscription_may_begin_with_what_was_before(make_bus, until):
    here, there = make_bus(), make_bus()
    for n in range(10):
        here.publish("c", n)
    got, ours = [], []
    there.subscribe("c", got.append, replay=3)
    here.subscribe("c", ours.append, replay=3)
    here.publish("c", 10)
    until(lambda: len(got) == 4 and len(ours) == 4)
    assert [event.data for event in got] == [event.data for event in ours] == [7, 8, 9, 10]


def test_what_is_dropped_is_counted(bus, until):
    go = threading.Event()
    oldest, newest = [], []

    def keep(found):
        def handle(event):
            go.wait(10)
            found.append(event.data)

        return handle

    one = bus.subscribe("c", keep(oldest), queue=3)
    other = bus.subscribe("c", keep(newest), queue=3, overflow="drop_newest")
    bus.publish("c", 0)
    until(lambda: one.waiting == other.waiting == 0)
    for n in range(1, 10):
        bus.publish("c", n)
    go.set()
    until(lambda: len(oldest) == len(newest) == 4)
    assert (oldest, one.dropped) == ([0, 7, 8, 9], 6)
    assert (newest, other.dropped) == ([0, 1, 2, 3], 6)


def test_a_durable_subscription_reads_again_what_it_had_no_room_for(make_bus, until):
    here, there = make_bus(), make_bus()
    got, ours = [], []
    slow = there.subscribe(
        "c", lambda event: (time.sleep(0.0002), got.append(event.data)), queue=5, overflow="reread"
    )
    own = here.subscribe(
        "c", lambda event: (time.sleep(0.0002), ours.append(event.data)), queue=5, overflow="reread"
    )
    for n in range(1500):
        here.publish("c", n)
        if n % 3 == 0:
            there.publish("other", n)
    until(lambda: len(got) >= 1500 and len(ours) >= 1500, 30)
    assert got == ours == list(range(1500))
    assert slow.dropped == own.dropped == slow.gaps == own.gaps == 0


@dataclasses.dataclass
class Done:
    task: str
    seconds: float = 0.0


class DoneStruct(msgspec.Struct):
    task: str


class DoneDict(TypedDict):
    task: str


@pytest.mark.parametrize("schema", [Done, DoneStruct, DoneDict])
def test_data_is_made_of_a_schema_or_is_a_dead_letter(bus, until, schema):
    got = []
    one = bus.subscribe("c", got.append, schema=schema)
    bus.publish("c", Done("plan", 2.5))
    bus.publish("c", {"task": 7})
    until(lambda: one.failed)
    data = got[0].data
    assert (data["task"] if schema is DoneDict else data.task) == "plan"
    assert type(data) is (dict if schema is DoneDict else schema)
    [letter] = until(bus.dead_letters)
    assert "Expected `str`, got `int`" in letter.error
    assert letter.channel == "c"


def test_what_is_no_schema_is_refused(bus):
    with pytest.raises(UsageError, match="not a schema"):
        bus.subscribe("c", print, schema=lambda x: x)


def test_a_failing_handler_makes_dead_letters_and_disturbs_no_other(bus, until, caplog):
    got = []

    def fail(event):
        raise ZeroDivisionError(f"at {event.data}, with password=hunter22")

    bus.subscribe("c", fail, name="fails")
    bus.subscribe("c", got.append)
    sent = [bus.publish("c", n) for n in range(3)]
    until(lambda: len(got) == 3)
    letters = until(lambda: len(found := bus.dead_letters()) == 3 and found)
    assert [letter.error[:23] for letter in letters[:1]] == ["ZeroDivisionError: at 2"]
    assert "hunter22" not in letters[0].error + caplog.text
    assert [letter.event_id for letter in letters] == [event.id for event in reversed(sent)]
    assert {letter.handler for letter in letters} == {"fails"}
    assert "handler fails of c failed at event" in caplog.text


def test_a_dead_letter_is_tried_again_by_its_handler_alone(bus, until):
    broken = True
    repaired, others = [], []

    def handle(event):
        if broken:
            raise RuntimeError("not yet")
        repaired.append(event)

    bus.subscribe("c", handle)
    bus.subscribe("c", others.append)
    sent = bus.publish("c", {"a": 1}, correlation_id="x")
    [letter] = until(bus.dead_letters)
    broken = False
    assert bus.replay(letter) == 1
    [event] = until(lambda: repaired)
    assert (event.data, event.id, event.correlation_id) == ({"a": 1}, sent.id, "x")
    assert len(until(lambda: others)) == 1
    until(lambda: bus.dead_letters() == [])  # once the handler has returned
    with pytest.raises(NotFoundError):
        bus.replay(letter)


def test_a_dead_letter_of_a_handler_that_is_gone_is_published_anew(make_bus, until):
    here, there = make_bus(), make_bus()

    def fail(_):
        raise RuntimeError("never")

    with here.subscribe("c", fail):
        here.publish("c", [1])
        [letter] = until(here.dead_letters)
    got = []
    there.subscribe("c", got.append)
    assert here.replay(letter.place) == 0
    assert until(lambda: got)[0].data == [1]


def test_malformed_messages_are_dead_letters_and_never_fatal(make_bus, shared_redis, until, caplog):
    bus, other = make_bus(), make_bus()
    got = []
    bus.subscribe("c", got.append)
    channel = bus._keys.channel("c")
    for message in (b"{broken", b"\xff\xfe", b"", b"[" * 5000):
        shared_redis.publish(channel, message)
    shared_redis.publish(channel, b'{"_agentnb": 5}')
    other.publish("c", "after")
    until(lambda: got and got[-1].data == "after")
    assert [event.data for event in got] == [{}, "after"]
    letters = bus.dead_letters()
    assert [letter.handler for letter in letters] == [""] * 4
    assert letters[-1].message == b"{broken"
    assert "failed to parse event on c" in caplog.text
    with pytest.raises(UsageError, match="cannot be decoded"):
        bus.replay(letters[0])
    assert bus.discard(*letters) == 4


def test_what_a_program_without_envelopes_publishes_is_data(make_bus, shared_redis, until):
    bus = make_bus()
    got = []
    bus.subscribe("c", got.append)
    shared_redis.publish(bus._keys.channel("c"), '{"task": 1}')
    [event] = until(lambda: got)
    assert (event.data, event.id, event.source, event.trace_id) == ({"task": 1}, "", "", None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([1, object()], r"data\[1\] is of type object"),
        (float("nan"), "data is nan"),
        ({"a": [1.0, float("inf"), None]}, r"data\['a'\]\[1\] is inf"),
        (Done("x", float("nan")), "data.seconds is nan"),
        ({"_agentnb": 1}, "reserved for the envelope"),
        ("x" * 10_000_000, "takes 10,000,002 bytes; 1,048,576 are allowed"),
    ],
    ids=["no json", "nan", "infinity", "nan within", "our key", "10 MB"],
)
def test_data_that_cannot_be_published_is_refused(bus, data, words):
    got = []
    bus.subscribe("c", got.append)
    with pytest.raises(UsageError, match=words):
        bus.publish("c", data)
    assert bus.publish("c", {"null": None, "text": 'a "_agentnb" in a text'}).pending is False
    assert len(bus.history("c")) == 1


def test_calls_that_make_no_sense_are_refused(bus):
    for channel in ("", None, 5, b"c"):
        with pytest.raises(UsageError, match="channel must be text"):
            bus.publish(channel, 1)
    with pytest.raises(UsageError, match="handler must be a function"):
        bus.subscribe("c", "handler")
    with pytest.raises(UsageError, match="overflow must be drop_oldest, drop_newest or reread"):
        bus.subscribe("c", print, overflow="drop")
    assert bus.subscriptions() == []


CALLS = {
    "replay": lambda bus, value: bus.subscribe("c", print, replay=value),
    "queue": lambda bus, value: bus.subscribe("c", print, queue=value),
    "queue of a stream": lambda bus, value: bus.stream("c", queue=value),
    "n": lambda bus, value: bus.history("c", n=value),
    "n of letters": lambda bus, value: bus.dead_letters(n=value),
    "timeout": lambda bus, value: bus.wait_for("c", timeout=value),
    "timeout of a coroutine": lambda bus, value: asyncio.run(bus.await_for("c", timeout=value)),
    "timeout of a flush": lambda bus, value: bus.flush(timeout=value),
    "timeout of the end": lambda bus, value: bus.close(timeout=value),
}


@pytest.mark.parametrize("value", [-1, "5", None, float("nan"), True, []], ids=repr)
@pytest.mark.parametrize("call", CALLS)
def test_a_number_out_of_its_range_is_refused(bus, call, value):
    name = call.partition(" ")[0]
    with pytest.raises(UsageError, match=rf"^{name} must be (0|0 s|1) or more, got "):
        CALLS[call](bus, value)
    assert bus.subscriptions() == []


@pytest.mark.parametrize("option", ["log_size", "outbox_size", "payload"])
@pytest.mark.parametrize("value", [0, -1, "5", None, 1.5])
def test_a_size_out_of_its_range_is_refused(make_bus, option, value):
    with pytest.raises(UsageError, match=f"{option} must be 1 or more, got "):
        make_bus(**{option: value})


def test_a_channel_that_cannot_be_sent_is_refused(bus):
    for call in (bus.history, bus.wait_for, lambda name: bus.publish(name, 1), bus.stream):
        for channel in ("", None, 5, b"c", "\ud800"):
            with pytest.raises(UsageError, match=r"^channel must be "):
                call(channel)


def test_no_events_at_all_may_be_asked_for_and_no_time_given(bus):
    bus.publish("c", 1)
    assert (bus.history("c", n=0), bus.dead_letters(n=0)) == ([], [])
    assert len(bus.history("c", n=1)) == 1
    with pytest.raises(DeadlineExceeded, match="within 0 s"):
        bus.wait_for("c", timeout=0)
    with pytest.raises(DeadlineExceeded, match="within 0 s"):
        asyncio.run(bus.await_for("c", timeout=0))


def test_unsubscribing_from_a_channel_removes_all_its_handlers(make_bus, until):
    here, there = make_bus(), make_bus()
    got = []
    for _ in range(2):
        there.subscribe("c", got.append)
    there.subscribe("*", lambda _: got.append("other"))
    assert there.unsubscribe("c") == 2
    here.publish("c", 1)
    until(lambda: got)
    assert got == ["other"]
    assert there.unsubscribe("c") == 0
    assert [one.pattern for one in there.subscriptions()] == ["*"]


def test_a_handler_whose_name_is_deleted_goes_on(bus, until):
    got = []

    def handle(event):
        got.append(event.data)

    bus.subscribe("c", handle)
    del handle
    bus.publish("c", 1)
    until(lambda: got == [1])


def test_a_handler_may_unsubscribe_itself_and_drops_what_waits(bus, until):
    got = []
    go = threading.Event()

    def once(event):
        go.wait(10)
        got.append(event.data)
        one.close()

    one = bus.subscribe("c", once)
    for n in range(5):
        bus.publish("c", n)
    go.set()
    until(lambda: one.state == "closed")
    assert one._delivery.join(30)
    assert got == [0]
    assert one.state == "closed"


def test_a_handler_that_hangs_delays_no_other_and_is_named(make_bus, until, caplog):
    bus = make_bus()
    got = []
    go = threading.Event()

    def hang(_):
        go.wait(30)

    async def hang_too(_):
        await asyncio.sleep(30)

    stuck = bus.subscribe("c", hang)
    bus.subscribe("c", hang_too)
    bus.subscribe("c", got.append)
    for n in range(10):
        bus.publish("c", n)
    until(lambda: len(got) == 10)
    until(lambda: stuck.busy_for > 0)
    began = time.monotonic()
    bus.close(1.0)
    assert time.monotonic() - began < 8
    assert ".hang still handles an event on c" in caplog.text
    go.set()
    assert stuck._delivery.join(30)


def test_a_hundred_subscribers_each_get_everything(make_bus, until):
    here, there = make_bus(), make_bus()
    found = [[] for _ in range(100)]
    for n, got in enumerate(found):
        there.subscribe("c.*" if n % 2 else "c.x", got.append)
    for n in range(50):
        here.publish("c.x", n)
    until(lambda: all(len(got) == 50 for got in found), 30)
    assert all([event.data for event in got] == list(range(50)) for got in found)


def test_publish_and_subscribe_are_logged_at_debug(bus, caplog):
    caplog.set_level(logging.DEBUG, "agentnb.events")
    one = bus.subscribe("c", print)
    event = bus.publish("d", 1)
    one.close()
    for line in ("subscribed to channel: c", f"event published: d {event.id}", "unsubscribed from"):
        assert line in caplog.text


def test_a_closed_bus_says_so(make_bus):
    bus = make_bus()
    bus.close()
    bus.close()
    with pytest.raises(UsageError, match="closed"):
        bus.publish("c", 1)


def test_the_threads_of_a_bus_end_with_it(shared_redis, until):
    before = set(threading.enumerate())
    with EventBus(shared_redis, prefix="threads") as bus:
        bus.subscribe("c", lambda _: None)
        bus.publish("c", 1)
    until(lambda: set(threading.enumerate()) <= before)


def test_a_script_of_somebody_elses_publishes_inside_what_it_does(make_bus, shared_redis, until):
    from agentnb.core.events import PUBLISH_FUNCTION, Attachment

    here, there = make_bus(), make_bus()
    got_here, got_there = [], []
    here.subscribe("job.*", got_here.append)
    there.subscribe("job.*", got_there.append)
    script = (
        PUBLISH_FUNCTION
        + """
        redis.call('SET', KEYS[1], 'done')
        return agentnb_publish(KEYS[2], unpack(ARGV))
    """
    )
    key = here._keys.internal("job")
    for data in ({"n": 1}, [1], None):
        made = here.attachment("job.done", data)
        assert len(made.args) == Attachment.ARGS
        place = shared_redis.eval(script, 2, key, *made.keys, *made.args)
        made.delivered(place)
        assert made.event.place == place.decode()
    until(lambda: len(got_there) == 3 and len(got_here) == 3)
    # One that is never delivered arrives by way of the server.
    lost = here.attachment("job.done", "interrupted")
    place = shared_redis.eval(script, 2, key, *lost.keys, *lost.args)
    until(lambda: len(got_there) == 4 and len(got_here) == 4)
    lost.delivered(place)
    here.publish("job.end")
    until(lambda: got_here[-1].channel == "job.end")
    assert [event.data for event in got_here] == [{"n": 1}, [1], None, "interrupted", None]
    assert [event.data for event in there.history("job.done")] == [
        {"n": 1},
        [1],
        None,
        "interrupted",
    ]


def test_an_event_shows_what_it_is():
    event = Event("1", "c", b'{"a":1}')
    assert repr(event) == "Event('c', {'a': 1})"
    event.pending = True
    assert "pending=True" in repr(event)
    assert event.envelope()["data"] == {"a": 1}
