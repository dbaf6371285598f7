"""Plain values of a tape: JSON that keeps types, with the secrets masked by structure."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import math
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentnb.core.redact import MASK, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "TapeRedactor",
    "Unkept",
    "digest_of",
    "digested",
    "dump",
    "dump_row",
    "hidden_bytes",
    "load",
    "masked",
    "masked_again",
    "masked_bytes",
    "raw",
]

_TAG = "$"
_SHORTEST = 6
_LONGEST = 64_000  # characters or bytes of an argument
_MANY = 1000  # items of an argument
_COOKIE = re.compile(r"(?:.*[_-])?(?:set[_-]?)?cookies?", re.IGNORECASE)
_PLAIN = frozenset({type(None), bool, int})


class Unkept(Exception):  # noqa: N818 - what happened; never leaves the package
    """A value of a class that a tape cannot keep."""


def digested(value: Any) -> Any:
    """Return an argument; of a long text, of many bytes or items the digest: no tape is large.

    >>> digested("a"), digested(b"a" * 100_000)[:20]
    ('a', 'sha256:6d1cf22d7cc09')
    """
    if type(value) is list and len(value) > _MANY:
        return {"items": len(value), "digest": digest_of(repr(dump(value, raw)))}
    if (type(value) is not str and type(value) is not bytes) or len(value) <= _LONGEST:
        return value
    return digest_of(value)


def digest_of(value: str | bytes) -> str:
    """Return the digest of a text or of bytes."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def raw(text: str) -> str:
    """Mask nothing, not even by name: for what is masked later."""
    return text


