"""What is said of a failure: of proxies, limits, and URLs that look like secrets."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest

from agentnb.core.api import APIClient
from agentnb.core.api.status import NEVER_AGAIN
from agentnb.core.errors import (
    ConfigError,
    InvalidResponse,
    RateLimited,
    RejectedError,
    UnavailableError,
    UsageError,
)

from .api_server import hangs, resets, says


@pytest.fixture
def proxied(monkeypatch):
    """Return what names the proxy of the environment."""

    def name(url):
        for variable in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, url)

    return name


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_dead_proxy_is_named_and_its_password_is_not(make_api, proxied, scheme):
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))  # and does not listen
        port = link.getsockname()[1]
        proxied(f"http://ada:hunter22@127.0.0.1:{port}")
        client = make_api(f"{scheme}://api.example.test", retries=0)
        with pytest.raises(
            UnavailableError, match=f"the proxy http://127.0.0.1:{port} does not take connections"
        ) as caught:
            client.get("/x")
    assert "NO_PROXY" in caught.value.hint
    assert "hunter22" not in f"{caught.value}{caught.value.hint}"


def test_a_proxy_that_is_unknown_or_refuses_is_named(web, make_api, proxied):
    proxied("http://no-such-proxy.invalid:3128")
    with pytest.raises(UnavailableError, match=r"the host of the proxy http://no-such-proxy\.inv"):
        make_api("http://api.example.test").get("/x")
    proxied(web.url)
    with pytest.raises(UnavailableError, match=f"since the proxy {web.url} refuses ") as caught:
        make_api("https://api.example.test").get("/x")
    assert "with its login" in caught.value.hint
    web.on("http://api.example.test/x", says(407))
    with pytest.raises(RejectedError, match="407") as caught:
        make_api("http://api.example.test").get("/x")
    assert "HTTP_PROXY=http://" in caught.value.hint
    web.on("http://api.example.test/x", hangs)
    with pytest.raises(UnavailableError, match=f"by way of the proxy {web.url}"):
        make_api("http://api.example.test", retries=0).get("/x", timeout=0.3)


def test_a_socks_proxy_says_which_package_it_needs(make_api, proxied):
    proxied("socks5://ada:hunter22@127.0.0.1:1080")
    with pytest.raises(ConfigError, match=r"the proxy socks5://127\.0\.0\.1:1080") as caught:
        make_api("http://api.example.test").get("/x")
    assert "pip install 'httpx[socks]'" in caught.value.hint
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        "You have triggered an abuse detection mechanism.",
    ],
)
def test_a_secondary_limit_is_known_by_what_it_says(web, client, message):
    web.on("/x", says(403, {"message": message}, X_RateLimit_Remaining="4999"))
    with pytest.raises(RateLimited, match=message[:30]) as caught:
        client.get("/x")
    assert 50 < (caught.value.reset_at - datetime.now(UTC)).total_seconds() < 61
    assert len(web.asked) == 1
    web.on("/x", says(403, {"message": message}, Retry_After="1"), says(200, "there"))
    assert client.get("/x") == "there"
    web.on("/x", says(403, {"message": "Resource not accessible"}, X_RateLimit_Remaining="4999"))
    with pytest.raises(RejectedError):
        client.get("/x")


def test_a_wait_of_a_minute_is_not_waited_even_where_there_is_time(web, client):
    web.on("/x", says(429, None, Retry_After="60"))
    with pytest.raises(RateLimited):
        client.get("/x", timeout=600)
    assert len(web.asked) == 1


@pytest.mark.parametrize("status", sorted(NEVER_AGAIN))
def test_a_failure_that_stays_is_not_tried_again(web, client, status):
    web.on("/x", says(status))
    with pytest.raises(UnavailableError):
        client.get("/x")
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("kind", "said"), [("text/html", "but text/html: <p>"), (None, "and has no content type: <p>")]
)
def test_what_a_body_is_that_is_no_json_is_said(web, client, kind, said):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "3")
        if kind:
            handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.wfile.write(b"<p>")

    web.on("/x", answer)
    with pytest.raises(InvalidResponse, match=f"its body is no JSON {said}"):
        client.get("/x")


@pytest.mark.parametrize("path", ["/token", "/v1/api_key", "/oauth/refresh-token", "/password"])
def test_what_is_said_of_a_url_that_ends_in_a_secret_s_name_is_not_hidden(web, client, path):
    web.on(path, says(501, {"message": "later"}))
    with pytest.raises(UnavailableError) as caught:
        client.post(path)
    assert caught.value.message == f"POST {web.url}{path} answered 501 Not Implemented: later"
    web.on(path, says(200, raw=b"<html>"))
    with pytest.raises(InvalidResponse, match=r" answered, but its body is no JSON"):
        client.get(path)
    web.on(path, resets)
    with pytest.raises(UnavailableError, match=rf"{path} broke off"):
        client.post(path)
    web.on(path, hangs)
    with pytest.raises(UnavailableError, match=rf"{path} took longer than"):
        client.post(path, timeout=0.1)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_a_number_that_json_has_not_is_named_for_what_it_is(web, client, value):
    with pytest.raises(UsageError, match=rf"data\['a'\] is {value}, which JSON has not"):
        client.post("/x", {"a": value})
    assert not web.asked


def test_a_timeout_is_at_most_a_year_of_seconds():
    for timeout, said in (
        (0, "timeout must be greater than 0 s, got 0"),
        (-1, "timeout must be greater than 0 s, got -1"),
        (10**8, "timeout must be 0 to 31,536,000, got 100,000,000"),
    ):
        with pytest.raises(UsageError) as caught:
            APIClient("https://api.example", timeout=timeout)
        assert caught.value.message == said
        assert caught.value.hint == "timeout=30, or None for no limit"
