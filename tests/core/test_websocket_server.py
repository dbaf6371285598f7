"""``agentnb serve`` as a process, and the clients that it is for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from agentnb.core.errors import ConfigError, NotFoundError, RejectedError
from agentnb.core.events import EventBus
from agentnb.core.hub import Hub
from agentnb.core.websocket import EventServer, WebSocketClient

TOKEN = "hunter22hunter22"


class Serving:
    """A server of events in a process of its own."""

    def __init__(self, redis, home):
        self.home = home
        self.environment = {
            **os.environ,
            "REDIS_URL": f"unix://{redis.target.options['path']}",
            "AGENTNB_HOME": str(home),
            "AGENTNB_KEY_PREFIX": "serving",
        }
        self.bus = EventBus(redis, prefix="serving")
        self.process = None

    def run(self, *words, **variables):
        return subprocess.run(
            [sys.executable, "-m", "agentnb.cli", "serve", *map(str, words)],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, *words, port=0, **variables):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentnb.cli", "serve", "--port", str(port), *words],
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = []
        while not (self.said and self.said[-1].startswith("Ctrl-C")):
            line = self.process.stdout.readline()
            assert line, self.said
            self.said.append(line)
        self.url = re.search(r"events at (\S+)", self.said[0]).group(1)
        self.port = urlsplit(self.url).port
        return self

    def stop(self, number=signal.SIGTERM):
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            code = process.wait(20)
            process.stdout.close()
            return code
        return None

    def close(self):
        self.stop(signal.SIGKILL)
        self.bus.close()


@pytest.fixture
def serving(shared_redis, tmp_path):
    made = Serving(shared_redis, tmp_path / "home")
    yield made
    made.close()


@pytest.fixture(scope="module")
def serving_all(shared_redis, tmp_path_factory):
    """Return a server that tests share, since its start takes longer than they do."""
    with closing(Serving(shared_redis, tmp_path_factory.mktemp("serving") / "home")) as made:
        yield made.start("--no-token", "--origin", "https://app.example.com/")


@pytest.fixture(scope="module")
def serving_known(shared_redis, tmp_path_factory):
    """Return a server that tests share, and that asks for a token."""
    with closing(Serving(shared_redis, tmp_path_factory.mktemp("serving") / "home")) as made:
        yield made.start(AGENTNB_SERVE_TOKEN=TOKEN)


@pytest.fixture
def joined(serving):
    """Return what makes a client of the server that has subscribed."""
    made = []

    def join(*channels, token=None, url=None, **options):
        if token is None:
            token = (serving.home / "serve" / "token").read_text()
        client = WebSocketClient(
            url or serving.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            reconnect=0.1,
            **options,
        )
        made.append(client)
        assert client.connect()
        if channels:
            client.send({"type": "subscribe", "channels": list(channels)})
            assert client.receive(5) == {"type": "subscribed", "channels": list(channels)}
        return client

    yield join
    for one in made:
        one.disconnect(1.0)


def test_an_event_arrives_with_its_envelope(serving, joined):
    serving.start()
    client = joined("workflows")
    sent = serving.bus.publish("workflow.created", {"tasks": 3}, correlation_id="order 7")
    got = client.receive(5)
    assert got.pop("time").startswith(f"{sent.time:%Y-%m-%d}")
    assert got == {
        "type": "event",
        "id": sent.id,
        "channel": "workflow.created",
        "source": serving.bus.source,
        "traceparent": sent.traceparent,
        "correlation_id": "order 7",
        "place": sent.place,
        "data": {"tasks": 3},
    }


def test_a_name_covers_what_is_below_it_and_no_more(serving, joined):
    serving.start()
    client = joined("workflows", "agent.task", "x.*.z")
    for channel in (
        *("workflows", "workflows.a", "workflow", "workflow.b.c", "workflowing", "work"),
        *("agent.task", "agent.task.done", "agent.tasks", "agent", "x.y.z", "x.z", "end"),
    ):
        serving.bus.publish(channel, 1)
    client.send({"type": "subscribe", "channels": ["end"]})
    got = []
    while not got or got[-1] != "end":
        message = client.receive(5)
        if message["type"] == "subscribed":
            serving.bus.publish("end", 1)
        else:
            got.append(message["channel"])
    assert got == [
        *("workflows", "workflows.a", "workflow", "workflow.b.c"),
        *("agent.task", "agent.task.done", "x.y.z", "end"),
    ]


def test_nothing_arrives_after_unsubscribing(serving, joined):
    serving.start()
    client = joined("a", "b")
    client.send({"type": "unsubscribe", "channels": ["a", "never"]})
    assert client.receive(5) == {"type": "unsubscribed", "channels": ["b"]}
    serving.bus.publish("a", 1)
    serving.bus.publish("b", 2)
    assert client.receive(5)["data"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "7",
        "{}",
        '{"type": "publish", "channel": "a", "data": 1}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "channels": "a"}',
        '{"type": "subscribe", "channels": [""]}',
        json.dumps({"type": "subscribe", "channels": [str(n) for n in range(101)]}),
        json.dumps({"type": "subscribe", "channels": ["x" * 201]}),
    ],
)
def test_what_cannot_be_understood_is_answered_and_the_link_stays(serving_all, joined, text):
    client = joined(token="", url=serving_all.url, json=False)
    client.send(text)
    assert json.loads(client.receive(5))["type"] == "error"
    client.send('{"type": "subscribe", "channels": ["a"]}')
    assert json.loads(client.receive(5)) == {"type": "subscribed", "channels": ["a"]}


def test_the_token_is_made_once_kept_for_the_owner_and_shown_once(serving):
    serving.start()
    path = serving.home / "serve" / "token"
    token = path.read_text()
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{serving.url}?token={token}" in "".join(serving.said)
    assert serving.stop() == 0
    serving.start()
    assert token not in "".join(serving.said)
    assert str(path) in "".join(serving.said)
    assert path.read_text() == token
    assert not any(token in log.read_text() for log in (serving.home / "logs").glob("*.jsonl"))


@pytest.mark.parametrize("token", ["", "wrong", "hunter22hunter2é"])
def test_without_the_right_token_nobody_is_let_in(serving_known, token):
    headers = {"Authorization": f"Bearer {token}"} if token.isascii() and token else {}
    client = WebSocketClient(f"{serving_known.url}?token={quote(token)}", headers=headers)
    try:
        with pytest.raises(RejectedError, match="401"):
            client.connect()
    finally:
        client.disconnect()


def test_the_token_may_be_a_header_or_in_the_url(serving_known, joined):
    joined("a", token=TOKEN, url=serving_known.url)
    joined("a", token="", url=f"{serving_known.url}?token={TOKEN}")


def test_the_token_comes_from_a_file_and_never_from_the_command_line(serving, joined, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    serving.start("--token-file", str(file))
    joined("a", token=TOKEN)
    assert TOKEN not in Path(f"/proc/{serving.process.pid}/cmdline").read_text()
    done = serving.run("--token", TOKEN)
    assert done.returncode == 2
    assert "shown to every user" in done.stderr
    assert "AGENTNB_SERVE_TOKEN" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "no token was given"),
        (["--host", "0.0.0.0", "--no-token"], "token must be set"),
        (["--host", "0.0.0.0", "--token-file", "short"], "too short"),
        (["--token-file", "spaces"], "letters, digits"),
        (["--token-file", "nowhere"], "cannot be read"),
        (["--token-file", "good", "--no-token"], "exclude each other"),
        (["--token-file=", "--port", "0"], "cannot be read"),
        (["--port", "70000"], "must be 0 to 65,535"),
        (["--host", "203.0.113.7", "--token-file", "good"], "an address of this machine"),
    ],
)
def test_what_would_not_be_safe_is_refused(serving, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("short", "short"), ("spaces", "a b"), ("good", TOKEN)):
        Path(name).write_text(text)
    done = serving.run(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr


def test_a_port_that_is_taken_says_so(serving):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serving.run("--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "another port" in done.stderr


def test_a_token_that_others_may_read_is_refused(serving):
    serving.start()
    serving.stop()
    (serving.home / "serve" / "token").chmod(0o644)
    done = serving.run("--port", 0)
    assert done.returncode == 2
    assert "others may read the token" in done.stderr


@pytest.mark.parametrize(
    ("origin", "path", "status"),
    [
        ("https://evil.example.com", "/ws", 403),
        ("null", "/ws", 403),
        ("http://localhost.evil.com", "/ws", 403),
        ("http://[", "/ws", 403),
        ("http://localhost:8888", "/ws", 101),
        ("http://localhost:8888\r\nOrigin: http://localhost:8888", "/ws", 403),
        ("https://app.example.com", "/ws", 101),
        (None, "/ws", 101),
        (None, "/other", 404),
        ("http://localhost\r\nOrigin: http://localhost", "/ws", 403),  # which of them is it?
        ("http://localhost\r\nOrigin: https://evil.example.com", "/ws", 403),
    ],
)
def test_pages_of_elsewhere_are_refused(serving_all, origin, path, status):
    with socket.create_connection(("127.0.0.1", serving_all.port)) as link:
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: localhost:{serving_all.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            *([f"Origin: {origin}"] if origin else []),
        ]
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        assert f" {status} " in link.recv(4096).decode()


def test_localhost_is_both_of_its_addresses(serving, joined):
    serving.start("--no-token")
    joined("a", token="", url=f"ws://localhost:{serving.port}/ws")
    try:
        socket.create_connection(("::1", serving.port)).close()
    except OSError:
        if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
            addresses = Path("/proc/net/if_inet6").read_text()
            assert "00000000000000000000000000000001" not in addresses


def test_told_to_stop_it_takes_leave_and_forgets_its_address(serving, joined, until):
    serving.start()
    client, told = joined("a"), []
    client.on("disconnected", lambda: told.append(1))
    begun = time.monotonic()
    assert serving.stop() == 0
    assert time.monotonic() - begun < 10
    until(lambda: told)
    assert client.stats()["last_end"] == "the server stops"
    assert not (serving.home / "serve" / "running.json").exists()


def test_killed_and_started_again_its_clients_come_back(serving, joined, until):
    serving.start()
    client = joined()
    got = []
    client.on("connected", lambda: client.send({"type": "subscribe", "channels": ["a"]}))
    client.on("message", got.append)
    port = serving.port
    serving.stop(signal.SIGKILL)
    until(lambda: not client.connected)
    serving.start(port=port)
    until(lambda: got and got[0]["type"] == "subscribed")
    serving.bus.publish("a", 7)
    until(lambda: got[-1].get("data") == 7)


def test_a_client_that_reads_nothing_loses_the_oldest_and_delays_nobody(serving, joined, until):
    serving.start("--no-token")
    quick = joined("flood", token="", queue=20_000)

    def read_to(words):
        got = b""
        while words not in got[-70_000:]:  # a busy machine gives it in pieces
            some = slow.recv(65536)
            assert some, f"it was never told {words}"
            got += some

    with socket.socket() as slow:
        slow.settimeout(60)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", serving.port))
        slow.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        read_to(b"\r\n\r\n")
        asked = b'{"type":"subscribe","channels":["flood"]}'
        slow.sendall(bytes([0x81, 0x80 | len(asked), 0, 0, 0, 0]) + asked)
        read_to(b"subscribed")
        for n in range(4_000):
            serving.bus.publish("flood", {"n": n, "words": "x" * 2000}, durable=False)
        until(lambda: quick.stats()["received"] == 4_001)
        # What waited meanwhile is at most a queue; the first thing that it is told then is how
        # many made room.
        read_to(b'"type":"dropped"')
    assert quick.stats()["dropped"] == 0


@pytest.fixture
def small(bus_of_none):
    """Return a server for two clients, on a loop of its own, with its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = EventServer(bus_of_none, token="", port=0, clients=2, handshakes=10)

    def run(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    run(server.start())
    yield server
    run(server.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _is_open(link):
    link.settimeout(0.2)
    try:
        return link.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_no_more_clients_than_the_limit_are_let_in_and_room_is_used_again(small, until):
    clients = [WebSocketClient(small.url, reconnect=0.1) for _ in range(3)]
    try:
        assert clients[0].connect()
        assert clients[1].connect()
        assert not clients[2].connect(0.5)
        assert clients[0].state == clients[1].state == "connected"
        clients[0].disconnect()
        until(lambda: clients[2].state == "connected")
    finally:
        for client in clients:
            client.disconnect()


def test_connections_that_say_nothing_keep_nobody_out(small, caplog):
    idle = [socket.create_connection(("127.0.0.1", small.port)) for _ in range(60)]
    client = WebSocketClient(small.url)
    try:
        assert client.connect(5)
        assert sum(map(_is_open, idle)) <= 10
        assert len([one for one in caplog.records if one.name == "agentnb.websocket.server"]) < 5
    finally:
        client.disconnect()
        for link in idle:
            link.close()


def test_a_connection_that_says_nothing_is_cut_after_some_seconds(small):
    with socket.create_connection(("127.0.0.1", small.port)) as link:
        link.settimeout(30)
        while link.recv(1000):  # the answer that a handshake was expected
            pass


def test_a_host_that_others_reach_wants_a_token(bus_of_none):
    with pytest.raises(ConfigError, match="token must be set"):
        EventServer(bus_of_none, token="", host="0.0.0.0")


def test_a_hub_finds_the_server_of_its_home(serving):
    with Hub(home=serving.home) as hub:
        with pytest.raises(NotFoundError, match="no server of events runs"):
            hub.websocket()
        serving.start()
        client = hub.websocket()
        assert client.connect()
        client.send({"type": "subscribe", "channels": ["a"]})
        assert client.receive(5)["type"] == "subscribed"
        assert hub.websocket() is client
        serving.stop(signal.SIGKILL)
        # Its note is still there, and nobody is.
        assert (serving.home / "serve" / "running.json").exists()
        with pytest.raises(NotFoundError):
            hub.websocket()


def test_a_note_of_a_server_that_is_gone_gives_its_token_to_nobody(serving):
    folder = serving.home / "serve"
    folder.mkdir(parents=True)
    # This process lives: that one of the same number wrote the note is not to be known from it.
    note = {"url": "ws://127.0.0.1:1/ws", "token": TOKEN, "pid": os.getpid()}
    (folder / "running.json").write_text(json.dumps(note))
    (folder / "lock").touch()
    with Hub(home=serving.home) as hub, pytest.raises(NotFoundError):
        hub.websocket()


def test_a_second_server_of_a_home_leaves_the_first_one_to_be_found(serving):
    serving.start()
    first, serving.process = serving.process, None
    url = serving.url
    try:
        serving.start()
        assert any("another server of this home" in line for line in serving.said)
        with Hub(home=serving.home) as hub:
            serving.stop()
            assert hub.websocket().url == url
    finally:
        first.terminate()
        first.wait(20)
        first.stdout.close()
    assert not (serving.home / "serve" / "running.json").exists()


def test_the_client_of_the_patterns_works_on_node(serving, node_ws):
    serving.start("--no-token")
    script = Path(__file__).parent / "data" / "websocket_client.mjs"
    url = f"ws://localhost:{serving.port}/ws"
    client = subprocess.Popen(
        [shutil.which("node"), str(script), url, str(node_ws)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:

        def said():
            return json.loads(client.stdout.readline())

        assert said() == ["connected", None]
        assert said() == ["message", {"type": "subscribed", "channels": ["workflows"]}]
        serving.bus.publish("workflow.created", {"tasks": 3})
        what, message = said()
        assert (what, message["channel"], message["data"]) == (
            "message",
            "workflow.created",
            {"tasks": 3},
        )
        port = serving.port
        serving.stop(signal.SIGKILL)
        assert said() == ["disconnected", None]
        serving.start("--no-token", port=port)
        while (line := said()) != ["connected", None]:
            assert line[0] in {"error", "disconnected"}
        assert said()[1]["type"] == "subscribed"
        client.stdin.close()
        assert said() == ["disconnected", None]
        assert client.wait(10) == 0
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
