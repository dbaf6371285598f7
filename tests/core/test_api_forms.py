"""Forms, uploads, default parameters, cookies, conditional calls and HEAD."""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import io
import logging
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.api import APIClient
from agentnb.core.api.address import joined
from agentnb.core.api.cookies import Cookies
from agentnb.core.api.forms import Form
from agentnb.core.errors import RejectedError, UsageError

from .api_server import resets, says

SECRET = "hunter22hunter22"


def last(web):
    method, path, headers, body = web.asked[-1]
    return method, path, {name.lower(): value for name, value in headers.items()}, body


def parts_of(body, kind):
    """Read a multipart body with the standard library's parser of messages."""
    message = email.message_from_bytes(
        f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP
    )
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


def test_a_form_is_sent_as_one(web, client):
    web.on("/x", says(200, 1))
    fields = {"name": "Ada & Co", "tag": ["a", "b"], "n": 7, "ok": True, "none": None}
    client.post("/x", form=fields | {"day": dt.date(2026, 1, 2)})
    _, _, headers, body = last(web)
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(body.decode()) == [
        *(("name", "Ada & Co"), ("tag", "a"), ("tag", "b"), ("n", "7"), ("ok", "true")),
        ("day", "2026-01-02"),
    ]
    asyncio.run(_closing(client, client.aput("/x", form={"a": "ü"})))
    assert last(web)[3] == b"a=%C3%BC"


async def _closing(client, call):
    try:
        return await call
    finally:
        await client.aclose()


def test_files_are_uploaded_with_their_fields(web, client, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,2\r\n")
    web.on("/x", says(200, 1))
    with (tmp_path / "a.csv").open("rb") as opened:
        files = {
            "path": tmp_path / "a.csv",
            "opened": opened,
            "named": ('we "ird".json', b"{}"),
            "bytes": b"\x00\r\n--",
            "memory": io.BytesIO(b"m"),
        }
        client.post("/x", form={"name": "Ada\r\nX: 1"}, files=files)
    _, _, headers, body = last(web)
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert parts_of(body, headers["content-type"]) == [
        ("name", None, "text/plain", b"Ada\r\nX: 1"),
        ("path", "a.csv", "text/csv", b"1,2\r\n"),
        ("opened", "a.csv", "text/csv", b"1,2\r\n"),
        ("named", "we %22ird%22.json", "application/json", b"{}"),
        ("bytes", "bytes", "application/octet-stream", b"\x00\r\n--"),
        ("memory", "memory", "application/octet-stream", b"m"),
    ]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.text(alphabet="ab c\r\n\"';=é", min_size=1, max_size=6),
        st.one_of(st.binary(max_size=20), st.just(b"\r\n--"), st.just(b"a\r\n\r\nb")),
        max_size=4,
    )
)
def test_an_uploaded_file_is_its_bytes_whatever_it_is_called(files):
    body, kind = Form({}, {name: (f"{name}.bin", data) for name, data in files.items()}).encode()
    if not files:
        assert body == b""
        return
    assert [part[3] for part in parts_of(body, kind)] == list(files.values())
    assert body.count(b"Content-Disposition") == len(files)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"form": {"a": {"b": 1}}}, r"form\['a'\] cannot be a dict"),
        ({"form": {"a": float("nan")}}, r"form\['a'\] cannot be a float"),
        ({"form": {"a": "\ud800"}}, r"form\['a'\] cannot be a str"),
        ({"form": {"\ud800": 1}}, "the name of a field of form must be text"),
        ({"form": {(): 1}}, "the name of a field of form must be text"),
        ({"params": {"a": "\ud800"}}, r"params\['a'\] cannot be a str"),
        ({"files": {"a": ("\ud800", b"")}}, "the name of a field of files must be text"),
        ({"files": {None: b""}}, "the name of a field of files must be text, got None"),
        ({"form": [1]}, "form= cannot be a list"),
        ({"files": {"a": "a.csv"}}, r"files\['a'\] cannot be a str"),
        ({"files": {"a": io.StringIO("x")}}, r"files\['a'\] cannot be a str"),
        ({"files": {"a": None}}, r"files\['a'\] cannot be a NoneType"),
        ({"params": {"a": {"b": 1}}}, r"params\['a'\] cannot be a dict"),
        ({"params": {"a": object()}}, r"params\['a'\] cannot be a object"),
    ],
)
def test_what_no_form_or_query_has_is_refused(web, client, options, why):
    with pytest.raises(UsageError, match=why):
        client.post("/x", **options)
    assert not web.asked


