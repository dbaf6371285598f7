"""What the run of a notebook cell left behind: its displayed value and the names it assigned."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.checks import check_key, check_tags, milliseconds
from agentnb.core.cache.identity import digest_of
from agentnb.core.codec.errors import ClassMissingError, UnstorableError
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.cache.cache import Cache

__all__ = ["Cells"]

# A cell whose outcome cannot be kept need not wait longer than this to run, in seconds.
_PATIENCE = 1.0
_DISPLAYED = "the displayed value"


class Cells:
    """Keeps what cells left behind.

    The displayed value is a value like any other: ``cache.get(key)`` gives it to scripts
    too. The names and what they were made from stand beside it, under a key of our own.

    Parameters
    ----------
    cache
        Where they are kept.
    """

    def __init__(self, cache: Cache) -> None:
        import msgspec

        self._cache = cache
        self._pack = msgspec.msgpack.encode
        self._unpack = msgspec.msgpack.decode

    def fingerprint(self, source: str, inputs: Mapping[str, Any]) -> str:
        """Return what a cell's outcome depends on, in short: its text and its named inputs.

        Raises
        ------
        UsageError
            An input that cannot be stored cannot be compared either.
        """
        digest = hashlib.sha256(source.strip().encode())
        for name, value in sorted(inputs.items()):
            digest.update(f"\0{name}\0".encode() + self._told_apart(name, value))
        return digest.hexdigest()

    def _told_apart(self, name: str, value: Any) -> bytes:
        """Return bytes that only equal inputs share; a function counts by what it does."""
        if callable(value) and not isinstance(value, type):
            try:
                return digest_of(value, whole=True).encode()
            except UnstorableError as error:
                raise UsageError(
                    f"the input {name} cannot be told apart from another: {error}",
                    service="cache",
                    hint="name something by --on that it was made from",
                ) from error
        return self._stored(f"the input {name}", value)[0]

    def check(self, key: str, ttl: float | None, tags: Iterable[str]) -> None:
        """See to it that an outcome can be kept this way, before the cell runs.

        Raises
        ------
        UsageError
            A key, a time or a tag that cannot be.
        UnavailableError
            The server is away; known within a second.
        """
        self._cache.keys_of.cache(check_key(key))
        milliseconds(self._cache.default_ttl if ttl is None else ttl)
        check_tags(tags)
        self._cache.redis.within(_PATIENCE).ping()

    def get(self, key: str, fingerprint: str) -> tuple[Any, dict[str, Any]] | None:
        """Return the displayed value and the names, or None if there are none to serve."""
        cache = self._cache
        data: Any
        beside: Any
        data, beside = cache.redis.mget(cache.keys_of.cache(key), self._key(key))
        kept = self._unpack(beside) if data is not None and beside is not None else None
        # Both were written by the same run, and nobody has set the key since.
        if kept is None or kept["of"] != fingerprint or kept["beside"] != _digest(data):
            cache.count.miss()
            return None
        try:
            names = {name: cache.codec.decode(raw) for name, raw in kept["names"].items()}
            value = cache.codec.decode(data)
        except ClassMissingError as error:
            cache.log.warning("the cell %r counts as missing: %s", key, error)
            cache.count.miss()
            return None
        cache.count.hit()
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
        """Keep what a cell left behind, and return it as `get` will.

        Nothing is kept if a part of it cannot be: a name would be missing later.

        Raises
        ------
        UsageError
            The value or some names cannot be stored; the message says which.
        """
        cache = self._cache
        seconds = cache.default_ttl if ttl is None else ttl
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
        cache.redis.set(self._key(key), self._pack(kept), px=milliseconds(seconds))
        cache.set(key, value, seconds, tags=tags)
        return copy, {name: one for name, (_, one) in stored.items()}

    def _stored(self, what: str, value: Any) -> tuple[bytes, Any]:
        try:
            return self._cache.codec.encode_and_decode(value)
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
        return self._cache.keys_of.internal("cache-cell", key)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
