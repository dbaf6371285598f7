"""One rule for values wherever they leave the process: events, requests, WebSocket messages."""

from __future__ import annotations

import asyncio
import math

import msgspec
import pytest

import agentnb
from agentnb.core.codec import convert
from agentnb.core.errors import UsageError
from agentnb.core.workflow import Task
from tests.core.typed_cases import CASES, IDS, Model

KEPT = [(kind, value) for kind, value in CASES if kind != list[float]]
NAMES = [name for name, (kind, _) in zip(IDS, CASES, strict=True) if kind != list[float]]


def test_every_type_crosses_an_event_and_is_read_by_a_schema(make_bus, until):
    here, there = make_bus(), make_bus()
    got = {}
    for number, (kind, _) in enumerate(KEPT):

        def handle(event, number=number):
            got[number] = event.data

        there.subscribe(f"c{number}", handle, schema=kind)
    sent = [here.publish(f"c{number}", value) for number, (_, value) in enumerate(KEPT)]
    until(lambda: len(got) + len(there.dead_letters()) == len(KEPT))
    assert there.dead_letters() == []
    for number, (kind, value) in enumerate(KEPT):
        assert got[number] == value, NAMES[number]
        assert convert(sent[number].data, kind) == value, NAMES[number]


def test_a_stream_reads_a_schema_as_a_handler_does(make_bus):
    bus = make_bus()

    async def first():
        events = bus.stream("c", schema=list[Model], replay=1)
        bus.publish("c", [Model(x=4)])
        try:
            return (await anext(events)).data
        finally:
            await events.aclose()

    assert asyncio.run(first()) == [Model(x=4)]


def test_a_request_s_body_and_a_reply_have_the_same_forms(web, make_api):
    client = make_api()
    for kind, value in KEPT:
        if value is None or isinstance(value, bytes):  # no body, and a body as it is
            continue
        web.on(
            "/x", lambda handler: handler.say(200, msgspec.json.decode(handler.server.asked[-1][3]))
        )
        assert client.post("/x", value, schema=kind) == value
    with pytest.raises(UsageError, match=r"data\['rates'\]\[1\] is nan, which JSON has not"):
        client.post("/x", {"rates": [1.0, math.nan]})


def test_a_websocket_message_has_the_same_forms(make_socket):
    client = make_socket()
    client.connect()
    for kind, value in KEPT:
        client.send(value)
        assert convert(client.receive(5), kind) == value


@pytest.mark.parametrize("where", ["queue", "events", "api", "workflow", "websocket"])
def test_what_json_has_not_is_named_by_its_place_in_the_data(tmp_path, where):
    data = {"who": {"id": object()}}
    with agentnb.connect(home=tmp_path / "home", start=tmp_path) as hub:
        hub.workflows.agent("plan")(print)
        calls = {
            "queue": lambda: hub.queue("q").add(data),
            "events": lambda: hub.events.publish("a", data),
            "api": lambda: hub.api("http://127.0.0.1:1").post("/x", data),
            "workflow": lambda: hub.workflows.create("w", [Task("plan", data=data)]),
            "websocket": lambda: hub.websocket("ws://127.0.0.1:1").send(data),
        }
        with pytest.raises(UsageError) as caught:
            calls[where]()
    assert "data['who']['id'] is of type object, which JSON has not" in caught.value.message
    assert "give data['who']['id'] as text, such as str(value)" in caught.value.hint
