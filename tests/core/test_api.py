from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import subprocess
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

import msgspec
import pydantic
import pytest

from agentnb.core.api import APIClient
from agentnb.core.errors import (
    AgentnbError,
    InvalidResponse,
    NotFoundError,
    RejectedError,
    UsageError,
)
from agentnb.core.loop import LoopThread
from agentnb.core.redact import Secret
from agentnb.core.resilience import RetryPolicy
from agentnb.core.runtime import Runtime
from agentnb.core.trace import Tracer, start_trace, use

from .api_server import Server, says

SECRET = "hunter22hunter22"


class User(msgspec.Struct):
    name: str
    age: int


@dataclass
class UserData:
    name: str
    age: int


class UserDict(TypedDict):
    name: str
    age: int


class UserModel(pydantic.BaseModel):
    name: str
    age: int


def last(web):
    method, path, headers, body = web.asked[-1]
    return method, path, {name.lower(): value for name, value in headers.items()}, body


def test_each_method_sends_itself_and_returns_the_data(web, client):
    web.on("/x", says(200, {"ok": True}))
    assert client.get("/x", params={"page": 2, "tag": ["a", "b"], "none": None}) == {"ok": True}
    assert last(web)[:2] == ("GET", "/x?page=2&tag=a&tag=b")
    for call, method in (
        *((client.post, "POST"), (client.put, "PUT")),
        *((client.patch, "PATCH"), (client.delete, "DELETE")),
    ):
        assert call("/x", {"n": 1}) == {"ok": True}
        sent, _, headers, body = last(web)
        assert (sent, body) == (method, b'{"n":1}')
        assert headers["content-type"] == "application/json"


def test_each_method_can_be_awaited(web):
    web.on("/x", says(200, [1]))

    async def call_all():
        async with APIClient(web.url) as client:
            calls = (client.apost, client.aput, client.apatch, client.adelete)
            return [await client.aget("/x"), *[await call("/x", {"n": 1}) for call in calls]]

    assert asyncio.run(call_all()) == [[1]] * 5
    assert [one[0] for one in web.asked] == ["GET", "POST", "PUT", "PATCH", "DELETE"]


def test_one_client_serves_several_loops(web, client):
    web.on("/x", says(200, 7))
    loops = [LoopThread(), LoopThread()]
    try:
        assert [loop.call(client.aget, "/x") for loop in loops for _ in range(2)] == [7] * 4
        pools = [next(iter(found.values())) for found in client._transport._loops.values()]
        for loop, pool in zip(loops, pools, strict=True):
            loop.call(pool.aclose)
    finally:
        for loop in loops:
            loop.close()


def test_connections_are_kept_and_shared_by_threads(web, client, together):
    ports = []

    def note(handler):
        ports.append(handler.client_address[1])
        handler.say(200, 1)

    web.on("/x", note)
    for _ in range(5):
        client.get("/x")
    assert len(set(ports)) == 1
    results, errors = together(8, lambda: client.get("/x"))
    assert results == [1] * 8
    assert not errors


def test_a_path_is_put_under_the_base_url(web, make_api):
    web.on("/v1/users", says(200, 1))
    client = make_api(f"{web.url}/v1/")
    assert client.get("/users") == client.get("users") == client.get(f"{web.url}/v1/users") == 1


def test_a_call_overrides_what_the_client_was_told(web, make_api):
    client = make_api(headers={"X-One": "1", "X-Two": "2"}, auth="first-token", schema=int)
    web.on("/x", says(200, {"a": 1}))
    with pytest.raises(InvalidResponse):
        client.get("/x")
    found = client.get(
        "/x", schema=None, headers={"x-one": "9", "X-Two": None}, auth=("ada", SECRET)
    )
    headers = last(web)[2]
    assert found == {"a": 1}
    assert headers["x-one"] == "9"
    assert "x-two" not in headers
    basic = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    assert headers["authorization"] == f"Basic {basic}"
    client.get("/x", schema=None, auth=None)
    assert "authorization" not in last(web)[2]
    with pytest.raises(UsageError, match="no option 'tmeout'") as caught:
        client.get("/x", tmeout=3)
    assert caught.value.hint == "did you mean timeout?"


