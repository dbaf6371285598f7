"""The outcomes of notebook cells: the displayed value, the names, and what a cell showed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.cache.checks import check_key, check_tags, milliseconds
from agentnb.core.cache.identity import digest_of
from agentnb.core.cache.outcome import CellOutcome, pack_shown, unpack_shown
from agentnb.core.cache.secret import secret_of
from agentnb.core.cache.turns import CellTurns
from agentnb.core.codec.errors import ClassMissingError, UnstorableError
from agentnb.core.errors import UsageError
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agentnb.core.cache.codec import Codec
    from agentnb.core.cache.counter import HitCounter
    from agentnb.core.cache.lease import Leases
    from agentnb.core.cache.outcome import Display
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace import Tracer

__all__ = ["CellCache"]

# Seconds after which a cell runs without a server that does not answer.
_TIMEOUT = 1.0
_DISPLAYED = "the displayed value"


class _Kept(msgspec.Struct):
    """The record of a cell beside its value; see `CellOutcome`.

    Earlier code kept the first three only.
    """

    of: str
    beside: str
    names: dict[str, bytes]
    at: float | None = None
    took: float = 0.0
    number: int | None = None
    missing: dict[str, str] = {}
    valued: bool = True
    shown: bytes = b""

    @property
    def context(self) -> str:
        """The source, the inputs and the value that its output belongs to."""
        return f"{self.of} {self.beside} {self.valued}"


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
    home
        Where the key is kept that signs what cells show; None to make one for this process.
    wrote
        Called with the bytes of each record that is stored.
    leases
        Renews the locks of cells that run.
    """

    def __init__(  # noqa: PLR0913 - the parts of a cache, each by its name
        self,
        redis: RedisClient,
        *,
        keys: Keys,
        leases: Leases,
        codec: Codec,
        counter: HitCounter,
        set_value: Callable[..., None],
        default_ttl: float,
        tracer: Tracer,
        log: logging.LoggerAdapter[logging.Logger],
        home: Path | None = None,
        wrote: Callable[[int], object] = int,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._codec = codec
        self._counter = counter
        self._set_value = set_value
        self._default_ttl = default_ttl
        self._tracer = tracer
        self._log = log
        self._home = home
        self._wrote = wrote
        self._signing: bytes | None = None
        self._turns = CellTurns(redis, keys, leases)

    def fingerprint(
        self, source: str, inputs: Mapping[str, Any], *, hint: str | None = None
    ) -> str:
        """Return a digest of a cell's source and its named inputs.

        Parameters
        ----------
        source, inputs
            Both.
        hint
            The way around an input that has no identity, with ``{}`` for its name.

        Raises
        ------
        UsageError
            An input cannot be stored, so it cannot be compared either.
        """
        digest = hashlib.sha256(source.strip().encode("utf-8", "surrogatepass"))
        for name, value in sorted(inputs.items()):
            try:
                identity = self._identity_of(name, value)
            except UsageError as error:
                if hint is None:
                    raise
                raise UsageError(error.message, service="cache", hint=hint.format(name)) from error
            digest.update(f"\0{name}\0".encode() + identity)
        return digest.hexdigest()

    def _identity_of(self, name: str, value: Any) -> bytes:
        """Return bytes that only equal inputs share; a function counts by its code."""
        if isinstance(value, ModuleType):
            version = getattr(value, "__version__", "")
            return f"module {value.__name__} {version}".encode()
        if not callable(value):
            return self._stored(f"the input {name}", value)[0]
        try:
            if isinstance(value, type):
                return _identity_of_class(value)
            return digest_of(value, whole=True).encode()
        except UnstorableError as error:
            raise UsageError(
                f"the input {name} has no identity: {error}",
                service="cache",
                hint="name by --on a value that it is made from",
            ) from error

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

    def get(self, key: str, fingerprint: str) -> CellOutcome | None:
        """Return the outcome that is kept, or None if there is none to serve."""
        with Span(self._tracer, "get", "cache", 1, {"key": key}) as span:
            found = self._get(key, fingerprint)
            span.note(hit=found is not None)
        (self._counter.miss if found is None else self._counter.hit)()
        return found

    def turn(
        self, key: str, fingerprint: str, *, waiting: Callable[[], object]
    ) -> AbstractContextManager[CellOutcome | None]:
        """Let one kernel run a cell at a time, and give the others its outcome.

        Parameters
        ----------
        key, fingerprint
            The cell.
        waiting
            Called once, if another kernel runs it for longer than a second.
        """
        return self._turns.turn(key, fingerprint, lambda: self._get(key, fingerprint), waiting)

    def _get(self, key: str, fingerprint: str) -> CellOutcome | None:
        with self._redis.pipeline(transaction=False) as pipe:
            data, beside, left = (
                pipe.get(self._keys.cache(key)).get(self._key(key)).pttl(self._keys.cache(key))
            ).execute()
        if data is None or beside is None:
            return None
        try:
            kept = msgspec.msgpack.decode(beside, type=_Kept)
            # Both were written by the same run, and the key has not been set since.
            if kept.of != fingerprint or kept.beside != _digest(data):
                return None
            names = {name: self._codec.decode(raw) for name, raw in kept.names.items()}
            value = self._codec.decode(data)
            packed = self._codec.decode(kept.shown, bytes) if kept.shown else b""
        except (ClassMissingError, UsageError, msgspec.DecodeError) as error:
            self._log.warning("the cell %r counts as missing: %s", key, error)
            return None
        shown = unpack_shown(packed, self._secret(), kept.context) if packed else ()
        return CellOutcome(
            value if kept.valued else None,
            names,
            shown or (),
            kept.at,
            kept.took,
            kept.number,
            kept.missing,
            kept.valued,
            left / 1000 if left >= 0 else None,
            shown is None,
        )

    def set(
        self,
        key: str,
        fingerprint: str,
        outcome: CellOutcome,
        *,
        ttl: float | None,
        tags: tuple[str, ...] = (),
        display: Callable[[], Display | None] = lambda: None,
        droppable: Callable[[Any], bool] = lambda _: False,
    ) -> CellOutcome:
        """Keep a cell's outcome, and return it as `get` will.

        Nothing is kept if a name cannot be, since it would be missing later.

        Parameters
        ----------
        key, fingerprint, ttl, tags
            Where, for which source and inputs, for how many seconds, and under which tags.
        outcome
            The outcome.
        display
            Returns the display of the value, which is kept in its place if the value cannot be.
        droppable
            Whether a value that cannot be kept, such as a drawing, may be left out.

        Raises
        ------
        UsageError
            The value or some names cannot be stored; the message says which.
        """
        seconds = self._default_ttl if ttl is None else ttl
        names, missing, errors = self._stored_names(outcome.names, droppable)
        value, shown, valued = outcome.value, outcome.shown, True
        try:
            data, copy = self._stored(_DISPLAYED, value)
        except UsageError as error:
            seen = None if errors else display()
            if seen is None:
                errors.insert(0, error)
            else:
                shown, valued = (*shown, seen), False
                data, copy = self._codec.encode_and_decode(None)
        if errors:
            messages = "; ".join(error.message for error in errors)
            raise UsageError(messages, service="cache", hint=errors[-1].hint) from errors[0]
        kept = _Kept(
            fingerprint,
            _digest(data),
            {name: raw for name, (raw, _) in names.items()},
            outcome.at,
            outcome.took,
            outcome.number,
            missing,
            valued,
        )
        if shown:
            kept.shown = self._codec.encode(pack_shown(shown, self._secret(), kept.context))
        with Span(self._tracer, "set", "cache", 1, {"key": key}):
            record = msgspec.msgpack.encode(kept)
            self._redis.set(self._key(key), record, px=milliseconds(seconds))
            self._wrote(len(record))
            self._set_value(key, value if valued else None, seconds, tags=tags)
        copies = {name: one for name, (_, one) in names.items()}
        return replace(
            outcome,
            value=copy if valued else value,
            names=copies,
            shown=shown,
            missing=missing,
            valued=valued,
        )

    def _stored_names(
        self, names: Mapping[str, Any], droppable: Callable[[Any], bool]
    ) -> tuple[dict[str, tuple[bytes, Any]], dict[str, str], list[UsageError]]:
        """Return the names that can be kept, the classes of those that are left out, the errors."""
        stored: dict[str, tuple[bytes, Any]] = {}
        missing: dict[str, str] = {}
        errors: list[UsageError] = []
        for name, one in names.items():
            try:
                stored[name] = self._stored(name, one)
            except UsageError as error:
                if droppable(one):
                    missing[name] = f"{type(one).__module__}.{type(one).__qualname__}"
                else:
                    errors.append(error)
        return stored, missing, errors

    def _secret(self) -> bytes:
        """Return the key that signs what cells show: whoever can write to a server has it not."""
        if self._signing is None:
            self._signing = secret_of(self._home)
        return self._signing

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


def _identity_of_class(kind: type) -> bytes:
    """Return the name of a class; of one of the notebook its methods and attributes, too."""
    parts = [f"class {kind.__module__}.{kind.__qualname__}"]
    if kind.__module__ == "__main__":
        parts += [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__[1:]]
        for name, one in sorted(vars(kind).items()):
            inner = getattr(one, "__func__", None) or getattr(one, "fget", None) or one
            if isinstance(inner, FunctionType):
                parts.append(f"{name} {digest_of(inner, whole=True)}")
            elif not name.startswith("__"):
                parts.append(f"{name} {one!r}")
    return "\0".join(parts).encode("utf-8", "replace")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