def test_a_file_that_is_not_there_is_an_error_and_so_are_two_bodies(web, client, tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        client.post("/x", files={"a": tmp_path / "none"})
    with pytest.raises(UsageError, match="one body"):
        client.post("/x", {"n": 1}, form={"a": 1})
    assert not web.asked


def test_a_form_in_the_log_holds_no_secret(web, client, caplog):
    caplog.set_level(logging.DEBUG, "agentnb.api")
    web.on("/x", says(200, 1))
    client.post("/x", form={"user": "ada", "password": SECRET}, files={"f": SECRET.encode()})
    assert "ada" in caplog.text
    assert "f, 16 bytes" not in caplog.text or "16 bytes" in caplog.text
    assert SECRET not in caplog.text


def test_the_params_of_a_client_go_with_every_call_to_its_origin(web, make_api):
    client = make_api(params={"key": SECRET, "lang": "en"})
    web.on("/x", says(200, 1))
    client.get("/x?page=2", params={"lang": "de"})
    assert last(web)[1] == f"/x?page=2&lang=de&key={SECRET}"
    client.get(f"{web.url}/x?key=other")
    assert last(web)[1] == "/x?key=other&lang=en"
    with make_api("http://localhost:9", params={"key": SECRET}, retries=0) as other:
        other.get(f"{web.url}/x")
    assert last(web)[1] == "/x"
    web.on("/no", says(400))
    with pytest.raises(RejectedError) as caught:
        client.get("/no")
    assert SECRET not in str(caught.value)
    with pytest.raises(UsageError, match="params"):
        make_api(params=["a"])


def test_cookies_are_kept_by_a_client_that_is_told_to(web, make_api):
    web.on("/login", says(200, 1, Set_Cookie=f"sid={SECRET}; Path=/v1; HttpOnly"))
    web.on("/v1/x", says(200, 1))
    web.on("/x", says(200, 1))
    web.on("/v1/no", says(400, {"message": f"{SECRET} is old"}))
    client = make_api(cookies=True)
    client.get("/login")
    client.get("/v1/x")
    assert last(web)[2]["cookie"] == f"sid={SECRET}"
    client.get("/x")
    assert "cookie" not in last(web)[2]  # another path
    client.get("/v1/x", headers={"Cookie": "mine=1"})
    assert last(web)[2]["cookie"] == "mine=1"
    with pytest.raises(RejectedError) as caught:
        client.get("/v1/no")
    assert SECRET not in str(caught.value)
    client.cookies.clear()
    client.get("/v1/x")
    assert "cookie" not in last(web)[2]
    forgets = make_api()
    forgets.get("/login")
    forgets.get("/v1/x")
    assert "cookie" not in last(web)[2]


def test_cookies_that_are_set_on_the_way_go_where_it_leads(web, make_api):
    def sets_two(handler):
        handler.send_response(302)
        for value in ("a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT", "b=2"):
            handler.send_header("Set-Cookie", value)
        handler.send_header("Location", "/there")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    web.on("/x", sets_two)
    web.on("/there", says(200, 1))
    make_api(cookies=True).get("/x", follow_redirects=True)
    assert sorted(last(web)[2]["cookie"].split("; ")) == ["a=1", "b=2"]


def test_cookies_are_bounded_and_nonsense_does_no_harm():
    cookies, url = Cookies(), "http://api.example.test/x"
    nonsense = ["", "=", ";;;", "é=ü", "a=1; Expires=soon; Max-Age=x", "b=2; Domain=other.test"]
    cookies.take(url, nonsense)
    assert "other" not in str(cookies.header(url))
    cookies.clear()
    for n in range(400):
        cookies.take(url, [f"c{n}=1"])
    assert len(cookies) == 300
    assert "c399=1" in cookies.header(url)
    assert "c99=1" not in cookies.header(url).split("; ")


def test_what_has_not_changed_is_a_reply(web, client):
    def versioned(handler):
        same = handler.headers.get("If-None-Match") == '"v1"'
        handler.say(304 if same else 200, 1, ETag='"v1"') if not same else _unchanged(handler)

    web.on("/x", versioned)
    first = client.request("GET", "/x")
    assert (first.etag, first.unchanged, first.data) == ('"v1"', False, 1)
    second = client.request("GET", "/x", etag=first.etag)
    assert (second.status, second.unchanged, second.data) == (304, True, None)
    assert client.get("/x", etag='W/"v0"') == 1
    assert client.get("/x", headers={"If-None-Match": '"v1"'}) is None
    with pytest.raises(UsageError, match="etag must be an ETag in its quotes, got 'v1'"):
        client.get("/x", etag="v1")


def _unchanged(handler):
    handler.send_response(304)
    handler.send_header("ETag", '"v1"')
    handler.end_headers()


def test_a_304_that_nobody_asked_for_is_no_reply(web, client):
    web.on("/x", _unchanged)
    with pytest.raises(RejectedError, match="304"):
        client.get("/x")


def test_head_returns_the_reply_and_is_made_again(web, client):
    def described(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "123456789012")  # which does not come
        handler.end_headers()

    web.on("/x", resets, described)
    reply = client.head("/x")
    assert (reply.status, reply.data, reply.attempts) == (200, None, 2)
    assert reply.headers["content-length"] == "123456789012"
    found = asyncio.run(_closing(client, client.ahead("/x")))
    assert found.method == "HEAD"


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/../x", "a/../../x", "%2e%2e/x", "/a/%2E./../x", "..", "..\\x", "./../v10"),
        "..%2fx",
    ],
)
def test_a_path_does_not_leave_the_base_url(web, make_api, path):
    with pytest.raises(UsageError, match=r"leads out of http.*/v1"):
        make_api(f"{web.url}/v1").get(path)
    assert not web.asked


@pytest.mark.parametrize("path", ["a/../x", "/a/..", "x..y", "...", "?a=../..", "a?b=../../.."])
def test_a_path_with_dots_that_stays_is_a_path(path):
    assert joined("https://a.example/v1", path).startswith("https://a.example/v1")
    assert joined("https://a.example", f"../{path}")


def test_a_cookie_that_is_not_ascii_goes_back_as_it_came(web):
    web.on("/login", says(200, 1, Set_Cookie="name=café"))
    web.on("/x", says(200, 1))
    with APIClient(web.url, cookies=True) as client:
        client.get("/login")
        assert client.get("/x") == 1
    assert last(web)[2]["cookie"] == "name=café"


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ("", "auth= is an empty token"),
        (" ", "auth= is an empty token"),
        (("ada:b", "hunter22"), "the user of auth= holds a colon"),
    ],
)
def test_credentials_that_http_would_carry_as_others_are_refused(web, client, auth, said):
    with pytest.raises(UsageError, match=said):
        client.get("/x", auth=auth)
    with pytest.raises(UsageError, match=said):
        APIClient(web.url, auth=auth)
    assert not web.asked
