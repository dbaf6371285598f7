"""Each fault of a service, by a real server that has it; every test runs both ways of calling."""

from __future__ import annotations

import asyncio
import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agentnb.core.api import APIClient, pools
from agentnb.core.api.breakers import Breakers
from agentnb.core.errors import (
    CircuitOpen,
    DeadlineExceeded,
    InvalidResponse,
    RateLimited,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.resilience import RetryPolicy

from .api_server import drips, drips_headers, hangs, resets, resets_in_the_body, says


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Return what makes a call, one way or the other."""

    def sync(client, method, url, *words, **options):
        return getattr(client, method)(url, *words, **options)

    def awaited(client, method, url, *words, **options):
        async def run():
            try:
                return await getattr(client, f"a{method}")(url, *words, **options)
            finally:
                # The client goes on in the next loop of the test.
                for pools in list(client._transport._loops.values()):
                    for pool in pools.values():
                        await pool.aclose()
                client._transport._loops.clear()

        return asyncio.run(run())

    return sync if request.param == "sync" else awaited


def warnings_of(caplog):
    return [one for one in caplog.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize("fault", [resets, resets_in_the_body, says(500), says(503), says(502)])
def test_a_get_is_made_again_until_it_works(web, client, call, caplog, fault):
    web.on("/x", fault, fault, fault, says(200, "there"))
    assert call(client, "get", "/x") == "there"
    assert len(web.asked) == 4
    found = [one.getMessage() for one in warnings_of(caplog)]
    assert [text.partition(", next")[0] for text in found] == [
        f"API request retry: GET {web.url}/x failed, attempt {n} of 4, {4 - n} left"
        for n in (1, 2, 3)
    ]
    assert client.count.retries == 3


@pytest.mark.parametrize("fault", [resets, resets_in_the_body, says(500, {"error": "the disk"})])
def test_a_get_gives_up_after_three_retries_with_the_last_error(web, client, call, fault):
    web.on("/x", fault)
    with pytest.raises(UnavailableError, match=r"GET .*/x (?:answered 500|broke off)") as caught:
        call(client, "get", "/x")
    assert type(caught.value) is UnavailableError
    assert len(web.asked) == 4


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("fault", [resets, says(500), says(503, None, Retry_After="0")])
def test_what_is_no_get_is_made_once(web, client, call, method, fault):
    web.on("/x", fault)
    with pytest.raises(UnavailableError):
        call(client, method, "/x", {"n": 1})
    assert len(web.asked) == 1


@pytest.mark.parametrize("fault", [resets, says(502)])
def test_a_post_that_failed_says_that_it_may_be_done(web, client, call, fault):
    web.on("/x", fault)
    with pytest.raises(UnavailableError) as caught:
        call(client, "post", "/x", {"n": 1})
    assert "may have done it" in caught.value.hint
    assert fault is not resets or caught.value.__cause__ is not None


def test_a_call_may_ask_for_retries_of_its_own(web, client, call):
    web.on("/x", says(500), says(200, 1))
    policy = RetryPolicy(attempts=2, first=0.01, jitter=0)
    assert call(client, "post", "/x", {"n": 1}, retries=policy) == 1
    web.on("/x", says(500))
    web.asked.clear()
    with pytest.raises(UnavailableError):
        call(client, "get", "/x", retries=0)
    assert len(web.asked) == 1


def test_a_refused_connection_is_tried_again(make_api, call, caplog):
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))  # and does not listen
        client = make_api(f"http://127.0.0.1:{link.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="does not take connections"):
            call(client, "get", "/x")
    assert len(warnings_of(caplog)) == 3


def test_an_unknown_host_is_not_tried_again(make_api, call, caplog):
    client = make_api("http://no-such-host.invalid")
    with pytest.raises(UnavailableError, match=r"the host no-such-host\.invalid is unknown"):
        call(client, "get", "/x")
    assert not warnings_of(caplog)


@pytest.mark.parametrize("host", ["a..b", "a" * 300])
def test_a_name_that_no_host_can_have_is_one_that_is_unknown(make_api, call, caplog, host):
    with pytest.raises(UnavailableError, match="is unknown"):
        call(make_api(f"http://{host}"), "get", "/x")
    assert not warnings_of(caplog)


def test_a_name_that_is_looked_up_forever_ends_in_its_time(make_api, monkeypatch):
    over, real = threading.Event(), socket.getaddrinfo

    def slow(*words, **options):
        over.wait(20)
        return real(*words, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = make_api("http://localhost:9", retries=0, timeout=0.2)
    begun = time.monotonic()
    try:
        with pytest.raises(DeadlineExceeded):
            client.get("/x")
    finally:
        over.set()
    assert time.monotonic() - begun < 5


def test_more_calls_than_connections_say_nothing_about_the_host(web, make_api, monkeypatch):
    monkeypatch.setattr(pools, "CONNECTIONS", 1)
    web.on("/hang", hangs)
    web.on("/x", says(200, 1))
    breakers = Breakers(failures=1, cooldown=60)
    client = make_api(breakers=breakers, retries=0)

    def hang():
        with pytest.raises(UnavailableError):
            client.get("/hang")

    busy = threading.Thread(target=hang)
    busy.start()
    while not web.asked:
        time.sleep(0.01)
    with pytest.raises(DeadlineExceeded, match="got no connection"):
        client.get("/x", timeout=0.1)
    assert breakers.of(client.origin).state == "closed"
    # Closing ends the call that is under way: nobody waits for its time to be over.
    begun = time.monotonic()
    client.close()
    busy.join()
    assert time.monotonic() - begun < 5


def test_a_host_that_speaks_no_tls_is_not_tried_again(web, make_api, call, caplog):
    client = make_api(web.url.replace("http:", "https:"))
    with pytest.raises(UnavailableError, match="no trusted connection"):
        call(client, "get", "/x")
    assert not warnings_of(caplog)


def test_a_certificate_that_nobody_trusts_is_not_tried_again(
    make_api, call, caplog, require, tmp_path
):
    openssl = shutil.which("openssl")
    require("openssl", openssl is not None, "no openssl on PATH")
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x")
    subprocess.run([openssl, *words, "-keyout", key, "-out", pem], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        came = []

        def serve():
            while True:
                try:
                    link, _ = listening.accept()
                except OSError:
                    return
                came.append(1)
                try:
                    context.wrap_socket(link, server_side=True).close()
                except OSError:
                    link.close()

        thread = threading.Thread(target=serve)
        thread.start()
        client = make_api(f"https://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(UnavailableError, match=r"no trusted connection.*self-signed") as caught:
            call(client, "get", "/x")
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(came) == 1
    assert "SSL_CERT_FILE" in caught.value.hint
    assert not warnings_of(caplog)


def test_a_get_that_hangs_is_made_again_within_its_time(web, client, call):
    web.on("/x", hangs, says(200, "there"))
    assert call(client, "get", "/x", timeout=1.0) == "there"
    assert len(web.asked) == 2


@pytest.mark.parametrize("fault", [hangs, drips, drips_headers])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_call_ends_in_its_time_whatever_the_server_does(web, client, call, fault, method):
    web.on("/x", fault)
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        call(client, method, "/x", timeout=0.6)
    assert time.monotonic() - started < 5  # drips alone take minutes
    if fault is not hangs:  # which is tried again until there is no time for another
        assert isinstance(caught.value, DeadlineExceeded)
        assert "took longer than 0.6 s" in caught.value.message


def test_a_kept_connection_that_has_died_is_replaced(web, client):
    def says_and_leaves(handler):
        handler.say(200, 1)
        handler.wfile.flush()
        handler.reset()

    web.on("/x", says_and_leaves, says_and_leaves, says(200, 2))
    assert [client.get("/x") for _ in range(3)] == [1, 1, 2]


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_asked_for_is_kept(web, client, call, status):
    web.on("/x", says(status, None, Retry_After="1"), says(200, "there"))
    started = time.monotonic()
    assert call(client, "get", "/x") == "there"
    assert time.monotonic() - started >= 0.9  # the pause itself, not a speed


def test_a_wait_may_be_a_date_by_the_server_s_own_clock(web, client):
    ahead = datetime.now(UTC) + timedelta(hours=5)  # its clock is wrong

    def limited(handler):
        handler.send_response_only(503)
        handler.send_header("Date", format_datetime(ahead, usegmt=True))
        later = ahead + timedelta(seconds=90)
        handler.send_header("Retry-After", format_datetime(later, usegmt=True))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    web.on("/x", limited)
    with pytest.raises(RateLimited) as caught:
        client.get("/x")
    left = (caught.value.reset_at - datetime.now(UTC)).total_seconds()
    assert 60 < left < 100


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_too_long_is_an_error_that_says_until_when(web, client, call, status):
    web.on("/x", says(status, {"message": "slower"}, Retry_After="31"))
    with pytest.raises(RateLimited, match="slower") as caught:
        call(client, "get", "/x")
    assert 20 < (caught.value.reset_at - datetime.now(UTC)).total_seconds() < 32
    assert caught.value.status == status
    assert len(web.asked) == 1


def test_a_wait_beyond_the_deadline_is_not_begun(web, client, call):
    web.on("/x", says(429, None, Retry_After="20"))
    with pytest.raises(RateLimited):
        call(client, "get", "/x", timeout=2)
    assert len(web.asked) == 1


@pytest.mark.parametrize("after", ["soon", "-3", "9" * 40, "٣"])
def test_a_wait_that_is_nonsense_does_no_harm(web, client, after):
    web.on("/x", lambda it: it.say(429, None, Retry_After=after.encode().decode("latin-1")))
    with pytest.raises(RateLimited):
        client.get("/x")


def test_the_limit_that_github_answers_as_a_403_is_one(web, client):
    reset = int(time.time()) + 600
    web.on("/x", says(403, None, X_RateLimit_Remaining="0", X_RateLimit_Reset=str(reset)))
    with pytest.raises(RateLimited) as caught:
        client.get("/x")
    assert abs(caught.value.reset_at.timestamp() - reset) < 2


def test_too_many_calls_do_not_open_the_breaker(web, client, call):
    web.on("/x", says(429))
    for _ in range(3):
        with pytest.raises(RateLimited):
            call(client, "get", "/x")
    assert len(web.asked) == 12
    assert client.breakers.of(client.origin).state == "closed"


def test_a_host_that_fails_is_left_alone_and_tried_again_later(web, make_api, call):
    breakers = Breakers(failures=3, cooldown=0.3)
    client = make_api(breakers=breakers, retries=0)
    web.on("/x", says(500), says(500), says(500), says(200, "well"))
    for _ in range(3):
        with pytest.raises(UnavailableError, match="500"):
            call(client, "get", "/x")
    with pytest.raises(CircuitOpen) as caught:
        call(client, "get", "/other")
    assert "500" in caught.value.message
    assert len(web.asked) == 3
    time.sleep(0.35)  # the cool-down itself
    assert call(client, "get", "/x") == "well"
    assert breakers.of(client.origin).state == "closed"


def test_a_breaker_that_opens_between_attempts_leaves_the_last_error(web, make_api, call):
    client = make_api(breakers=Breakers(failures=2, cooldown=60))
    web.on("/x", says(500))
    with pytest.raises(UnavailableError, match="500"):
        call(client, "get", "/x")
    assert len(web.asked) == 2


def test_a_no_and_a_wrong_body_do_not_open_the_breaker(web, make_api):
    client = make_api(breakers=Breakers(failures=1))
    web.on("/no", says(400))
    web.on("/html", says(200, raw=b"<html>", kind="text/html"))
    for path, kind in (("/no", RejectedError), ("/html", InvalidResponse)):
        with pytest.raises(kind):
            client.get(path)
    assert client.breakers.of(client.origin).state == "closed"


def test_a_breaker_belongs_to_a_host(web, make_api):
    breakers = Breakers(failures=1, cooldown=60)
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        dead = make_api(f"http://127.0.0.1:{link.getsockname()[1]}", breakers=breakers, retries=0)
        with pytest.raises(UnavailableError):
            dead.get("/x")
        with pytest.raises(CircuitOpen):
            dead.get("/x")
    web.on("/x", says(200, 1))
    assert make_api(breakers=breakers).get("/x") == 1


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"{'a': 1}", "application/json"),
        (b'{"a": 1', "application/json"),
        (b"<!doctype html><p>Log in", "text/html; charset=utf-8"),
        (b"\xff\xfe", "application/json"),
        (b"\xe9", "text/plain; charset=no-such"),
        (b"[" * 100_000, "application/json"),
    ],
)
def test_a_body_that_is_no_json_is_an_error_and_not_asked_for_again(web, client, call, raw, kind):
    web.on("/x", says(200, raw=raw, kind=kind))
    with pytest.raises(InvalidResponse, match=r"GET .*/x answered, but its") as caught:
        call(client, "get", "/x")
    assert (caught.value.status, caught.value.content_type) == (200, kind)
    assert len(web.asked) == 1


def test_the_snippet_of_a_body_holds_no_secret(web, client):
    web.on("/x", says(200, raw=b"<html>\x1b[31m password=hunter22\n" + b"x" * 5000))
    with pytest.raises(InvalidResponse) as caught:
        client.get("/x")
    assert caught.value.snippet.startswith("<html>")
    assert "hunter22" not in f"{caught.value} {caught.value.snippet}"
    assert "\x1b" not in f"{caught.value} {caught.value.snippet}"
    assert len(caught.value.snippet) < 200


def test_a_body_that_is_packed_is_unpacked(web, client, call):
    one, two = gzip.compress(b'{"a": '), gzip.compress(b"1}")
    web.on("/x", says(200, raw=one + two, Content_Encoding="gzip"))
    assert call(client, "get", "/x") == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "encoding", "why"),
    [
        (b"no gzip", "gzip", "no gzip"),
        (gzip.compress(b"[1, 2, 3]" * 9, mtime=0)[:-12], "gzip", "in the middle"),
        (b"x", "br", "not asked for"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_an_error(web, client, call, raw, encoding, why):
    web.on("/x", says(200, raw=raw, Content_Encoding=encoding))
    with pytest.raises(InvalidResponse, match=why):
        call(client, "get", "/x")


def test_a_body_that_is_too_large_is_not_read(web, client, call):
    sent = []

    def much(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent.append(1)

    web.on(
        "/declared",
        lambda it: (
            it.send_response(200),
            it.send_header("Content-Length", "200000000"),
            it.end_headers(),
        ),
    )
    web.on("/chunked", much)
    for path in ("/declared", "/chunked"):
        with pytest.raises(InvalidResponse, match="may have 100,000 bytes") as caught:
            call(client, "get", path, max_bytes=100_000)
        assert "max_bytes=" in caught.value.hint
    assert len(sent) < 1000


def test_a_gzip_bomb_is_unpacked_no_further_than_it_may_be(web, client):
    bomb = gzip.compress(b"0" * 200_000_000)  # 200 kB
    web.on("/x", says(200, raw=bomb, Content_Encoding="gzip"))
    web.on("/y", says(500, raw=bomb, Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponse, match="larger than that"):
            client.get("/x", max_bytes=1_000_000)
        with pytest.raises(UnavailableError):
            client.get("/y", retries=0)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_redirect_loop_ends_after_five(web, client, call):
    web.on("/x", says(302, None, Location="/x"))
    with pytest.raises(RejectedError, match="more than 5 times"):
        call(client, "get", "/x", follow_redirects=True)
    assert len(web.asked) == 6


def test_a_header_that_a_hook_breaks_is_not_shown(web, make_api):
    def spoil(request):
        request.headers["authorization"] = "hunter22\nX: 1"

    with pytest.raises(UsageError) as caught:
        make_api(on_request=[spoil]).get("/x")
    assert "hunter22" not in str(caught.value)
    assert not web.asked


def test_a_call_that_is_cancelled_ends_at_once_and_says_nothing_about_the_host(web):
    web.on("/x", hangs)
    web.on("/y", says(200, 1))

    async def run():
        async with APIClient(web.url, breakers=Breakers(failures=1)) as client:
            task = asyncio.create_task(client.aget("/x"))
            while not web.asked:  # noqa: ASYNC110 - it is the server's thread that says so
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await client.aget("/y"), client.breakers.of(client.origin).state

    assert asyncio.run(run()) == (1, "closed")


def test_a_proxy_of_the_environment_is_used(web, make_api, monkeypatch):
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    web.on("http://an.example/x", says(200, "by proxy"))
    assert make_api("http://an.example").get("/x") == "by proxy"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    web.on("/x", says(200, "direct"))
    assert make_api().get("/x") == "direct"
