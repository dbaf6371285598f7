"""The outcomes of notebook cells: the displayed value and the names that a cell assigned."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.checks import check_key, check_tags, milliseconds
from agentnb.core.cache.identity import digest_of
from agentnb.core.codec.errors import ClassMissingError, UnstorableError
from agentnb.core.errors import UsageError
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.cache.codec import Codec
    from agentnb.core.cache.counter import HitCounter
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace import Tracer

__all__ = ["CellCache"]

# Seconds after which a cell runs without a server that does not answer.
_TIMEOUT = 1.0
_DISPLAYED = "the displayed value"


class CellCache:
    """Stores the outcomes of notebook cells; the part of a cache behind ``%%cache``.

    The displayed value is an ordinary value: ``cache.get(key)`` returns it to scripts, too. The
    assigned names and the fingerprint of their inputs stand beside it, under an internal key.

    Parameters
    ----------
    redis
        The client of the server.
    keys, codec, counter
        The parts of the cache.
    set_value
        `Cache.set`.
    default_ttl
        Seconds that an outcome is kept unless told otherwise.
    tracer
        Records a span for each call.
    log
        Logger of outcomes that count as missing.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        keys: Keys,
        codec: Codec,
        counter: HitCounter,
        set_value: Callable[..., None],
        default_ttl: float,
        tracer: Tracer,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._codec = codec
        self._counter = counter
        self._set_value = set_value
        self._default_ttl = default_ttl
        self._tracer = tracer
        self._log = log

    def fingerprint(self, source: str, inputs: Mapping[str, Any]) -> str:
        """Return a digest of a cell's source and its named inputs.

        Raises
        ------
        UsageError
            An input cannot be stored, so it cannot be compared either.
        """
        digest = hashlib.sha256(source.strip().encode())
        for name, value in sorted(inputs.items()):
            digest.update(f"\0{name}\0".encode() + self._identity_of(name, value))
        return digest.hexdigest()

    def _identity_of(self, name: str, value: Any) -> bytes:
        """Return bytes that only equal inputs share; a function counts by its code."""
        if callable(value) and not isinstance(value, type):
            try:
                return digest_of(value, whole=True).encode()
            except UnstorableError as error:
                raise UsageError(
                    f"the input {name} has no identity: {error}",
                    service="cache",
                    hint="name by --on a value that it is made from",
                ) from error
        return self._stored(f"the input {name}", value)[0]

    def check(self, key: str, ttl: float | None, tags: Iterable[str]) -> None:
        """Check the key, the time to live and the tags, and that the server answers.

        Raises
        ------
        UsageError
            An argument is out of its range.
        UnavailableError
            The server does not answer within a second.
        """
        self._keys.cache(check_key(key))
        milliseconds(self._default_ttl if ttl is None else ttl)
        check_tags(tags)
        with Span(self._tracer, "check", "cache", 1, {"key": key}):
            self._redis.within(_TIMEOUT).ping()

    def get(self, key: str, fingerprint: str) -> tuple[Any, dict[str, Any]] | None:
        """Return the displayed value and the names, or None if there is no outcome to serve."""
        with Span(self._tracer, "get", "cache", 1, {"key": key}) as span:
            found = self._get(key, fingerprint)
            span.note(hit=found is not None)
        return found

    def _get(self, key: str, fingerprint: str) -> tuple[Any, dict[str, Any]] | None:
        import msgspec

        data: Any
        beside: Any
        data, beside = self._redis.mget(self._keys.cache(key), self._key(key))
        kept = msgspec.msgpack.decode(beside) if data is not None and beside is not None else None
        # Both were written by the same run, and the key has not been set since.
        if kept is None or kept["of"] != fingerprint or kept["beside"] != _digest(data):
            self._counter.miss()
            return None
        try:
            names = {name: self._codec.decode(raw) for name, raw in kept["names"].items()}
            value = self._codec.decode(data)
        except ClassMissingError as error:
            self._log.warning("the cell %r counts as missing: %s", key, error)
            self._counter.miss()
            return None
        self._counter.hit()
        return value, names

    def set(
        self,
        key: str,
        fingerprint: str,
        value: Any,
        names: Mapping[str, Any],
        *,
        ttl: float | None,
        tags: tuple[str, ...] = (),
    ) -> tuple[Any, dict[str, Any]]:
        """Store a cell's outcome, and return it as `get` will.

        Nothing is stored if a part of it cannot be, since a name would be missing later.

        Raises
        ------
        UsageError
            The value or some names cannot be stored; the message says which.
        """
        import msgspec

        seconds = self._default_ttl if ttl is None else ttl
        stored, errors = {}, []
        for name, one in {_DISPLAYED: value, **names}.items():
            try:
                stored[name] = self._stored(name, one)
            except UsageError as error:
                errors.append(error)
        if errors:
            messages = "; ".join(error.message for error in errors)
            raise UsageError(messages, service="cache", hint=errors[-1].hint) from errors[0]
        data, copy = stored.pop(_DISPLAYED)
        kept = {
            "of": fingerprint,
            "beside": _digest(data),
            "names": {name: raw for name, (raw, _) in stored.items()},
        }
        with Span(self._tracer, "set", "cache", 1, {"key": key}):
            self._redis.set(self._key(key), msgspec.msgpack.encode(kept), px=milliseconds(seconds))
            self._set_value(key, value, seconds, tags=tags)
        return copy, {name: one for name, (_, one) in stored.items()}

    def _stored(self, what: str, value: Any) -> tuple[bytes, Any]:
        try:
            return self._codec.encode_and_decode(value)
        except UsageError as error:
            if what.isidentifier():
                hint = "give it a name that begins with _ to keep it out, or convert it"
            elif what.startswith("the input"):
                hint = "name something by --on that it was made from"
            else:
                hint = "convert it, or end the cell with ; to display nothing"
            why = error.message.removeprefix("the value cannot be stored: ")
            raise UsageError(
                f"{what} cannot be stored: {why}", service="cache", hint=hint
            ) from error

    def _key(self, key: str) -> str:
        return self._keys.internal("cache-cell", key)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
