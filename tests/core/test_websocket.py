"""The client against a real server: what it sends, hears and tells."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import threading

import pytest

from agentnb.core.errors import DeadlineExceeded, RejectedError, UnavailableError, UsageError
from agentnb.core.runtime import Runtime
from agentnb.core.trace import Tracer, current, start_trace
from agentnb.core.websocket import WebSocketClient, WebSockets


def test_what_is_sent_comes_back_equal(make_socket):
    client = make_socket()
    values = [{"a": [1, None, {"b": 1.5}]}, [], "text", "🦀", 0, None, True, 2**53]
    assert client.connect()
    for value in values:
        assert client.send(value) is True
    assert [client.receive(5) for _ in values] == values
    stats = client.stats()
    assert (stats["state"], stats["connects"], stats["received"]) == ("connected", 1, len(values))


@pytest.mark.parametrize("value", [{(1, 2): 2}, math.nan, object(), {"a": [1.0, math.inf]}])
def test_a_message_without_a_json_form_is_refused(make_socket, value):
    client = make_socket()
    client.connect()
    with pytest.raises(UsageError):
        client.send(value)
    assert client.send("still here")
    assert client.receive(5) == "still here"


def test_handlers_are_told_in_order_and_may_be_coroutine_functions(make_socket, until):
    client, told = make_socket(), []

    @client.on("connected")
    def connected():
        told.append("connected")
        client.send({"n": 1})

    @client.on("message")
    async def message(value):
        await asyncio.sleep(0)
        told.append(value)

    assert client.on("disconnected", lambda: told.append("disconnected")) is client
    assert connected.__name__ == "connected"
    client.connect()
    until(lambda: len(told) == 2)
    client.disconnect()
    assert told == ["connected", {"n": 1}, "disconnected"]
    assert client.state == "closed"


def test_a_handler_may_send_disconnect_and_be_removed(make_socket, until):
    client, told = make_socket(), []

    def answer(value):
        told.append(value)
        client.disconnect() if value == "end" else client.send("end")

    client.on("message", answer)
    client.connect()
    client.send("begin")
    until(lambda: client.state == "closed")
    assert told == ["begin", "end"]
    assert client.off("message", answer)
    assert not client.off("message", answer)
    assert client.connect()
    client.send("x")
    assert client.receive(5) == "x"


def test_an_async_handler_may_disconnect(make_socket, until):
    client = make_socket()

    @client.on("message")
    async def leave(_):
        await client.asend("more")
        client.disconnect()

    client.connect()
    client.send("x")
    until(lambda: client.state == "closed")


def test_async_for_has_every_message_and_ends_with_the_client(make_socket):
    client = make_socket()
    client.connect()
    client.send("before")
    client.on("error", print)

    async def listen():
        found = []
        async for message in client:
            found.append(message)
            if message == "before":
                assert await client.asend("during")
            else:
                await client.adisconnect()
        return found

    assert asyncio.run(listen()) == ["before", "during"]


def test_async_for_connects_by_itself_and_a_loop_that_is_left_leaves_nothing(make_socket):
    client = make_socket("/headers")

    async def first():
        async for message in client:
            return message
        return None

    assert "Host" in asyncio.run(first())
    gc.collect()
    client.send("kept for whoever asks")
    assert client.receive(5) == "kept for whoever asks"


def test_async_for_raises_where_the_server_refuses(make_socket):
    client = make_socket("/status?code=403")

    async def listen():
        async for _ in client:
            pass

    with pytest.raises(RejectedError, match="403"):
        asyncio.run(listen())


def test_messages_wait_for_the_first_handler(make_socket, until):
    client, told = make_socket(), []
    client.connect()
    for n in range(3):
        client.send(n)
    until(lambda: client.stats()["waiting"] == 3)
    client.on("message", told.append)
    client.send(3)
    until(lambda: told == [0, 1, 2, 3])
    with pytest.raises(UsageError, match="go to the handlers"):
        client.receive()


def test_not_connected_send_is_false_and_warns_once_each(make_socket, caplog):
    client = make_socket()
    caplog.set_level(logging.WARNING, "agentnb.websocket")
    assert client.send({"a": 1}) is False
    assert "WebSocket not connected, message not sent" in caplog.text
    assert client.stats()["unsent"] == 1
    with pytest.raises(UnavailableError, match="is new"):
        client.receive(0)
    assert asyncio.run(client.asend(1)) is False


def test_waiting_for_a_message_ends_in_its_time(make_socket):
    client = make_socket()
    client.connect()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
        client.receive(0.05)


def test_connecting_again_changes_nothing_and_after_disconnect_starts_anew(make_socket):
    client = make_socket()
    assert client.connect()
    assert client.connect()
    assert client.stats()["connects"] == 1
    client.disconnect()
    client.disconnect()
    assert asyncio.run(client.aconnect())
    assert client.stats()["connects"] == 2


def test_text_and_bytes_go_as_they_are_without_json(make_socket):
    client = make_socket(json=False)
    client.connect()
    client.send("plain text")
    client.send('{"do": "bytes", "bytes": [0, 255]}')
    assert [client.receive(5), client.receive(5)] == ["plain text", b"\x00\xff"]
    with pytest.raises(UsageError, match="str or bytes"):
        client.send({"a": 1})


def test_the_trace_goes_along_with_the_handshake_and_the_handlers(make_socket, until):
    tracer, seen = Tracer(), []
    here = start_trace()
    client = make_socket("/headers", runtime=Runtime(tracer=tracer), headers={"X-Mine": "1"})
    client.on("message", lambda value: seen.append((value, current().trace_id)))
    client.connect()
    until(lambda: seen)
    headers = {name.lower(): value for name, value in seen[0][0].items()}
    assert headers["traceparent"].split("-")[1] == here.trace_id == seen[0][1]
    assert headers["x-mine"] == "1"
    until(lambda: {"connect", "handle"} <= {span.name for span in tracer.recent()})


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost/ws", "localhost:3000", "ws://", "ws://h/#x", "ws://h:x/", 7),
        *("ws://h:0/", "ws://h/a b", "ws://h/a\r\nX-Evil: 1"),
    ],
)
def test_what_is_no_url_of_a_websocket_is_refused(url):
    with pytest.raises(UsageError, match="not the URL of a WebSocket"):
        WebSocketClient(url)


@pytest.mark.parametrize("option", ["reconnect", "queue", "ping", "timeout", "max_size"])
def test_numbers_that_cannot_be_used_are_refused(option):
    for value in (0, "5", None, float("inf")):
        with pytest.raises(UsageError, match=f"^{option} must be "):
            WebSocketClient("ws://localhost/ws", **{option: value})


@pytest.mark.parametrize(
    "headers",
    [
        *({"X": "hunter22\r\nX-Evil: 1"}, {"X\r\nX-Evil": "hunter22"}, {"X": 7}),
        *(["hunter22"], {"Content-Length": "5"}),
    ],
)
def test_headers_that_a_handshake_cannot_carry_are_refused_and_not_shown(headers):
    with pytest.raises(UsageError) as error:
        WebSocketClient("ws://localhost/ws", headers=headers)
    assert "hunter22" not in f"{error.value} {error.value.hint}"


def test_an_unknown_event_is_named(make_socket):
    with pytest.raises(UsageError) as error:
        make_socket().on("mesage", print)
    assert error.value.hint == "did you mean message?"
    with pytest.raises(UsageError):
        make_socket().on("opened")
    with pytest.raises(UsageError, match="handler must be a function"):
        make_socket().on("message", 7)


def test_no_secret_of_a_url_shows_anywhere(make_socket, caplog):
    caplog.set_level(logging.DEBUG)
    client = make_socket("/status?code=401&token=hunter22&k=hunter23", user="ada:hunter24@")
    with pytest.raises(RejectedError) as error:
        client.connect()
    shown = [repr(client), str(client.stats()), str(error.value), str(error.value.hint)]
    text = "\n".join([*shown, caplog.text])
    assert "token=••••••&k=••••••" in text
    assert not any(secret in text for secret in ("hunter22", "hunter23", "hunter24"))


def test_what_a_server_repeats_of_a_token_is_not_shown(make_socket, until, caplog):
    errors = []
    headers = {"Authorization": "Bearer hunter25hunter25", "X-Api-Key": "hunter26"}
    client = make_socket("/?ticket=hunter27", headers=headers, reconnect=60)
    client.on("error", errors.append)
    client.connect()
    reason = "no hunter25hunter25, hunter26, hunter27"
    client.send({"do": "close", "code": 4001, "reason": reason})
    until(lambda: errors)
    text = f"{errors[0]} {client.stats()} {caplog.text}"
    assert "4001: no ••••••, ••••••, ••••••" in text
    assert not any(secret in text for secret in ("hunter25", "hunter26", "hunter27"))


def test_a_forked_child_has_no_connection_and_leaves_its_parents_alone(make_socket):
    client = make_socket()
    client.connect()
    pid = os.fork()
    if pid == 0:
        ok = client.state == "new" and client.send(1) is False
        ok = ok and client.connect() and client.send("child") and client.receive(5) == "child"
        client.disconnect()
        os._exit(0 if ok else 1)
    assert os.waitpid(pid, 0)[1] == 0
    client.send("parent")
    assert client.receive(5) == "parent"


def test_a_registry_keeps_one_client_a_url_and_closes_all(peer):
    with_home = WebSockets()
    one = with_home.client(peer.url("/"), reconnect=0.1)
    assert with_home.client(peer.url("/")) is one
    with pytest.raises(UsageError, match="other options"):
        with_home.client(peer.url("/"), reconnect=2)
    other = with_home.client(peer.url("/other"))
    assert one.connect()
    assert other.connect()
    assert [row.state for row in with_home.table()] == ["connected", "connected"]
    assert with_home.close_client(peer.url("/other"))
    assert other.state == "closed"
    with_home.close()
    assert (one.state, with_home.clients()) == ("closed", [])


def test_a_hub_keeps_pings_and_closes_its_clients(peer, tmp_path):
    from agentnb import Hub

    with Hub(home=tmp_path / "home") as hub:
        client = hub.websocket(peer.url("/?token=hunter22"))
        assert hub.websocket(peer.url("/?token=hunter22")) is client
        [row] = [row for row in hub.health() if row.service == "websocket"]
        assert "UnavailableError" in row.state
        assert "hunter22" not in str(hub.health())
        client.connect()
        [row] = [row for row in hub.health() if row.service == "websocket"]
        assert row.state == "ok"
    assert client.state == "closed"
    left = [
        t.name for t in threading.enumerate() if "websocket" in t.name or t.name == "agentnb-loop"
    ]
    assert left == []


def test_messages_that_have_left_do_not_count_as_on_their_way(make_socket, until):
    client = make_socket()
    client.connect()
    for _ in range(3):
        client.send("x" * 50_000)
    until(lambda: client.stats()["sent"] == 3)
    assert not client._sender.is_full