@pytest.mark.parametrize("schema", [User, UserData, UserDict, UserModel])
def test_a_reply_is_checked_by_its_schema(web, client, schema):
    web.on("/good", says(200, {"name": "ada", "age": 36}))
    web.on("/bad", says(200, {"name": "ada", "age": "hunter22 years"}))
    found = client.get("/good", schema=schema)
    assert (found["age"] if schema is UserDict else found.age) == 36
    if schema is not UserDict:
        assert type(found) is schema
    with pytest.raises(
        InvalidResponse, match=r"(?s)GET .*/bad answered, but its body is not User.*age"
    ) as caught:
        client.get("/bad", schema=schema)
    assert caught.value.status == 200
    assert caught.value.content_type == "application/json"
    assert "hunter22" not in caught.value.message
    assert len(web.asked) == 2  # a reply that is wrong is not asked for again


def test_what_is_no_schema_is_refused_before_the_call(web, client):
    with pytest.raises(UsageError, match="is not a schema"):
        client.get("/x", schema=len)
    assert not web.asked


def test_a_schema_s_values_can_be_sent(web, client):
    web.on("/x", says(200, 1))
    for one in (User("ada", 36), UserData("ada", 36), UserModel(name="ada", age=36)):
        client.post("/x", one)
        assert last(web)[3] == b'{"name":"ada","age":36}'
    client.post("/x", b"\x00\x01")
    assert last(web)[3] == b"\x00\x01"
    assert last(web)[2]["content-type"] == "application/octet-stream"
    client.post("/x", {"at": datetime(2026, 1, 2, tzinfo=UTC), "pair": (1, 2)})
    assert last(web)[3] == b'{"at":"2026-01-02T00:00:00Z","pair":[1,2]}'


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}, object(), {"a": object()}])
def test_what_json_would_lose_is_not_sent(web, client, value):
    with pytest.raises(UsageError):
        client.post("/x", value)
    assert not web.asked


def test_text_and_bytes_come_where_they_are_asked_for(web, client):
    web.on("/x", says(200, raw="größe".encode("latin-1"), kind="text/plain; charset=latin-1"))
    assert client.get("/x", expect="text") == "größe"
    assert client.get("/x", expect="bytes") == "größe".encode("latin-1")
    assert last(web)[2]["accept"] == "*/*"


def test_a_whole_reply_has_status_and_headers(web, client):
    web.on("/x", says(201, {"id": 7}, X_Trace="abc"))
    reply = client.request("POST", "/x", {"a": 1})
    assert (reply.status, reply.data, reply.headers["x-trace"]) == (201, {"id": 7}, "abc")
    assert (reply.method, reply.url, reply.attempts) == ("POST", f"{web.url}/x", 1)
    assert reply.ms > 0


def test_a_reply_without_a_body_is_none(web, client):
    web.on("/none", says(204))
    web.on("/empty", says(200, raw=b""))
    assert client.get("/none") is None
    assert client.delete("/empty") is None
    assert client.request("HEAD", "/empty").data is None
    with pytest.raises(InvalidResponse, match="no JSON"):
        client.get("/empty")


def test_hooks_see_and_change_requests_and_replies(web, make_api):
    web.on("/x", says(200, {"a": 1}))

    def sign(request):
        request.headers["X-Sign"] = f"{request.method} {request.data['n']}"

    async def unwrap(reply):
        await asyncio.sleep(0)
        reply.data = reply.data["a"]

    client = make_api(on_request=[sign], on_response=[unwrap])
    assert client.post("/x", {"n": 5}) == 1
    assert last(web)[2]["x-sign"] == "POST 5"
    assert asyncio.run(_closing(client, client.apost("/x", {"n": 6}))) == 1
    assert last(web)[2]["x-sign"] == "POST 6"


async def _closing(client, call):
    try:
        return await call
    finally:
        await client.aclose()


def test_a_synchronous_call_on_the_client_s_own_loop_is_an_error(web, make_api):
    made = []

    async def calls_again(_):
        made[0].get("/x")

    web.on("/x", says(200, 1))
    made.append(make_api(on_request=[calls_again]))
    with pytest.raises(UsageError, match="own event loop"):
        made[0].get("/x")


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, RejectedError, None),
        (401, RejectedError, "auth="),
        (403, RejectedError, "token"),
        (404, NotFoundError, "URL"),
        (409, RejectedError, None),
        (410, NotFoundError, "URL"),
        (422, RejectedError, None),
    ],
)
def test_a_no_is_an_error_with_the_status_and_what_was_said(web, client, status, kind, hint):
    web.on("/x", says(status, {"message": "because of the moon"}))
    with pytest.raises(
        kind, match=rf"GET .*/x answered {status} .*: because of the moon"
    ) as caught:
        client.get("/x")
    assert caught.value.status == status
    assert hint is None or hint in caught.value.hint
    assert len(web.asked) == 1


