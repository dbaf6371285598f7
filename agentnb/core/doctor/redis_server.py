"""The Redis server: version, memory, rights, clock; the embedded one is never started."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agentnb.core.doctor.databases import skew
from agentnb.core.doctor.diagnosis import FAILED, OK, WARNING, Finding
from agentnb.core.doctor.surroundings import ASK_SECONDS
from agentnb.core.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentnb.core.doctor.surroundings import Surroundings
    from agentnb.core.redis import RedisClient

__all__ = ["redis_server"]

_OLDEST = (7, 0)
# Which of some commands this user may not send: the server judges, and runs none of them.
_REFUSED = """
local refused = {}
for _, words in ipairs(cjson.decode(ARGV[1])) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then refused[#refused + 1] = words[1] end
end
return refused
"""


def redis_server(here: Surroundings) -> Iterator[Finding]:
    """Yield whether Redis answers, and whether agentnb can do all that it does there."""
    from agentnb.core.redis import RedisClient

    known = here.settings
    if known is None:
        return
    url = known.redis_url
    if url is None:
        socket = _embedded_socket(here)
        if socket is None:
            yield _not_running()
            return
        url = f"unix://{quote(socket)}"
    with RedisClient(
        url, timeout=ASK_SECONDS, prefix=known.key_prefix, runtime=here.runtime
    ) as client:
        yield from _redis(client, known.key_prefix, embedded=known.redis_url is None)


def _embedded_socket(here: Surroundings) -> str | None:
    from agentnb.core.redis.probe import is_up
    from agentnb.core.redis.server_paths import find_server_paths

    if here.settings is None:
        return None
    path = find_server_paths(here.settings.home).socket
    return str(path) if is_up(path, ASK_SECONDS) else None


def _not_running() -> Finding:
    from agentnb.core.redis.binary import find_binary, version_of

    program = find_binary()
    version = version_of(program)
    if version is None:
        return Finding("redis", FAILED, f"{program} does not run", "set REDIS_URL to a server")
    return Finding("redis", OK, f"{version} is embedded, started on the first use")


def _redis(client: RedisClient, prefix: str, *, embedded: bool) -> Iterator[Finding]:
    from agentnb.core.redis.keys import Keys

    keys = Keys(prefix)
    user = client.target.user
    grant = f"ACL SETUSER {user} {keys.rights}"
    try:
        info: dict[str, Any] = client.info()
    except RejectedError:
        client.ping()
        info = {}
    place = "embedded and running" if embedded else f"at {client.target}"
    yield _version(info, place, grant)
    if not embedded:
        yield from _memory(info)
        yield from _rights(client, keys, grant)
        before = time.time()
        seconds, micros = client.time()
        yield skew("redis", seconds + micros / 1e6, before, time.time())


def _version(info: Mapping[str, Any], place: str, grant: str) -> Finding:
    kind = "Valkey" if "valkey_version" in info else "Redis"
    number = str(info.get("valkey_version") or info.get("redis_version") or "")
    if not number:
        return Finding("redis", WARNING, f"{place}; this user may not see its version", grant)
    speaks = str(info.get("redis_version", number)).split(".")
    if tuple(int(part) for part in speaks[:2]) < _OLDEST:
        mend = "set REDIS_URL to a Redis 7.0 or newer, or to a Valkey"
        return Finding("redis", FAILED, f"{kind} {number} {place} is too old", mend)
    return Finding("redis", OK, f"{kind} {number} {place}")


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy, most = str(info.get("maxmemory_policy", "")), int(info.get("maxmemory", 0))
    if most and policy not in {"", "noeviction"}:
        yield Finding(
            "redis memory",
            WARNING,
            f"maxmemory-policy is {policy}: a full server drops jobs and events",
            "CONFIG SET maxmemory-policy noeviction",
        )
    elif policy:
        yield Finding("redis memory", OK, f"{policy}, maxmemory {most or 'without limit'}")
    if str(info.get("aof_enabled", "1")) == "0":
        yield Finding(
            "redis memory",
            WARNING,
            "appendonly is off: a restart of the server may lose jobs and events",
            "CONFIG SET appendonly yes",
        )


def _rights(client: RedisClient, keys: Any, grant: str) -> Iterator[Finding]:
    part = "redis rights"
    key = keys.internal("doctor")
    asked = [
        *(["set", key, "1"], ["get", key], ["del", key], ["pexpire", key, "1"]),
        *(["zadd", key, "1", "a"], ["hset", key, "a", "b"], ["rpush", key, "a"]),
        *(["xadd", key, "*", "a", "b"], ["xread", "STREAMS", key, "0"], ["scan", "0"]),
        *(["publish", keys.channel("a"), "b"], ["psubscribe", keys.channel_pattern()]),
        *(["info"], ["multi"], ["watch", key], ["script", "LOAD", "return 1"]),
    ]
    name = f"user {client.target.user}"
    try:
        # The key keeps the script on the node of a cluster that has the prefix.
        refused = client.eval(_REFUSED, 1, key, json.dumps(asked))
    except RejectedError:
        yield Finding(part, FAILED, f"{name} may not run scripts on {keys.tag}'s keys", grant)
        return
    names = sorted({word.decode().upper() for word in refused})
    if names:
        yield Finding(part, FAILED, f"{name} may not {', '.join(names)}", grant)
    else:
        yield Finding(part, OK, f"{name} may do all that agentnb does")