def dump(value: Any, redactor: Callable[[str], str] = str) -> Any:
    """Return the plain value of a value, with its secrets masked.

    >>> dump({"n": 1, "password": "hunter22", "at": b"x"})
    {'n': 1, 'password': '••••••', 'at': {'$': 'bytes', 'parts': ['eA==']}}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is str:
        return redactor(value)
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind is bytes or kind is memoryview:
        return _tagged("bytes", base64.b64encode(masked_bytes(bytes(value), redactor)).decode())
    if kind is list:
        return [dump(one, redactor) for one in value]
    if kind is tuple:
        return _tagged("tuple", *(dump(one, redactor) for one in value))
    if kind is dict:
        return _dict(value, redactor)
    return _other(value, redactor)


def masked_bytes(data: bytes, redactor: Callable[[str], str]) -> bytes:
    """Return bytes with the secrets in them as stars."""
    text = data.decode("latin-1")
    hidden = redactor(text)
    return data if hidden == text else hidden.replace(MASK, "*" * len(MASK)).encode("latin-1")


def _dict(value: dict[Any, Any], redactor: Callable[[str], str]) -> Any:
    if all(type(key) is str for key in value) and _TAG not in value:
        return {redactor(key): masked(key, one, redactor) for key, one in value.items()}
    return _tagged("dict", *([dump(k, redactor), masked(k, v, redactor)] for k, v in value.items()))


def masked(name: Any, value: Any, redactor: Callable[[str], str] = str) -> Any:
    """Return the plain value of a value with a name, masked if the name is that of a secret."""
    if redactor is not raw and value is not None and type(name) is str:
        if is_secret_name(name):
            return _hidden(value, redactor)
        if _COOKIE.fullmatch(name):
            return _hidden_texts(dump(value, raw), redactor)
    return dump(value, redactor)


def _hidden(value: Any, redactor: Callable[[str], str]) -> str:
    if type(value) is str and isinstance(redactor, TapeRedactor):
        redactor.learn(value)
    return MASK


def _hidden_texts(plain: Any, redactor: Callable[[str], str]) -> Any:
    """Return plain cookies by their names, and without a text; a number is no cookie."""
    if isinstance(plain, str):
        return _hidden(plain, redactor)
    if isinstance(plain, list):
        return [_hidden_texts(one, redactor) for one in plain]
    if not isinstance(plain, dict):
        return plain
    if _TAG not in plain:
        return {redactor(key): _hidden_texts(one, redactor) for key, one in plain.items()}
    return MASK if plain[_TAG] == "bytes" else masked_again(plain, redactor)


def masked_again(plain: Any, redactor: Callable[[str], str]) -> Any:
    """Return a plain value that was made by `raw`, masked.

    >>> masked_again(dump({"token": "abc"}, raw), str)
    {'token': '••••••'}
    """
    if isinstance(plain, str):
        return redactor(plain)
    if isinstance(plain, list):
        return [masked_again(one, redactor) for one in plain]
    if not isinstance(plain, dict):
        return plain
    if _TAG in plain:
        if plain[_TAG] == "dict":
            parts = [
                [masked_again(k, redactor), _keyed_again(k, v, redactor)] for k, v in plain["parts"]
            ]
            return {_TAG: "dict", "parts": parts}
        if plain[_TAG] == "bytes":
            data = base64.b64decode(plain["parts"][0])
            return _tagged("bytes", base64.b64encode(masked_bytes(data, redactor)).decode())
        return {_TAG: plain[_TAG], "parts": masked_again(plain["parts"], redactor)}
    return {key: _named_again(key, value, redactor) for key, value in plain.items()}


def _keyed_again(key: Any, plain: Any, redactor: Callable[[str], str]) -> Any:
    """Return a plain value of a dictionary whose keys are not all texts, masked."""
    if isinstance(key, dict) and key.get(_TAG) == "bytes":
        key = base64.b64decode(key["parts"][0]).decode("utf-8", "replace")
    if not isinstance(key, str):
        return masked_again(plain, redactor)
    if isinstance(plain, dict) and plain.get(_TAG) == "bytes" and _has_secret_name(key):
        return hidden_bytes(plain, redactor)
    return _named_again(key, plain, redactor)


def _has_secret_name(name: str) -> bool:
    return is_secret_name(name) or _COOKIE.fullmatch(name) is not None


def hidden_bytes(plain: Any, redactor: Callable[[str], str]) -> Any:
    """Return a plain value whose texts and bytes are stars, which keep their types.

    >>> load(hidden_bytes(dump([b"hunter22", 7, None]), str))
    [b'******', 7, None]
    """
    if isinstance(plain, str):
        return _hidden(plain, redactor)
    if isinstance(plain, list):
        return [hidden_bytes(one, redactor) for one in plain]
    if not isinstance(plain, dict):
        return plain
    if plain.get(_TAG) == "bytes":
        _hidden(base64.b64decode(plain["parts"][0]).decode("utf-8", "replace"), redactor)
        return _tagged("bytes", base64.b64encode(b"*" * len(MASK)).decode())
    if _TAG in plain:
        return {_TAG: plain[_TAG], "parts": hidden_bytes(plain["parts"], redactor)}
    return {redactor(key): hidden_bytes(one, redactor) for key, one in plain.items()}


def _named_again(name: str, plain: Any, redactor: Callable[[str], str]) -> Any:
    if plain is not None and is_secret_name(name):
        return _hidden(plain, redactor)
    if _COOKIE.fullmatch(name):
        return _hidden_texts(plain, redactor)
    return masked_again(plain, redactor)


class TapeRedactor:
    """Masks the secrets of a tape: those of its services, and those that were found in it.

    A token that came under its name in one answer is in another call under any name.

    Examples
    --------
    >>> redactor = TapeRedactor()
    >>> _ = dump({"token": "abc-123"}, redactor)
    >>> redactor("GET /sessions/abc-123")
    'GET /sessions/••••••'
    """

    def __init__(self) -> None:
        self._redactors: dict[int, Callable[[str], str]] = {}
        self._learned: set[str] = set()

    def add(self, redactor: Callable[[str], str]) -> None:
        """Mask by another redactor, too."""
        if id(redactor) not in self._redactors:
            self._redactors[id(redactor)] = redactor  # kept, so that no other has its id

    def learn(self, secret: str) -> None:
        """Mask a text; a short one may be anything."""
        if len(secret) >= _SHORTEST and MASK not in secret:
            self._learned.add(secret)

    def __call__(self, text: str) -> str:
        """Return the text with every secret masked."""
        for secret in sorted(self._learned, key=len, reverse=True):
            if secret in text:
                text = text.replace(secret, MASK)
        for redactor in list(self._redactors.values()):
            text = redactor(text)
        return text


def dump_row(names: Sequence[str], row: Iterable[Any], redactor: Callable[[str], str]) -> list[Any]:
    """Return a row as plain values, with columns of secret names masked."""
    return [masked(name, one, redactor) for name, one in zip(names, row, strict=True)]


def _tagged(tag: str, *parts: Any) -> dict[str, Any]:
    return {_TAG: tag, "parts": list(parts)}


def _other(value: Any, redactor: Callable[[str], str]) -> Any:
    from agentnb.core.codec.scalars import DUMPED_SCALARS

    kind = type(value)
    found = DUMPED_SCALARS.get(f"{kind.__module__}.{kind.__qualname__}")
    if found is not None:
        tag, parts = found
        return _tagged(tag, *(dump(part, redactor) for part in parts(value)))
    if kind is set or kind is frozenset:
        return _tagged(kind.__name__, *sorted((dump(one, redactor) for one in value), key=repr))
    found_own = _own(value, redactor)
    if found_own is not None:
        return found_own
    # As the codec writes it wherever a value crosses a boundary: models, enums, numpy.
    from agentnb.core.codec import NOT_JSON, decode, to_json

    try:
        plain = decode(to_json(value))
    except NOT_JSON:
        return _tagged("unkept", f"{kind.__module__}.{kind.__qualname__}")
    return _tagged("json", dump(plain, redactor))


def _own(value: Any, redactor: Callable[[str], str]) -> Any:
    """Return the plain value of a table, or of a dataclass of agentnb's; None of others."""
    kind = type(value)
    if kind.__module__.partition(".")[0] != "agentnb":
        return None
    if kind.__qualname__ == "Table":
        names = [redactor(name) for name in value.columns]
        rows = [dump(list(row), redactor) for row in value.rows]
        return _tagged("table", names, rows, redactor(value.note or ""))
    name = f"{kind.__module__}:{kind.__qualname__}"
    if hasattr(kind, "_to_tape"):  # of more than its fields or its text
        return _tagged("parts", name, *(dump(one, redactor) for one in value._to_tape()))  # noqa: SLF001 - the two are one mechanism
    if issubclass(kind, str):
        return _tagged("text", name, redactor(str.__str__(value)))
    if issubclass(kind, tuple) and not hasattr(kind, "_fields"):
        return _tagged("row", name, [dump(one, redactor) for one in value])
    if not dataclasses.is_dataclass(kind):
        return None
    fields = {
        one.name: masked(one.name, getattr(value, one.name), redactor)
        for one in dataclasses.fields(kind)
        if one.init
    }
    return _tagged("object", name, fields)


