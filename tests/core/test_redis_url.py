"""REDIS_URL: which servers it names, and what is said of one that names none."""

from __future__ import annotations

import re

import pytest

from agentnb.core.errors import ConfigError
from agentnb.core.redact import redact
from agentnb.core.redis import RedisClient
from agentnb.core.redis.target import parse

PASSWORD = "hunter22"


@pytest.mark.parametrize(
    ("url", "name", "sentinels", "shown"),
    [
        (
            "redis+sentinel://h1:1,h2:2/main/3",
            "main",
            (("h1", 1), ("h2", 2)),
            "redis+sentinel://h1:1,h2:2/main/3",
        ),
        ("redis+sentinel://h1/main", "main", (("h1", 26379),), "redis+sentinel://h1:26379/main"),
        (
            "rediss+sentinel://[::1]:7,h2/a%20b/",
            "a b",
            (("::1", 7), ("h2", 26379)),
            "rediss+sentinel://[::1]:7,h2:26379/a b",
        ),
    ],
)
def test_a_url_of_sentinels_names_them_and_their_primary(url, name, sentinels, shown):
    target = parse(url)
    assert target.watched.name == name
    assert target.watched.sentinels == sentinels
    assert str(target) == shown
    assert target.scheme == url.partition("+")[0]
    assert target.watched.options == ({"ssl": True} if target.scheme == "rediss" else {})


def test_the_primary_and_the_sentinels_have_logins_of_their_own():
    url = f"rediss+sentinel://ada:{PASSWORD}@h1,h2/main/2?sentinel_username=bob"
    url += f"&sentinel_password={PASSWORD}2&ssl_ca_certs=/ca.pem&protocol=2"
    target = parse(url)
    assert target.options == {
        "username": "ada",
        "password": PASSWORD,
        "db": 2,
        "ssl_ca_certs": "/ca.pem",
        "protocol": 2,
    }
    assert target.watched.options == {
        "username": "bob",
        "password": f"{PASSWORD}2",
        "ssl": True,
        "ssl_ca_certs": "/ca.pem",
    }
    assert PASSWORD not in f"{target} {target!r} {RedisClient(url)!r} {redact(url)}"


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("redis+sentinel://h1:26379", "names no primary", "redis+sentinel://host1:26379"),
        ("redis+sentinel://h1:26379/0", "names no primary", "mymaster/0"),
        ("redis+sentinel:///main", "names no Sentinel", "mymaster/0"),
        ("redis+sentinel://:26379/main", "is malformed", "mymaster/0"),
        ("redis+sentinel://h1:x/main", "its port is not a number", "mymaster/0"),
        ("redis+sentinel://h1:99999/main", "its port is not a number", "mymaster/0"),
        ("redis+sentinel://h1/main/x", "no database by its number", "a number from 0"),
        ("redis+sentinel://h1/main/0?sentinel_pasword=x", "means nothing", "sentinel_password"),
        ("redis+sentinel://h1/main/0?quorum=2", "means nothing", "sentinel_username"),
        ("redis://h1/0?sentinel_password=x", "means nothing", "redis+sentinel://"),
        ("redis-sentinel://h1/main", "starts with redis-sentinel://", "redis+sentinel"),
        ("sentinel://h1/main", "starts with sentinel://", "redis+sentinel://"),
        ("unix+sentinel://h1/main", "starts with unix+sentinel://", "sentinel"),
        (f"redis+sentinel://:{PASSWORD}/x@h1/main", "special character", "percent-encoded"),
    ],
)
def test_a_url_that_names_no_servers_says_what_is_missing(url, message, hint):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse(url)
    assert hint in caught.value.hint
    assert PASSWORD not in f"{caught.value}{caught.value.hint}"
