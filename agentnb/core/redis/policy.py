"""Properties of commands: repeatable, blocking, with a key."""

from __future__ import annotations

from typing import Any

__all__ = ["BLOCKING", "KEYED", "REPEATABLE", "blocking_seconds", "flags_of"]

REPEATABLE = 1
"""Made twice it has the same effect and the same reply as made once."""
BLOCKING = 2
"""The server may take its time to answer."""
KEYED = 4
"""Its first argument is a key, which a span may show."""


def _words(text: str) -> list[str]:
    return text.split()


_READS = _words("""
GET GETRANGE STRLEN SUBSTR EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE BITCOUNT BITPOS GETBIT
BITFIELD_RO LRANGE LLEN LINDEX LPOS SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN
HGET HGETALL HKEYS HVALS HLEN HEXISTS HMGET HSTRLEN HSCAN HRANDFIELD HTTL HPTTL
ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZREVRANGEBYSCORE ZREVRANGEBYLEX ZSCORE ZMSCORE
ZCARD ZCOUNT ZLEXCOUNT ZRANK ZREVRANK ZRANDMEMBER ZSCAN XRANGE XREVRANGE XLEN XPENDING
GEOPOS GEODIST GEOHASH GEOSEARCH PFCOUNT DUMP SORT_RO MGET
""")
_WRITES = _words("SETEX PSETEX SETRANGE SETBIT LSET LTRIM EXPIREAT PEXPIREAT EXPIRE PEXPIRE")
_WITHOUT_KEY = _words("""
PING ECHO TIME INFO DBSIZE SCAN KEYS RANDOMKEY LASTSAVE SINTER SUNION SDIFF ZINTER ZUNION ZDIFF
SINTERCARD ZINTERCARD LCS EVAL_RO EVALSHA_RO FCALL_RO MSET
COMMAND|COUNT COMMAND|INFO CONFIG|GET CLIENT|LIST CLIENT|GETNAME MEMORY|USAGE MEMORY|STATS
OBJECT|ENCODING OBJECT|FREQ OBJECT|IDLETIME OBJECT|REFCOUNT SCRIPT|EXISTS SCRIPT|LOAD
XINFO|STREAM XINFO|GROUPS XINFO|CONSUMERS PUBSUB|CHANNELS PUBSUB|NUMSUB PUBSUB|NUMPAT
FUNCTION|LIST LATENCY|LATEST SLOWLOG|GET SLOWLOG|LEN ACL|WHOAMI
""")
_ONCE = _words("""
INCR INCRBY INCRBYFLOAT DECR DECRBY APPEND GETSET GETDEL GETEX SETNX LPUSH RPUSH LPUSHX RPUSHX
LPOP RPOP LREM LINSERT SADD SREM SPOP HSET HMSET HSETNX HDEL HINCRBY HINCRBYFLOAT ZADD ZREM
ZINCRBY ZPOPMIN ZPOPMAX XADD XACK XDEL XTRIM XCLAIM XAUTOCLAIM DEL UNLINK PERSIST RENAME PFADD
""")
_BLOCK = _words("""
BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF
""")

_FLAGS: dict[str, int] = {
    **dict.fromkeys([*_READS, *_WRITES], REPEATABLE | KEYED),
    **dict.fromkeys(_WITHOUT_KEY, REPEATABLE),
    **dict.fromkeys(_ONCE, KEYED),
    **dict.fromkeys(_BLOCK, BLOCKING),
    **dict.fromkeys(("EVAL", "EVALSHA", "PUBLISH"), 0),  # nothing is known, which is found fast
}
# Decided by their arguments. SET NX (XX, GET, IFEQ, ...) answers differently the second time.
_SET_MAY = frozenset({"EX", "PX", "EXAT", "PXAT", "KEEPTTL"})
_FIRST_IS_SECONDS = frozenset({"BLMPOP", "BZMPOP"})
_LAST_IS_MILLISECONDS = frozenset({"WAIT", "WAITAOF"})


def flags_of(args: tuple[Any, ...]) -> int:
    """Return what is known of a command, 0 when it is none that is known.

    >>> flags_of(("GET", "k")) == REPEATABLE | KEYED
    True
    >>> flags_of(("SET", "k", "v", "EX", 5)) & REPEATABLE, flags_of(("SET", "k", "v", "NX"))
    (1, 4)
    >>> flags_of(("XREAD", "BLOCK", 0, "STREAMS", "s", "$")) == BLOCKING
    True
    """
    name = args[0]
    flags = _FLAGS.get(name)
    if flags is not None:
        return flags
    if name == "SET":
        return _flags_of_set(args)
    if name in {"XREAD", "XREADGROUP"}:
        if any(word in {"BLOCK", b"BLOCK", "block"} for word in args[1:7]):
            return BLOCKING
        return REPEATABLE if name == "XREAD" else 0
    return _flags_of_odd(args)


def _flags_of_set(args: tuple[Any, ...]) -> int:
    for word in args[3:]:
        if isinstance(word, bytes | str):
            text = word.decode(errors="replace") if isinstance(word, bytes) else word
            if not text.isdigit() and text.upper() not in _SET_MAY:
                return KEYED
    return REPEATABLE | KEYED


def _flags_of_odd(args: tuple[Any, ...]) -> int:
    """Return the flags of a command in lower case, as bytes, or with its subcommand beside it."""
    name = args[0]
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    words = [*text.upper().split(" "), *(str(word).upper() for word in args[1:2])]
    if text != words[0] and " " not in text:
        return flags_of((words[0], *args[1:]))
    return _FLAGS.get("|".join(words[:2]), 0)


def blocking_seconds(args: tuple[Any, ...]) -> float | None:
    """Return how many seconds a blocking command waits, None for as long as it takes.

    >>> blocking_seconds(("BLPOP", "a", "b", 5)), blocking_seconds(("XREAD", "BLOCK", 1500))
    (5.0, 1.5)
    >>> blocking_seconds(("BLPOP", "a", 0)) is None
    True
    """
    name = str(args[0]).upper()
    scale = 1.0
    if name in {"XREAD", "XREADGROUP"}:
        words = [word.upper() if isinstance(word, str | bytes) else word for word in args]
        at = words.index("BLOCK" if "BLOCK" in words else b"BLOCK")
        value, scale = args[at + 1], 1000.0
    elif name in _FIRST_IS_SECONDS:
        value = args[1]
    else:
        value = args[-1]
        scale = 1000.0 if name in _LAST_IS_MILLISECONDS else 1.0
    try:
        seconds = float(value) / scale
    except (TypeError, ValueError):
        return None  # the server says what is wrong with it
    return seconds or None
