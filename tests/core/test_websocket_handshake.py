"""Tokens that change, and subprotocols, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from agentnb.core.errors import RejectedError, UsageError
from agentnb.core.redact import Redactor
from agentnb.core.runtime import Runtime
from agentnb.core.websocket import EventServer, WebSocketClient, WebSockets
from agentnb.core.websocket.handshake import Handshake
from tests.waiting import until

NEW, OLD = "new-token-hunter22", "old-token-hunter22"


class Guarded:
    """A server that wants a token, which changes; it knows who asked."""

    def __init__(self):
        self.token, self.asked, self.links = OLD, [], []
        options = {"process_request": self.admit, "subprotocols": None}
        options["select_subprotocol"] = lambda _, offered: offered[-1] if offered else None
        self.server = serve(self.talk, "127.0.0.1", 0, **options)
        self.url = f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}/ws"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def admit(self, connection, request):
        given = request.headers.get("Authorization", "")
        self.asked.append(given)
        if given != f"Bearer {self.token}":
            return connection.respond(401, f"{given} is old\n")
        return None

    def talk(self, link):
        self.links.append(link)
        with contextlib.suppress(ConnectionClosed):
            for message in link:
                link.send(message)

    def drop(self):
        """Cut all connections, of which there is one at least or will be at once."""
        until(lambda: self.links)
        self._cut()

    def _cut(self):
        while self.links:
            with contextlib.suppress(OSError):  # it has gone by itself
                self.links.pop().socket.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self._cut()
        self.server.shutdown()
        self.thread.join()


@pytest.fixture
def guarded():
    made = Guarded()
    yield made
    made.stop()


@pytest.mark.parametrize("kind", ["def", "async def", "def that awaits"])
def test_headers_may_be_a_function_that_is_asked_at_every_handshake(guarded, make_socket, kind):
    def plain():
        return {"Authorization": f"Bearer {guarded.token}"}

    async def awaited():
        await asyncio.sleep(0)
        return plain()

    headers = {"def": plain, "async def": awaited, "def that awaits": partial(awaited)}[kind]
    client = make_socket(url=guarded.url, headers=headers)
    assert client.connect()
    guarded.token = NEW
    guarded.drop()
    until(lambda: client.stats()["connects"] == 2)
    assert guarded.asked == [f"Bearer {OLD}", f"Bearer {NEW}"]


def test_a_plain_function_may_wait_without_holding_the_connections(guarded, make_socket):
    called, go = threading.Event(), threading.Event()

    def slow():
        called.set()
        assert go.wait(20)
        return {"Authorization": f"Bearer {OLD}"}

    client = make_socket(url=guarded.url, headers=slow, timeout=30)
    assert client.connect(0) is False
    assert called.wait(20)
    client._loop.submit(asyncio.sleep(0)).result(20)  # the loop is free meanwhile
    go.set()
    assert client.connect(20)


@pytest.mark.parametrize("back", [OLD, NEW])
def test_a_client_that_was_accepted_before_asks_again_after_a_401(guarded, make_socket, back):
    token = [OLD]
    client = make_socket(
        url=guarded.url, headers=lambda: {"Authorization": f"Bearer {token[0]}"}, reconnect=0.02
    )
    assert client.connect()
    guarded.token = NEW
    guarded.drop()
    until(lambda: len(guarded.asked) >= 4)
    assert client.state in {"waiting", "connecting"}
    said = client.stats()["last_error"]
    assert "answers 401" in said
    assert OLD not in said
    assert "tries again, less and less often" in client._dispatcher.last_error.hint
    guarded.token = token[0] = back
    until(lambda: client.connected)
    assert client.connect()


def test_pauses_after_refusals_grow_and_begin_anew_once_it_is_accepted(
    guarded, make_socket, monkeypatch
):
    from agentnb.core.websocket.session import Session

    pauses, real = [], Session._pause

    def noted(self, trouble):
        pauses.append(real(self, trouble))
        return 0.01

    monkeypatch.setattr(Session, "_pause", noted)
    headers = {"Authorization": f"Bearer {OLD}"}
    client = make_socket(url=guarded.url, headers=headers, reconnect=5)
    assert client.connect()
    guarded.token = NEW
    guarded.drop()
    until(lambda: len(pauses) >= 7)
    assert pauses[:7] == [5, 10, 20, 40, 60, 60, 60]
    guarded.token = OLD
    until(lambda: client.connected)
    pauses.clear()
    guarded.drop()
    until(lambda: pauses)
    assert pauses[0] == 5


def test_a_client_that_was_never_accepted_is_told_at_once(guarded, make_socket):
    client = make_socket(url=guarded.url, headers=lambda: {"Authorization": "Bearer wrong-one"})
    with pytest.raises(RejectedError, match="401"):
        client.connect()
    assert client.state == "refused"
    assert len(guarded.asked) == 1


def test_a_function_that_fails_is_an_error_and_is_asked_again(guarded, make_socket):
    answers = [OSError("no network"), {"Authorization": f"Bearer {OLD}"}]

    def headers():
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    client = make_socket(url=guarded.url, headers=headers)
    client.connect()
    until(lambda: client.connected)
    said = client.stats()["last_error"]
    assert "the function that returns the headers for ws://" in said
    assert "OSError: no network" in said


@pytest.mark.parametrize("found", [None, 7, {"A B": "x"}, {"A": "x\ny"}])
def test_what_a_function_returns_is_checked(guarded, make_socket, found):
    client = make_socket(url=guarded.url, headers=lambda: found)
    if found is None:  # no headers are headers, too
        with pytest.raises(RejectedError):
            client.connect()
        return
    with pytest.raises(UsageError):
        client.connect()
    assert not guarded.asked


def test_a_function_that_takes_too_long_does_not_hold_the_client(guarded, make_socket):
    async def hangs():
        await asyncio.sleep(60)

    client = make_socket(url=guarded.url, headers=hangs, timeout=0.2)
    assert client.connect() is False
    until(lambda: "took too long" in (client.stats()["last_error"] or ""))


def test_the_secrets_of_every_handshake_are_masked_from_then_on(guarded):
    redactor = Redactor()
    sockets = WebSockets(runtime=Runtime(redactor=redactor))
    client = sockets.client(
        guarded.url,
        headers=lambda: {"Authorization": f"Bearer {guarded.token}"},
        reconnect=0.02,
    )
    try:
        assert client.connect()
        assert OLD not in redactor(f"it was {OLD}")
        assert NEW in redactor(f"it is {NEW}")
        guarded.token = NEW
        guarded.drop()
        until(lambda: client.stats()["connects"] == 2)
        assert NEW not in redactor(f"it is {NEW}")
        assert OLD not in redactor(f"it was {OLD}")
    finally:
        sockets.close()


def test_a_subprotocol_is_offered_and_the_chosen_one_is_known(guarded, make_socket):
    headers = {"Authorization": f"Bearer {OLD}"}
    client = make_socket(url=guarded.url, headers=headers, subprotocols=["mqtt", "graphql-ws"])
    assert client.subprotocol is None
    assert client.connect()
    assert client.subprotocol == client.stats()["subprotocol"] == "graphql-ws"
    client.disconnect()
    assert client.subprotocol is None
    other = make_socket(url=guarded.url, headers=headers)
    assert other.connect()
    assert other.subprotocol is None


@pytest.mark.parametrize("names", ["mqtt", ["a b"], [""], ["a", "a"], [7], ["a,b"]])
def test_what_is_no_subprotocol_is_refused(make_socket, names):
    with pytest.raises(UsageError, match="subprotocols must be a list of names"):
        make_socket(url="ws://localhost:9", subprotocols=names)
    with pytest.raises(UsageError, match="subprotocols must be"):
        EventServer(None, token="t", subprotocols=names)


def test_a_subprotocol_is_no_header(make_socket):
    with pytest.raises(UsageError) as caught:
        make_socket(url="ws://localhost:9", headers={"sec-websocket-protocol": "mqtt"})
    assert "subprotocols=" in caught.value.hint


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["b", "a"], "b"), (["x", "a"], "a"), (["x"], None), ([], None)]
)
def test_the_server_chooses_the_first_that_it_speaks(make_socket, bus_of_none, offered, chosen):
    async def run():
        server = EventServer(bus_of_none, token="", port=0, subprotocols=["a", "b"], clients=1)
        await server.start()
        client = make_socket(url=server.url, subprotocols=offered)
        try:
            assert await client.aconnect()
            return client.subprotocol
        finally:
            await client.adisconnect()
            await server.stop()

    assert asyncio.run(run()) == chosen


def test_the_server_takes_a_limited_number_of_clients(make_socket, bus_of_none):
    async def run():
        server = EventServer(bus_of_none, token="", port=0, clients=2)
        await server.start()
        clients = [make_socket(url=server.url, reconnect=20) for _ in range(3)]
        try:
            connected = [await client.aconnect() for client in clients]
            return connected, clients[2].stats()["last_error"]
        finally:
            for client in clients:
                await client.adisconnect()
            await server.stop()

    connected, said = asyncio.run(run())
    assert connected == [True, True, False]
    assert "answers 503" in said


def test_messages_that_are_not_json_are_counted(make_socket):
    client = make_socket()
    assert client.connect()
    for text in ("plain", "", json.dumps({"do": "raw", "text": "no json"})):
        client._sender.send_encoded(text.encode(), text=True)
    client.send({"a": 1})
    assert client.receive() == {"a": 1}
    assert client.stats()["not_json"] == 3


@pytest.mark.parametrize("path", ["/token", "/v1/api_key"])
def test_what_is_said_of_a_url_that_ends_in_a_secret_s_name_is_not_hidden(make_socket, path):
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))  # and does not listen
        url = f"ws://127.0.0.1:{link.getsockname()[1]}{path}"
        client = make_socket(url=url, reconnect=20)
        assert client.connect() is False
    assert client.stats()["last_error"] == f"cannot connect to {url} (nothing listens there)"


def test_a_dead_proxy_is_named_and_its_password_is_not(make_socket, monkeypatch):
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{link.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://ada:hunter22@{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        client = make_socket(url="ws://events.example.test/ws", reconnect=20)
        assert client.connect() is False
    said = client.stats()["last_error"]
    assert f"by way of the proxy http://{proxy} (nothing listens there)" in said
    assert "NO_PROXY" in client._dispatcher.last_error.hint
    assert "hunter22" not in f"{said}{client._dispatcher.last_error.hint}"


def test_a_proxy_that_refuses_is_named(web, make_socket, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, web.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    client = make_socket(url="ws://events.example.test/ws", reconnect=20)
    assert client.connect() is False
    assert f"since the proxy {web.url} cannot be used" in client.stats()["last_error"]


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "upgrade", "Connection"])
def test_a_header_that_the_handshake_says_by_itself_is_refused(name):
    with pytest.raises(UsageError, match=f"headers must not have {name}"):
        Handshake({name: "x"})
    with pytest.raises(UsageError, match=f"headers must not have {name}"):
        asyncio.run(Handshake(lambda: {name: "x"}).ask())


@pytest.mark.parametrize("names", [None, 5, "mqtt", ["a b"]])
def test_subprotocols_that_are_no_list_of_names_are_refused(names):
    with pytest.raises(UsageError, match="subprotocols must be a list of names"):
        Handshake(None, names)


@pytest.mark.parametrize("ends", [SystemExit, KeyboardInterrupt])
def test_a_function_of_headers_that_would_end_the_program_is_a_failure_that_is_said(guarded, ends):
    def headers():
        raise ends

    with WebSocketClient(guarded.url, headers=headers) as client:
        assert client.state == "waiting"
        assert f"headers for {guarded.url} failed: {ends.__name__}" in client.stats()["last_error"]


def test_text_that_is_not_unicode_is_refused_when_it_is_sent(guarded):
    headers = {"Authorization": f"Bearer {OLD}"}
    for json_ in (True, False):
        with WebSocketClient(guarded.url, headers=headers, json=json_) as client:
            with pytest.raises(UsageError, match="not Unicode"):
                client.send("\ud800")
            assert client.connected