def test_an_error_survives_pickling():
    error = InvalidResponse("no JSON", service="api", hint="look")
    error.status, error.content_type, error.snippet = 200, "text/html", "<html>"
    found = pickle.loads(pickle.dumps(error))
    assert (found.status, found.content_type, found.snippet) == (200, "text/html", "<html>")
    assert (found.message, found.hint, found.__notes__) == ("no JSON", "look", ["hint: look"])


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://a.example", "a.example", "", "https://", "https://a b/", "https://a?x=1"),
        *("https://a:99999", "https://a\n.example", "file:///etc/passwd"),
    ],
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(UsageError):
        APIClient(url)


@pytest.mark.parametrize("url", ["//evil.example/x", "gopher://a/x", "http://u:p@a/x", 7])
def test_what_is_no_url_of_a_call_is_refused(web, client, url):
    with pytest.raises(UsageError):
        client.get(url)
    assert not web.asked


@pytest.mark.parametrize(
    "options",
    [
        *({"timeout": 0}, {"timeout": "3"}, {"max_bytes": 0}, {"retries": -1}),
        *({"headers": {"A B": "x"}}, {"headers": {"A": f"{SECRET}\n"}}, {"auth": 7}),
        {"auth": f"{SECRET}\nX-Other: 1"},
        *({"headers": [("A", SECRET)]}, {"headers": {f"A\r\n{SECRET[:0]}": "x"}}),
        *({"headers": {"Content-Length": "5"}}, {"headers": {"Transfer-Encoding": "chunked"}}),
        *({"timeout": float("inf")}, {"timeout": 1e12}),
    ],
)
def test_an_option_that_cannot_be_is_refused_and_shows_no_secret(options):
    with pytest.raises(UsageError) as caught:
        APIClient("https://a.example", **options)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("params", [f"token={SECRET}", [("token", SECRET)]])
def test_a_query_that_has_no_names_is_refused_and_not_shown(web, client, params):
    with pytest.raises(UsageError, match="params= cannot be a") as caught:
        client.get("/x", params=params)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert not web.asked