def _object(name: str, fields: dict[str, Any]) -> Any:
    """Return an object of one of agentnb's dataclasses; a tape makes no others."""
    kind = _class(name)
    if not dataclasses.is_dataclass(kind):
        raise Unkept(f"an object of {name}")
    return kind(**fields)


def _from_parts(name: str, *parts: Any) -> Any:
    """Return an object of one of agentnb's classes that says how tapes keep it."""
    kind: Any = _class(name)
    if not hasattr(kind, "_from_tape"):
        raise Unkept(f"an object of {name}")
    return kind._from_tape(*parts)  # noqa: SLF001 - as above


def _class(name: str) -> type:
    """Return a class of agentnb's own."""
    module, _, attribute = name.partition(":")
    if module.partition(".")[0] == "agentnb":
        kind = getattr(import_module(module), attribute, None)
        if isinstance(kind, type):
            return kind
    raise Unkept(f"an object of {name}")


def _of(base: type) -> Callable[[str, Any], Any]:
    """Return what makes a value of a class of agentnb's that derives from a built-in one."""

    def made(name: str, value: Any) -> Any:
        kind: Any = _class(name)
        if not issubclass(kind, base):
            raise Unkept(f"an object of {name}")
        return kind(value)

    return made


def _table(names: list[str], rows: list[list[Any]], note: str) -> Any:
    from agentnb.core.table import Table

    return Table(names, list(map(tuple, rows)), note=note)


def load(data: Any) -> Any:
    """Return the value of a plain value.

    >>> load(dump((1, {"a": float("inf")})))
    (1, {'a': inf})

    Raises
    ------
    Unkept
        It holds a value that the tape could not keep.
    """
    if isinstance(data, list):
        return [load(one) for one in data]
    if not isinstance(data, dict):
        return data
    if _TAG not in data:
        return {key: load(one) for key, one in data.items()}
    tag, parts = data[_TAG], data["parts"]
    if tag == "unkept":
        raise Unkept(f"a value of type {parts[0]}")
    if tag == "json":
        raise Unkept("a model or an object, which would come back as plain JSON")
    if tag == "dict":
        return {load(key): load(one) for key, one in parts}
    return _LOADERS[tag](*map(load, parts)) if tag in _LOADERS else _scalar(tag, parts)


def _scalar(tag: str, parts: list[Any]) -> Any:
    from agentnb.core.codec.scalars import SCALARS

    return SCALARS[tag](*map(load, parts))


_LOADERS: dict[str, Callable[..., Any]] = {
    "bytes": base64.b64decode,
    "float": float,
    "tuple": lambda *parts: parts,
    "set": lambda *parts: set(parts),
    "frozenset": lambda *parts: frozenset(parts),
    "object": _object,
    "parts": _from_parts,
    "row": _of(tuple),
    "table": _table,
    "text": _of(str),
}
