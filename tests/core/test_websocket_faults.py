"""What goes wrong with a WebSocket, played on real servers, and what becomes of it."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from base64 import b64encode
from hashlib import sha1

import pytest

from agentnb.core.errors import DeadlineExceeded, RejectedError, UnavailableError
from agentnb.core.websocket.failures import ConnectFailure
from agentnb.core.websocket.session import Session
from tests.listening import Listener


def test_a_server_that_is_killed_and_comes_back_is_connected_to_again(make_socket, peer, until):
    client, told = make_socket(), []
    client.on("connected", lambda: told.append("connected"))
    client.on("connected", lambda: client.send("subscribe again"))
    client.on("disconnected", lambda: told.append("disconnected"))
    client.on("message", told.append)
    client.connect()
    until(lambda: len(told) == 2)
    peer.kill()
    until(lambda: told[-1] == "disconnected")
    assert client.send("lost") is False
    until(lambda: client.stats()["errors"])  # attempts that are refused are told, and go on
    peer.start()
    until(lambda: told[-1] == "subscribe again" and len(told) == 5)
    expected = ["connected", "subscribe again"]
    assert told == [*expected, "disconnected", *expected]


def test_a_server_that_closes_at_once_is_left_alone_for_a_pause_every_time(make_socket, until):
    client, times = make_socket("/gone", reconnect=0.3), []
    client.on("connected", lambda: times.append(time.monotonic()))
    client.connect()
    until(lambda: len(times) == 4)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) > 0.2


def test_a_link_that_is_half_open_is_noticed(make_socket, peer, until):
    client, told = make_socket(ping=0.3), []
    client.on("disconnected", lambda: told.append("disconnected"))
    client.on("error", told.append)
    client.connect()
    os.kill(peer.pid, signal.SIGSTOP)
    try:
        until(lambda: "disconnected" in told)
    finally:
        os.kill(peer.pid, signal.SIGCONT)
    assert "no longer answers to pings" in str(told[0])
    until(lambda: client.connected)


def test_a_flood_with_a_slow_handler_keeps_the_link_and_counts_what_made_room(make_socket, until):
    client, told = make_socket("/flood", queue=100, ping=1), []
    begun = threading.Event()

    def slow(value):
        begun.set()
        told.append(value)
        if len(told) == 1:
            until(lambda: client.stats()["received"] == 20_001, 60)

    client.on("message", slow)
    client.connect()
    assert begun.wait(10)
    until(lambda: told[-1] == "end", 60)
    stats = client.stats()
    assert (stats["connects"], stats["state"]) == (1, "connected")
    assert stats["dropped"] + len(told) == 20_001
    # The one that it was at, the last hundred, and what it was given before it was slow.
    assert len(told) <= 102
    assert told[-2] == 19_999


def test_a_flood_that_nobody_reads_keeps_the_last_ones(make_socket, until):
    client = make_socket("/flood", queue=50)
    client.connect()
    until(lambda: client.stats()["received"] == 20_001, 60)
    assert client.stats()["waiting"] == 50
    assert client.stats()["dropped"] == 19_951
    assert client.receive() == 19_951


class Deaf(Listener):
    """Shakes hands and reads nothing after that."""

    def __init__(self):
        super().__init__(self._greet)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.url = f"ws://127.0.0.1:{self.port}/"

    def _greet(self, link):
        head = b""
        while b"\r\n\r\n" not in head:
            some = link.recv(4096)
            if not some:
                return
            head += some
        key = next(v for v in head.split(b"\r\n") if v.lower().startswith(b"sec-websocket-key"))
        made = key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = b64encode(sha1(made).digest())
        link.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.closing.wait()


@pytest.fixture
def deaf():
    with Deaf() as made:
        yield made


def test_sending_to_a_deaf_peer_ends_in_its_time_and_cuts_the_link(make_socket, deaf, until):
    client, told = make_socket(url=deaf.url, timeout=0.5), []
    client.on("disconnected", lambda: told.append("disconnected"))
    client.connect()
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"took no message for 0\.5 s"):
        for _ in range(100):
            client.send("x" * 1_000_000)
    assert time.monotonic() - begun < 10
    until(lambda: told)
    assert client.stats()["unsent"] >= 1


def test_leaving_a_deaf_peer_takes_no_longer_than_it_is_given(make_socket, deaf):
    client = make_socket(url=deaf.url, timeout=30)
    client.connect()
    filling = threading.Thread(target=lambda: client.send("x" * 30_000_000))
    filling.start()
    begun = time.monotonic()
    client.disconnect()
    assert time.monotonic() - begun < 5
    assert client.state == "closed"
    filling.join(60)
    assert not filling.is_alive()


def test_leaving_while_nobody_answers_the_handshake_is_quick(make_socket):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make_socket(url=f"ws://127.0.0.1:{silent.getsockname()[1]}/", timeout=30)
        assert client.connect(0.1) is False
        begun = time.monotonic()
        client.disconnect()
        assert time.monotonic() - begun < 3


def test_a_message_that_is_too_large_is_an_error_and_the_client_comes_back(make_socket, until):
    client, errors = make_socket(), []
    client.on("error", errors.append)
    client.connect()
    client.send({"do": "large", "size": 2**20 + 1})
    until(lambda: client.stats()["connects"] == 2)
    assert "more than 1,048,576 bytes" in str(errors[0])
    client.send({"do": "large", "size": 1000})
    assert client.receive(5) == "x" * 1000


def test_a_message_that_the_server_does_not_take_is_an_error_too(make_socket, until):
    client, errors = make_socket(), []
    client.on("error", errors.append)
    client.connect()
    client.send("x" * (2**21 + 1))
    until(lambda: client.stats()["connects"] == 2)
    assert "larger than the server takes" in str(errors[0])


@pytest.mark.parametrize("code", [401, 403])
def test_who_is_refused_at_the_handshake_stops(make_socket, code, until):
    client, errors = make_socket(f"/status?code={code}"), []
    client.on("error", errors.append)
    with pytest.raises(RejectedError, match=str(code)):
        client.connect()
    until(lambda: errors)
    assert client.state == "refused"
    time.sleep(0.5)  # ten pauses
    assert client.stats()["errors"] == 1
    with pytest.raises(RejectedError):
        client.ping()


def test_too_many_is_answered_by_the_pause_that_the_server_asks_for(make_socket, until):
    client = make_socket("/status?code=429&after=1")
    times = []
    client.on("error", lambda _: times.append(time.monotonic()))
    assert client.connect() is False
    until(lambda: len(times) == 2)
    assert times[1] - times[0] > 0.9


def test_too_many_without_a_pause_is_left_alone_twice_as_long_each_time():
    class Options:
        reconnect = 5.0

    session = Session.__new__(Session)
    session.options, session._tries = Options(), 0
    busy = ConnectFailure(UnavailableError("no", service="websocket"), busy=True)
    assert [session._pause(busy) for _ in range(5)] == [10, 20, 40, 60, 60]
    assert session._pause(busy._replace(pause=7.0)) == 7
    assert session._pause(busy._replace(pause=1.0)) == 5
    assert session._pause(None) == 5
    assert session._pause(busy) == 10


@pytest.mark.parametrize(("code", "kind"), [(404, RejectedError), (500, UnavailableError)])
def test_other_answers_are_errors_and_tried_again(make_socket, code, kind, until):
    client, errors = make_socket(f"/status?code={code}"), []
    client.on("error", errors.append)
    assert client.connect() is False
    until(lambda: len(errors) >= 2)
    assert isinstance(errors[0], kind)
    assert str(code) in str(errors[0])


def test_malformed_json_is_an_error_and_nothing_else(make_socket, until):
    client, errors = make_socket(), []
    client.on("error", errors.append)
    client.connect()
    for text in ("{not json", "NaN", "[" * 100_000, ""):
        client.send({"do": "raw", "text": text})
    client.send({"do": "bytes", "bytes": [255, 254]})
    client.send("fine")
    assert client.receive(10) == "fine"
    until(lambda: len(errors) == 5)
    assert "is not JSON" in str(errors[0])
    assert errors[0].__cause__ is not None
    assert client.stats()["connects"] == 1


def test_what_a_handler_raises_is_an_error_and_never_ends_anything(make_socket, until):
    client, errors, told = make_socket(), [], []

    @client.on("message")
    def fail(value):
        if value != "end":
            raise [ZeroDivisionError("bad"), SystemExit(3), KeyboardInterrupt()][value]

    @client.on("message")
    async def fail_later(value):
        if value == 0:
            raise LookupError

    client.on("message", told.append)
    client.on("connected", lambda: 1 / 0)

    @client.on("error")
    def fail_at_errors(error):
        errors.append(error)
        raise ValueError("the handler of errors fails, too")

    client.connect()
    for value in (0, 1, 2, "end"):
        client.send(value)
    until(lambda: told == [0, 1, 2, "end"] and len(errors) == 5)
    assert "ZeroDivisionError: division by zero" in str(errors[0])
    assert isinstance(errors[1].__cause__, ZeroDivisionError)
    assert client.connected


def test_a_handler_that_hangs_delays_neither_the_link_nor_the_leaving(make_socket, until):
    client, release = make_socket(ping=0.3), threading.Event()
    client.on("message", lambda _: release.wait(30))
    client.connect()
    client.send(1)
    client.send(2)
    until(lambda: client.stats()["received"] == 2)
    time.sleep(1.0)  # three pings
    assert client.stats()["connects"] == 1
    begun = time.monotonic()
    client.disconnect(1.0)
    assert time.monotonic() - begun < 4
    release.set()


def test_an_end_that_the_server_explains_is_told(make_socket, until):
    client, errors = make_socket(), []
    client.on("error", errors.append)
    client.connect()
    client.send({"do": "close", "code": 1008, "reason": "not for you"})
    until(lambda: errors)
    assert "1008: not for you" in str(errors[0])
    until(lambda: client.stats()["connects"] == 2)
    client.send({"do": "close", "code": 1001})
    until(lambda: client.stats()["connects"] == 3)
    assert client.stats()["last_end"] == "the server goes away"
    assert len(errors) == 1


def test_nobody_at_the_port_is_an_error_that_says_so(make_socket):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = make_socket(url=f"ws://127.0.0.1:{port}/")
    assert client.connect() is False
    with pytest.raises(UnavailableError, match="cannot connect") as error:
        client.ping()
    assert "goes on trying" in error.value.hint


def test_a_server_that_sends_elsewhere_is_not_followed(make_socket):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        place = f"ws://127.0.0.1:{elsewhere.getsockname()[1]}/"
        client = make_socket(
            f"/status?code=302&location={place}", headers={"X-Api-Key": "hunter22"}, reconnect=60
        )
        assert client.connect() is False
        assert "answers 302" in client.stats()["last_error"]
        elsewhere.settimeout(0.1)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_what_is_no_websocket_says_so(make_socket):
    def answer(link):
        link.recv(4096)
        link.sendall(b"220 mail.example.com ESMTP\r\n")

    with Listener(answer) as other:
        client = make_socket(url=f"ws://127.0.0.1:{other.port}/")
        assert client.connect() is False
        assert "does not answer as a WebSocket" in client.stats()["last_error"]
        client.disconnect()


def test_ctrl_c_while_waiting_leaves_the_client_as_it_was(make_socket):
    client = make_socket()
    client.connect()
    main = threading.main_thread().ident
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        client.receive(20)
    timer.join()
    client.send("after")
    assert client.receive(5) == "after"