@pytest.mark.parametrize(
    "url", [f"ada:{SECRET}@a.example", f"http://ada:{SECRET}/x@a.example", f"ada:{SECRET}@h/a@b"]
)
def test_a_url_that_is_wrong_shows_no_login_not_even_in_the_traceback(url):
    with pytest.raises(UsageError) as caught:
        APIClient(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_closed_client_says_so(web, make_api):
    web.on("/x", says(200, 1))
    client = make_api()
    client.get("/x")
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.get("/x")


def test_credentials_stay_with_the_origin_that_they_are_for(make_api):
    other = Server()
    try:
        other.on("/x", says(200, 1))
        client = make_api(auth=SECRET, headers={"X-Api-Key": SECRET, "X-Plain": "p"})
        assert client.get(f"{other.url}/x") == 1
        assert SECRET not in str(other.asked)
        client.get(f"{other.url}/x", auth="meant-for-it")
        assert last(other)[2]["authorization"] == "Bearer meant-for-it"
    finally:
        other.stop()


def test_a_redirect_is_followed_only_when_asked_to(web, client):
    web.on("/a", says(302, None, Location="/b?page=1"))
    web.on("/b", says(200, "there"))
    with pytest.raises(RejectedError, match="302") as caught:
        client.get("/a")
    assert caught.value.hint == "follow_redirects=True goes there"
    reply = client.request("GET", "/a", follow_redirects=True)
    assert (reply.data, reply.url) == ("there", f"{web.url}/b?page=1")


def test_a_post_that_is_redirected_keeps_its_body_or_becomes_a_get(web, make_api):
    client = make_api(follow_redirects=True)
    web.on("/x", says(200, 1))
    for status, method, body in ((307, "POST", b'{"n":1}'), (303, "GET", b""), (302, "GET", b"")):
        web.on("/from", says(status, None, Location="/x"))
        client.post("/from", {"n": 1})
        assert (last(web)[0], last(web)[3]) == (method, body)


def test_a_redirect_to_another_origin_gets_no_credentials(web, make_api):
    other = Server()
    try:
        other.on("/x", says(200, 1))
        web.on("/from", says(307, None, Location=f"{other.url}/x"))
        client = make_api(auth=SECRET, follow_redirects=True)
        assert client.post("/from", {"n": 1}, headers={"X-Api-Key": SECRET, "Cookie": SECRET}) == 1
        assert SECRET in str(web.asked)
        assert SECRET not in str(other.asked)
        assert last(other)[3] == b'{"n":1}'
    finally:
        other.stop()


@pytest.mark.parametrize("target", ["ftp://a/x", "http://u:p@127.0.0.1/x", "http://["])
def test_a_redirect_to_where_no_call_should_go_is_refused(web, make_api, target):
    web.on("/from", says(302, None, Location=target))
    with pytest.raises(RejectedError, match="no call should go"):
        make_api(follow_redirects=True).get("/from")


def test_a_trace_goes_on_at_the_service(web, make_api):
    web.on("/x", says(200, 1))
    tracer = Tracer()
    client = make_api(runtime=Runtime(tracer=tracer))
    with use(None):
        here = start_trace()
        client.get("/x")
    span = tracer.recent(1)[0]
    assert (span.name, span.service, span.outcome, span.attempt) == ("GET", "api", "ok", 1)
    assert span.trace_id == here.trace_id
    assert last(web)[2]["traceparent"] == span.traceparent


def test_requests_and_replies_are_logged_without_their_secrets(web, make_api, caplog):
    web.on("/x", says(200, {"a": 1}))
    web.on("/no", says(403, {"message": f"token={SECRET} is not good"}))
    client = make_api(auth=SECRET, headers={"X-Api-Key": SECRET})
    with caplog.at_level(logging.DEBUG):
        client.post(f"/x?sig={SECRET}&page=2", {"password": SECRET, "name": "ada"})
        with pytest.raises(RejectedError) as caught:
            client.get("/no", params={"api_key": SECRET})
    records = [one for one in caplog.records if one.name == "agentnb.api"]
    sent, got = records[:2]
    assert (sent.levelname, sent.data["method"]) == ("DEBUG", "POST")
    assert sent.data["url"] == f"{web.url}/x?sig=••••••&page=2"
    assert sent.data["data"] == {"password": "••••••", "name": "ada"}
    assert (got.levelname, got.data["status"]) == ("DEBUG", 200)
    failed = records[-1]
    assert (failed.levelname, failed.data["status"]) == ("ERROR", 403)
    everything = "".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert SECRET not in everything
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert SECRET not in repr(client)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"auth": SECRET}, "authorization"),
        ({"auth": Secret(SECRET)}, "authorization"),
        ({"headers": {"X-Api-Key": SECRET}}, "x-api-key"),
        ({"headers": {"Cookie": f"a=1; session={SECRET}"}}, "cookie"),
    ],
)
def test_what_a_service_repeats_of_a_credential_is_not_shown(web, make_api, caplog, options, name):
    def repeats(status, kind):
        def act(handler):
            said = {k.lower(): v for k, v in handler.headers.items()}[name]
            handler.say(status, raw=f"<p>{SECRET} of {said}".encode(), kind=kind)

        return act

    web.on("/no", repeats(400, "text/plain"))
    web.on("/ill", repeats(500, "text/plain"))
    web.on("/page", repeats(200, "text/html"))
    tracer = Tracer()
    client = make_api(
        runtime=Runtime(tracer=tracer), retries=RetryPolicy(attempts=2, first=0.01), **options
    )
    found = []
    with caplog.at_level(logging.DEBUG, "agentnb"):
        for path in ("/no", "/ill", "/page"):
            with pytest.raises(AgentnbError) as caught:
                client.get(path)
            error = caught.value
            found += [*traceback.format_exception(error), getattr(error, "snippet", "")]
    found += [repr(vars(one)) for one in caplog.records]
    found += [repr(one) for one in tracer.recent(10)]
    found.append(repr(client.breakers.of(client.origin).snapshot()))
    assert SECRET not in "".join(found)
    assert "•••••• of" in "".join(found)


def test_no_secret_is_in_a_repr(web, make_api):
    seen = []
    web.on("/x", says(200, {"token": SECRET}, Set_Cookie=SECRET))
    client = make_api(
        f"{web.url.replace('//', f'//ada:{SECRET}@')}",
        on_request=[lambda it: seen.append(repr(it))],
        on_response=[lambda it: seen.append(repr(it))],
    )
    client.get("/x", params={"access_token": SECRET}, auth=Secret(SECRET))
    assert len(seen) == 2
    assert SECRET not in f"{seen} {client!r}"


def test_httpx_is_imported_when_the_first_call_is_made():
    source = (
        "import sys, agentnb.core.api as api; c = api.APIClient('https://a.example');"
        "sys.exit('httpx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
