"""Streamed replies from a real server; what both ways of calling share is tested in both."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

from agentnb.core.api import APIClient, Event, pools
from agentnb.core.api.breakers import Breakers
from agentnb.core.errors import (
    DeadlineExceeded,
    InvalidResponse,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.runtime import Runtime
from agentnb.core.trace import Tracer

from .api_server import begins, chunk, hangs, resets, says, streams

ONE, TWO = b'data: {"token": "one"}\n\n', b'data: {"token": "two"}\n\n'


@pytest.fixture(params=["sync", "async"])
def read(request):
    """Return what reads a stream as a list, one way or the other, and the reply."""

    def sync(client, method, url, *words, way="events", found=None, **options):
        found = [] if found is None else found
        with client.stream(method, url, *words, **options) as reply:
            found.extend(getattr(reply, way)())
        return found, reply

    def awaited(client, method, url, *words, way="events", found=None, **options):
        found = [] if found is None else found

        async def run():
            try:
                async with client.astream(method, url, *words, **options) as reply:
                    async for one in getattr(reply, way)():
                        found.append(one)
                return found, reply
            finally:
                for pools in list(client._transport._loops.values()):
                    for pool in pools.values():
                        assert not pool.connections or pool.connections[0].is_idle()
                        await pool.aclose()
                client._transport._loops.clear()

        return asyncio.run(run())

    return sync if request.param == "sync" else awaited


def connections(client):
    """Return the connections that the client keeps, of calls that wait."""
    return [one for pool in client._transport._pools.values() for one in pool.connections]


def test_events_come_one_after_the_other(web, client, read):
    web.on("/x", streams(ONE + TWO[:7], TWO[7:], b": ping\n\n", b"id: 7\nevent: end\ndata: a\n\n"))
    found, reply = read(client, "POST", "/x", {"stream": True})
    assert [one.json() for one in found[:2]] == [{"token": "one"}, {"token": "two"}]
    assert found[2] == Event("a", "end", "7")
    assert (reply.status, reply.last_event_id, reply.items) == (200, "7", 3)
    method, _, headers, body = web.asked[0]
    assert (method, body) == ("POST", b'{"stream":true}')
    assert "text/event-stream" in headers["accept"]
    assert headers["accept-encoding"] == "identity"


def test_lines_and_bytes_come_as_they_are(web, client, read):
    web.on("/lines", streams(b'{"n": 1}\n{"n"', b": 2}\r\n\nlast", kind="application/x-ndjson"))
    assert read(client, "GET", "/lines", way="lines")[0] == ['{"n": 1}', '{"n": 2}', "", "last"]
    assert b"".join(read(client, "GET", "/lines", way="bytes")[0]).endswith(b"\nlast")


def test_an_event_is_there_before_the_next_one_is_sent(web, client):
    go = threading.Event()

    def waits(handler):
        begins(handler)
        chunk(handler, ONE)
        assert go.wait(20)
        chunk(handler, TWO)
        chunk(handler, b"")

    web.on("/x", waits)
    with client.stream("GET", "/x") as reply:
        events = reply.events()
        assert next(events).json() == {"token": "one"}
        go.set()
        assert next(events).json() == {"token": "two"}
        assert next(events, None) is None
    assert [one.is_idle() for one in connections(client)] == [True]


@pytest.mark.parametrize("fault", [says(503), resets])
def test_the_head_is_asked_for_again_as_often_as_the_call_says(web, make_api, read, fault):
    web.on("/x", fault, fault, streams(ONE))
    client = make_api()
    found, reply = read(client, "GET", "/x")
    assert (len(found), reply.attempts, len(web.asked)) == (1, 3, 3)
    web.asked.clear()
    web.on("/x", fault)
    with pytest.raises(UnavailableError):
        read(client, "POST", "/x", {"n": 1})
    assert len(web.asked) == 1


def test_nothing_is_asked_for_again_once_the_body_has_begun(web, client, read, caplog):
    found = []
    web.on("/x", streams(ONE, after=lambda handler: handler.reset()))
    with pytest.raises(UnavailableError, match=r"GET .*/x broke off") as caught:
        read(client, "GET", "/x", found=found)
    assert (len(found), len(web.asked)) == (1, 1)
    assert caught.value.__cause__ is not None
    assert (client.count.calls, client.count.failures) == (1, 1)
    assert "API stream error: GET" in caplog.text


def test_a_body_that_ends_too_early_is_an_error_and_not_the_end(web, client, read):
    def ends(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(ONE)
        handler.close_connection = True

    web.on("/x", ends)
    with pytest.raises(UnavailableError, match="broke off"):
        read(client, "GET", "/x")


def test_a_stream_may_be_silent_for_so_long(web, client, read):
    found = []
    web.on("/x", streams(ONE, TWO, after=hangs))
    with pytest.raises(UnavailableError, match=r"sent nothing for 1 s") as caught:
        read(client, "GET", "/x", idle=1, found=found)
    assert type(caught.value) is UnavailableError
    assert "idle=" in caught.value.hint
    assert (len(found), len(web.asked)) == (2, 1)


def test_a_stream_ends_in_its_time_in_total(web, client, read):
    def on_and_on(handler):
        while not handler.server.over.wait(0.05):
            chunk(handler, ONE)

    found = []
    web.on("/x", streams(after=on_and_on))
    with pytest.raises(DeadlineExceeded, match=r"took longer than 1\.5 s"):
        read(client, "GET", "/x", timeout=1.5, found=found)
    assert found


def test_the_time_of_a_client_s_calls_does_not_end_its_streams(web, make_api):
    web.on("/x", streams(ONE))
    client = make_api(timeout=0.2)
    with client.stream("GET", "/x") as reply:
        time.sleep(0.3)  # longer than the client's own calls may take
        assert len(list(reply.events())) == 1


def test_what_a_caller_does_between_two_events_has_its_own_time(web, client):
    web.on("/x", streams(ONE, TWO))
    web.on("/other", says(200, 7))
    with client.stream("GET", "/x", timeout=5) as reply:
        for _ in reply.events():
            assert client.get("/other") == 7
            assert client._transport._attempt.deadline is None


@pytest.mark.parametrize("way", ["events", "lines"])
def test_a_line_that_never_ends_is_bounded(web, client, read, way):
    def on_and_on(handler):
        for _ in range(500):
            chunk(handler, b"x" * 10_000)

    web.on("/x", streams(b"data: ", after=on_and_on))
    with pytest.raises(InvalidResponse, match=r"more than 100,000 bytes") as caught:
        read(client, "GET", "/x", way=way, max_event=100_000)
    assert "max_event=" in caught.value.hint


def test_a_stream_is_bounded_in_bytes(web, client, read):
    web.on("/x", streams(*[ONE] * 50))
    with pytest.raises(InvalidResponse, match="may have 200 bytes"):
        read(client, "GET", "/x", max_bytes=200)


def test_a_stream_that_is_packed_all_the_same_is_unpacked(web, client, read):
    packed = gzip.compress(ONE + TWO * 10_000)
    web.on("/x", streams(packed[:20], packed[20:], Content_Encoding="gzip"))
    assert len(read(client, "GET", "/x")[0]) == 10_001
    web.on("/x", streams(packed[:-9], Content_Encoding="gzip"))
    with pytest.raises(InvalidResponse, match="in the middle of a gzip"):
        read(client, "GET", "/x")
    web.on("/x", streams(gzip.compress(b"0" * 50_000_000), Content_Encoding="gzip"))
    with pytest.raises(InvalidResponse, match="may have 1,000,000 bytes"):
        read(client, "GET", "/x", way="bytes", max_bytes=1_000_000)


def test_an_error_is_raised_as_by_other_calls_and_nothing_is_left_open(web, client, read):
    web.on("/x", says(404, {"message": "no such model"}))
    with pytest.raises(NotFoundError, match=r"GET .*/x answered 404 Not Found: no such model"):
        read(client, "GET", "/x")
    assert not any(one for one in connections(client) if not one.is_idle())


def test_what_is_no_stream_of_events_is_not_read_as_none(web, client, read):
    web.on("/x", says(200, {"error": "quota"}))
    with pytest.raises(InvalidResponse, match="is no text/event-stream but application/json") as no:
        read(client, "GET", "/x")
    assert "lines()" in no.value.hint
    assert read(client, "GET", "/x", way="lines")[0] == ['{"error": "quota"}']


def test_leaving_early_closes_the_connection(web, client):
    gone = threading.Event()

    def until_gone(handler):
        try:
            while not handler.server.over.wait(0.01):
                chunk(handler, ONE)
        except OSError:
            gone.set()

    web.on("/x", streams(after=until_gone))
    with client.stream("GET", "/x") as reply:
        for _ in reply.events():
            break
        assert next(reply.events()).json() == {"token": "one"}  # goes on where it was left
    assert gone.wait(20)
    assert connections(client) == []
    with pytest.raises(UsageError, match="the stream"):
        next(reply.events())


def test_a_stream_is_read_in_one_way(web, client):
    web.on("/x", streams(ONE, TWO))
    with client.stream("GET", "/x") as reply:
        next(reply.events())
        with pytest.raises(UsageError, match=r"read by events\(\) already"):
            reply.lines()


@pytest.mark.parametrize("kind", ["chunked", "until the end"])
def test_another_thread_may_close_it_and_that_is_not_the_end_of_the_stream(web, client, kind):
    def silent(handler):
        if kind == "chunked":
            begins(handler)
            chunk(handler, ONE)
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + ONE)
            handler.wfile.flush()
        hangs(handler)

    web.on("/x", silent)
    with client.stream("GET", "/x", idle=20) as reply:
        events = reply.events()
        next(events)
        closing = threading.Timer(0.1, reply.close)
        closing.start()
        with pytest.raises(UsageError, match="was closed while it was read"):
            next(events)
        closing.join()


def test_streams_that_hold_all_connections_do_not_hold_a_call_forever(
    web, make_api, read, monkeypatch
):
    monkeypatch.setattr(pools, "CONNECTIONS", 1)
    web.on("/x", streams(ONE, after=hangs))
    client = make_api()
    if read.__name__ == "sync":
        with client.stream("GET", "/x"), pytest.raises(DeadlineExceeded, match="got no connection"):
            read(client, "GET", "/x", idle=0.2)
        return

    async def run():
        async with client.astream("GET", "/x"):
            with pytest.raises(DeadlineExceeded, match="got no connection"):
                async with client.astream("GET", "/x", idle=0.2):
                    pass
        await client.aclose()

    asyncio.run(run())


def test_a_stream_has_these_limits_unless_it_says_otherwise(web, make_api):
    web.on("/x", streams(ONE))
    with make_api(timeout=3, max_bytes=10).stream("GET", "/x") as reply:
        settled = reply._resolved
    assert (settled.timeout, settled.idle) == (None, 60)
    assert (settled.max_bytes, settled.max_event) == (50_000_000, 1_000_000)
    plain = APIClient("http://localhost:9")
    assert (plain._context.options.timeout, plain._context.options.max_bytes) == (30, 10_000_000)
    assert [plain._context.options.attempts(method) for method in ("GET", "HEAD", "POST")] == [
        4,
        4,
        1,
    ]


def test_ctrl_c_ends_a_stream_that_is_silent(web):
    web.on("/x", streams(ONE, after=hangs))
    source = (
        "import sys\n"
        "from agentnb.core.api import APIClient\n"
        "client = APIClient(sys.argv[1])\n"
        "try:\n"
        "    with client.stream('GET', '/x') as reply:\n"
        "        for event in reply.events():\n"
        "            print(event.data, flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    left = [c for p in client._transport._pools.values() for c in p.connections]\n"
        "    print('interrupted', left, flush=True)\n"
    )
    words = [sys.executable, "-c", source, web.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == '{"token": "one"}\n'
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted []\n"
    assert process.returncode == 0


def test_a_task_that_is_cancelled_closes_its_stream(web):
    web.on("/x", streams(ONE, after=hangs))

    async def run():
        async with APIClient(web.url) as client:
            some = asyncio.Event()

            async def reading():
                async with client.astream("GET", "/x") as reply:
                    async for _ in reply.events():
                        some.set()

            task = asyncio.create_task(reading())
            await some.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            pools = client._transport._loops[asyncio.get_running_loop()].values()
            return [one for pool in pools for one in pool.connections]

    assert asyncio.run(run()) == []


def test_the_span_lasts_until_the_last_byte_and_says_what_came(web, make_api, read):
    tracer = Tracer()
    web.on("/x", streams(ONE, TWO))
    read(make_api(runtime=Runtime(tracer=tracer)), "POST", "/x")
    attempt, stream = tracer.recent(2)
    assert (stream.name, stream.service, stream.outcome) == ("stream", "api", "ok")
    assert attempt.parent == stream.span
    found = stream.attributes
    assert (found["events"], found["bytes"], found["status"]) == (2, len(ONE + TWO), 200)
    assert 0 < found["first_byte_ms"] <= stream.ms
    web.on("/x", streams(ONE, after=lambda handler: handler.reset()))
    with pytest.raises(UnavailableError):
        read(make_api(runtime=Runtime(tracer=tracer)), "POST", "/x")
    assert tracer.recent(1)[0].outcome == "UnavailableError"


def test_a_stream_that_breaks_off_says_nothing_about_the_host(web, make_api, read):
    breakers = Breakers(failures=1, cooldown=60)
    client = make_api(breakers=breakers)
    web.on("/x", streams(ONE, after=lambda handler: handler.reset()))
    with pytest.raises(UnavailableError):
        read(client, "GET", "/x")
    assert breakers.of(client.origin).state == "closed"


def test_what_a_stream_says_holds_no_secret(web, make_api, read, caplog):
    caplog.set_level(logging.DEBUG, "agentnb.api")
    secret = "hunter22hunter22"
    web.on("/x", streams(f"{secret}\n".encode(), kind=f"text/{secret}"))
    client = make_api(auth=secret)
    with pytest.raises(InvalidResponse) as caught:
        read(client, "GET", "/x", params={"sig": secret})
    assert "no text/event-stream" in caught.value.message
    assert secret not in f"{caught.value}{caplog.text}{json.dumps(str(caught.value.__notes__))}"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"schema": int}, "no option 'schema'"),
        ({"expect": "text"}, "no option 'expect'"),
        ({"idel": 3}, "no option 'idel'"),
        ({"idle": 0}, "idle must be greater than 0 s, got 0"),
        ({"max_event": 0}, "max_event must be 1 or more, got 0"),
    ],
)
def test_an_option_that_a_stream_has_not_is_refused(web, client, read, options, why):
    with pytest.raises(UsageError, match=why):
        read(client, "GET", "/x", **options)
    with pytest.raises(UsageError, match="no option 'idle'"):
        client.get("/x", idle=3)
    assert not web.asked


@pytest.mark.parametrize("option", [{"etag": '"v1"'}, {"schema": dict}, {"expect": "text"}])
def test_an_option_of_whole_replies_is_refused_by_a_stream(web, client, read, option):
    with pytest.raises(UsageError, match=f"no option '{next(iter(option))}'"):
        read(client, "GET", "/s", **option)
    assert not web.asked


def test_a_stream_that_is_not_newer_is_an_error(web, client, read):
    web.on("/s", says(304, raw=b""))
    with pytest.raises(RejectedError, match="304 Not Modified"):
        read(client, "GET", "/s", headers={"If-None-Match": '"v1"'})


def test_lines_are_of_the_charset_that_the_reply_names(web, client, read):
    web.on("/s", says(200, raw="café\nü".encode("latin-1"), kind="text/plain; charset=Latin-1"))
    assert read(client, "GET", "/s", way="lines")[0] == ["café", "ü"]
    for kind in ("utf-16", "nonsense"):
        web.on("/s", says(200, raw="a\nb".encode("utf-16"), kind=f"text/plain; charset={kind}"))
        with pytest.raises(InvalidResponse, match=f"its text is {kind}, which is not cut"):
            read(client, "GET", "/s", way="lines")


def test_a_forked_child_that_closes_a_stream_leaves_it_to_its_parent(web, client):
    web.on("/s", says(200, raw=ONE + TWO, kind="text/event-stream"))
    with client.stream("GET", "/s") as reply:
        events = reply.events()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the test has threads
            child = os.fork()
        if not child:
            reply.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [event.json()["token"] for event in events] == ["one", "two"]
