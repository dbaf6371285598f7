"""A server somewhere else, and what can be wrong with it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings

import pytest

import agentnb
from agentnb.core.errors import (
    CircuitOpen,
    ConfigError,
    DeadlineExceeded,
    RejectedError,
    UnavailableError,
)
from agentnb.core.redis import RedisClient
from agentnb.core.redis.binary import find_binary
from tests.listening import Listener


class Server:
    """A real server on a port of the loopback interface."""

    def __init__(self, folder, *options):
        with socket.socket() as link:
            link.bind(("127.0.0.1", 0))
            self.port = link.getsockname()[1]
        self.options = [str(find_binary()), "--port", str(self.port), "--bind", "127.0.0.1"]
        self.options += ["--save", "", "--dir", str(folder), *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            with socket.socket() as link:
                if link.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError("the server did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def url(self, password=""):
        return f"redis://{password and f':{password}@'}127.0.0.1:{self.port}/0"


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(*options):
        servers.append(Server(tmp_path, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


class Stub(Listener):
    """A server that is no Redis, or not quite."""

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


@pytest.fixture
def stub():
    """Return what makes servers that do with each connection what they are told to."""
    with contextlib.ExitStack() as stack:
        yield lambda handle: stack.enter_context(Stub(handle))


def proxy(server, lose):
    """Return a handler that hands on to a server, and drops replies while ``lose`` says so."""

    def handle(link):
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            while asked := link.recv(65536):
                onward.sendall(asked)
                reply = onward.recv(65536)
                if lose(asked):
                    return
                link.sendall(reply)

    return handle


def silent(link):
    while link.recv(65536):
        pass


def dripping(link):
    hello = b"%1\r\n$5\r\nproto\r\n:3\r\n"
    link.recv(65536)
    link.sendall(hello)
    link.recv(65536)
    link.sendall(b"$1000\r\n")
    for _ in range(1000):
        link.sendall(b"x")
        time.sleep(0.2)


def call(url, seconds=1.0):
    with RedisClient(url, timeout=seconds) as client:
        return client.get("k")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("redsi://host", "did you mean redis?"),
        ("redis:/host", "redis://host:6379/0"),
        ("localhost:6379", "redis://host:6379/0"),
        ("http://:hunter22@host:6379", "redis://host:6379/0"),
        ("redis://:hunter22/x@host:6379", "percent-encoded"),
        ("redis://:1/hunter22@host:6379", "%2F"),
        ("redis://host:hunter22", "percent-encoded"),
        ("redis://host/nine", "a number from 0"),
        ("redis://host?ssl_cert_reqz=none&pasword=hunter22", "did you mean"),
        ("unix://", "unix:///path"),
    ],
)
def test_a_url_that_cannot_be_understood_is_a_wrong_setting_and_not_shown(url, hint):
    with pytest.raises(ConfigError) as caught:
        RedisClient(url)
    said = f"{caught.value}{caught.value.hint}"
    assert hint in said
    assert "hunter" not in said
    assert caught.value.__cause__ is None or "hunter" not in str(caught.value.__cause__)


@pytest.mark.parametrize("handle", [silent, dripping])
def test_a_server_that_hangs_costs_the_deadline_and_no_more(stub, handle):
    url = stub(handle).url
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="within 1 s"):
        call(url)
    assert time.monotonic() - started < 3


def test_a_server_that_is_not_there_is_unavailable_within_the_deadline():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{link.getsockname()[1]}/0"
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="cannot be reached") as caught:
            call(url)
        assert time.monotonic() - started < 3
    assert url in caught.value.hint


def test_a_socket_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match="cannot be reached"):
        call(f"unix://{tmp_path}/redis.sock", 0.3)


def test_a_host_that_does_not_exist_is_unavailable():
    with pytest.raises(UnavailableError):
        call("redis://no-such-host.invalid:6379", 0.5)


def test_what_is_not_redis_is_a_wrong_setting(stub):
    def web(link):
        link.recv(65536)
        link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(ConfigError, match="is not Redis"):
        call(stub(web).url)


def test_a_wrong_password_is_a_wrong_setting_and_not_shown(serve, caplog, tmp_path):
    server = serve("--requirepass", "open-sesame")
    caplog.set_level(logging.DEBUG)
    for password, text in (("hunter22", "refuses"), ("", "asks for a password")):
        with agentnb.connect(redis_url=server.url(password), home=tmp_path / "home") as hub:
            with pytest.raises(ConfigError, match=text) as caught:
                hub.redis.get("k")
            seen = [str(caught.value), caught.value.hint, str(caught.value.__cause__), repr(hub)]
            seen += [repr(hub.redis), str(hub.health().dicts()), str(hub.redis.target), caplog.text]
            assert "hunter22" not in "".join(seen)
    logs = "".join(path.read_text() for path in (tmp_path / "home" / "logs").iterdir())
    assert "hunter22" not in logs
    with RedisClient(server.url("open-sesame")) as client:
        assert client.set("k", "v")


def test_a_full_server_says_so(serve):
    server = serve("--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    with RedisClient(server.url()) as client, pytest.raises(RejectedError, match="full") as caught:
        client.set("k", "x" * 2_000_000)
        client.set("k", "x")
    assert "maxmemory" in caught.value.hint


def test_a_replica_is_tried_until_the_deadline_and_then_says_so(serve, caplog):
    server = serve()
    replica = serve("--replicaof", "127.0.0.1", str(server.port))
    with RedisClient(replica.url(), timeout=0.8) as client:
        with pytest.raises(RejectedError, match="read-only") as caught:
            client.incr("n")
        assert "primary" in caught.value.hint
        assert client.get("n") is None
    assert "attempt 2" in caplog.text


def test_a_replica_that_becomes_the_primary_is_written_to_once(serve):
    server = serve()
    replica = serve("--replicaof", "127.0.0.1", str(server.port))
    with RedisClient(replica.url()) as client, RedisClient(replica.url()) as other:
        timer = threading.Timer(0.5, other.replicaof, ("no", "one"))
        timer.start()
        try:
            assert client.incr("n") == 1
        finally:
            timer.join()


def test_a_command_whose_reply_was_lost_is_made_again_only_if_that_is_the_same(serve, stub):
    server, lost = serve(), []

    def lose(asked):
        if len(lost) < 1 and b"HELLO" not in asked:
            lost.append(asked)
            return True
        return False

    with RedisClient(server.url()) as direct:
        for command, count in (("incrby", 1), ("lpush", 1), ("set", 2), ("get", 2)):
            lost.clear()
            direct.config_resetstat()
            with RedisClient(stub(proxy(server, lose)).url) as client:
                arguments = {"lpush": ("list", "x"), "set": ("s", "x")}.get(command, (command,))
                if count == 1:
                    with pytest.raises(UnavailableError):
                        getattr(client, command)(*arguments)
                else:
                    getattr(client, command)(*arguments)
            assert direct.info("commandstats")[f"cmdstat_{command}"]["calls"] == count
        assert direct.get("incrby") == b"1"
        assert direct.llen("list") == 1


@pytest.mark.parametrize("commands", [["set", "incr"], ["set", "set"]])
def test_a_pipeline_is_sent_again_only_if_each_command_may_be(serve, stub, commands):
    server, lost = serve(), []

    def lose(asked):
        if len(lost) < 1 and b"HELLO" not in asked:
            lost.append(asked)
            return True
        return False

    with (
        RedisClient(server.url()) as direct,
        RedisClient(stub(proxy(server, lose)).url) as client,
    ):
        pipe = client.pipeline()
        pipe.set("a", 1)
        if "incr" in commands:
            pipe.incr("n")
            with pytest.raises(UnavailableError):
                pipe.execute()
            assert direct.get("n") == b"1"
        else:
            pipe.set("b", 2)
            assert pipe.execute() == [True, True]


def test_a_server_that_was_started_again_is_found_by_every_command(serve, caplog):
    server = serve()
    with RedisClient(server.url()) as client:
        client.set("k", "v")
        server.stop()
        timer = threading.Timer(0.4, server.start)
        timer.start()
        try:
            # Nothing of it was sent, since the connection was seen to be gone: it may be repeated.
            assert client.incr("n") == 1
        finally:
            timer.join()
    assert "redis error" in caplog.text


def test_a_subscriber_is_subscribed_again_when_the_server_is_back(serve):
    server = serve()
    with RedisClient(server.url()) as client, client.pubsub() as channel:
        channel.subscribe("news")
        assert channel.get_message(timeout=2)["type"] == "subscribe"
        server.stop()
        server.start()
        until = time.monotonic() + 10
        found = None
        while found is None and time.monotonic() < until:
            client.publish("news", "hello")
            message = channel.get_message(timeout=0.1)
            found = message if message and message["type"] == "message" else None
        assert found["data"] == b"hello"


def test_a_subscriber_whose_server_stays_away_says_so_and_can_go_on(serve):
    server = serve()
    with RedisClient(server.url(), timeout=0.5) as client, client.pubsub() as channel:
        channel.subscribe("news")
        channel.get_message(timeout=2)
        server.stop()
        with pytest.raises(UnavailableError):
            channel.get_message(timeout=1)
        server.start()
        assert channel.get_message(timeout=2)["type"] == "subscribe"


def test_a_server_that_fails_repeatedly_is_left_alone_for_a_while():
    with RedisClient("redis://127.0.0.1:1", timeout=0.1) as client:
        for _ in range(5):
            with pytest.raises(UnavailableError):
                client.get("k")
        with pytest.raises(CircuitOpen):
            client.get("k")


def test_a_no_leaves_the_breaker_alone(serve):
    with RedisClient(serve().url()) as client:
        client.set("k", "text")
        for _ in range(8):
            with pytest.raises(RejectedError):
                client.incr("k")
        assert client.get("k") == b"text"


def test_a_server_that_is_loading_is_waited_for(stub):
    asked = []

    def loading(link):
        link.recv(65536)
        link.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n")
        while link.recv(65536):
            asked.append(1)
            link.sendall(b"-LOADING loading\r\n" if len(asked) < 3 else b":1\r\n")

    with RedisClient(stub(loading).url) as client:
        assert client.incr("n") == 1
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (b"-MISCONF cannot write", RejectedError, "disk"),
        (b"-NOPERM not for you", RejectedError, None),
        (b"-BUSY a script", UnavailableError, "SCRIPT KILL"),
        (b"-MASTERDOWN gone", UnavailableError, None),
        (b"-CLUSTERDOWN gone", UnavailableError, None),
        (b"-LOADING loading", UnavailableError, "moment"),
        (b"-ERR max number of clients reached", UnavailableError, None),
    ],
)
def test_each_kind_of_no_is_told_apart(stub, reply, kind, text):
    def refuse(link):
        link.recv(65536)
        link.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n")
        while link.recv(65536):
            link.sendall(reply + b"\r\n")

    with RedisClient(stub(refuse).url, timeout=0.3) as client, pytest.raises(kind) as caught:
        client.get("k")
    assert caught.value.__cause__ is not None
    assert text is None or text in f"{caught.value}{caught.value.hint}"


def test_a_stopped_server_elsewhere_works_again_when_it_goes_on(serve):
    server = serve()
    with RedisClient(server.url()) as client:
        client.set("k", "v")
        server.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(DeadlineExceeded):
                client.within(0.5).get("k")
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert client.get("k") == b"v"


def test_a_forked_child_makes_its_own_connections(serve):
    with RedisClient(serve().url()) as client:
        client.set("k", "parent")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if not child:
            right = client.set("k", "child") and client.get("k") == b"child"
            os._exit(0 if right else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert client.get("k") == b"child"
        assert client.ping()


@pytest.fixture
def certificate(tmp_path, require):
    """Return a certificate for 127.0.0.1 that nobody vouches for, and its key."""
    openssl = shutil.which("openssl")
    require("openssl", openssl is not None, "no openssl on PATH")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", files[0], "-keyout", files[1]),
        ],
        check=True,
        capture_output=True,
    )
    return files


@pytest.fixture
def encrypted(serve, stub, certificate):
    """Return the port of a real server behind TLS."""
    onward = proxy(serve(), lambda _: False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def handle(link):
        with context.wrap_socket(link, server_side=True) as safe:
            onward(safe)

    return stub(handle).port


def test_a_server_behind_tls_is_reached_with_rediss(encrypted, certificate):
    url = f"rediss://127.0.0.1:{encrypted}/0?ssl_ca_certs={certificate[0]}"
    with RedisClient(url) as client:
        client.set("k", "v" * 1000)
        assert client.get("k") == b"v" * 1000
        assert client.blpop("nothing", timeout=0.1) is None


def test_a_certificate_that_nobody_vouches_for_is_a_wrong_setting(encrypted):
    with pytest.raises(ConfigError, match="not trusted: CERTIFICATE"):
        call(f"rediss://127.0.0.1:{encrypted}/0", 60)


def test_tls_on_a_port_without_it_is_a_wrong_setting(stub):
    def plain(link):
        link.recv(65536)
        link.sendall(b"-ERR Protocol error\r\n")

    with pytest.raises(ConfigError, match="not trusted"):
        call(f"rediss://127.0.0.1:{stub(plain).port}", 60)
