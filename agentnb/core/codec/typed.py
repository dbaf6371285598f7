"""Types that values are declared to have: a schema of input, a type of results.

msgspec reads a type that it knows all parts of. A type in which pydantic has a say is read by a
pydantic `TypeAdapter`; pydantic is imported for those alone. Which of the two reads a type is
decided once, and a type that neither can read is refused before the first value.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath
from typing import Any

import msgspec

from agentnb.core.codec.adapter import Adapter
from agentnb.core.codec.json_schema import resolved
from agentnb.core.codec.plain import MISFITS, decode, encode
from agentnb.core.codec.types import is_pydantic, name_of, refuse_unclear, wants_pydantic
from agentnb.core.codec.walk import Misfit, NotJson, Walk
from agentnb.core.errors import UsageError

__all__ = ["TypeCodec", "check_schema", "codec_of", "convert", "from_json"]

_NOT_FINITE = (b'"NaN"', b'Infinity"')
_NOUNS = {
    "schema": "schema",
    "form": "form",
    "returns": "type that a result can have",
    "type": "type that values can be read as",
}
_SCALARS = (str, int, float)


class TypeCodec:
    """Reads and writes the values of one type.

    Parameters
    ----------
    kind
        The type.

    Raises
    ------
    TypeError
        Neither msgspec nor pydantic can read it.
    """

    def __init__(self, kind: Any) -> None:
        if isinstance(kind, str):  # a forward reference, for which there is no module to look in
            raise TypeError("a type is a class, not its name")
        self.kind = kind
        self.name = name_of(kind)
        refuse_unclear(kind)
        self._adapter: Any = None
        self._decoder: Any = None
        if wants_pydantic(kind):
            try:
                self._adapter = Adapter(kind)
            except TypeError:
                if is_pydantic(kind):
                    raise
                # A Struct is around the model, which pydantic does not know.
                self._decoder = _decoder(kind)
        else:
            try:
                self._decoder = _decoder(kind)
            except TypeError as error:
                self._adapter = _other(kind, error)

    def decode(self, data: bytes) -> Any:
        """Return the value of JSON; `MISFITS` if it is not of the type."""
        if self._adapter is not None:
            return self._adapter.validate_json(data)
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError:
            if not any(word in data for word in _NOT_FINITE):
                raise
            return self._lax(data)

    def schema(self) -> dict[str, Any] | None:
        """Return the JSON Schema of the type; None where it has none."""
        try:
            if self._adapter is not None:
                return resolved(self._adapter.json_schema())
            return resolved(msgspec.json.schema(self.kind))
        except Exception:  # noqa: BLE001 - of a class with a reader of its own
            return None

    def of(self, value: Any) -> Any:
        """Return a database's value as one of the type; `MISFITS` if it is none.

        A database may have a number for a bool, and text for a date.
        """
        if self._adapter is not None:
            return self._adapter.validate(value)
        return msgspec.convert(value, self.kind, strict=False, dec_hook=_read)

    def _lax(self, data: bytes) -> Any:
        """Read the texts of NaN and infinity as floats, and no other text as a number."""
        plain = decode(data)
        copy = msgspec.convert(plain, self.kind, strict=False, dec_hook=_read)
        if decode(encode(copy)[0]) != plain:
            self._decoder.decode(data)  # raises what is wrong
        return copy

    def encode(self, value: Any) -> tuple[bytes, Any]:
        """Return the JSON of a value, and the copy that is read from it.

        A plain value may stand for one of the type, such as a dict for a model.

        Raises
        ------
        NotJson
            It has no JSON form.
        Misfit
            It is not of the type.
        """
        data, walk = self._written(value)
        try:
            copy = self.decode(data)
        except MISFITS as error:
            raise Misfit(f"not {self.name}: {error}") from error
        if walk is not None and walk.not_finite:
            kept = _walk(copy)
            if kept is None or len(kept.not_finite) != len(walk.not_finite):
                walk.check()
        return data, copy

    def _written(self, value: Any) -> tuple[bytes, Walk | None]:
        adapter = self._adapter
        try:
            data, walk = encode(value)
        except NotJson:
            # pydantic knows forms of more classes, such as addresses and patterns.
            written = adapter.dump_json(value) if adapter is not None else None
            if written is None:
                raise
            return written, None
        if walk is None or walk.not_finite or adapter is None:
            return data, walk
        return adapter.dump_json(value) or data, walk

    def carries(self, value: Any, copy: Any) -> bool:
        """Return whether a copy has all that a value has; a plain value may stand for another."""
        before, after = _walk(value), _walk(copy)
        if before is None or after is None:
            return _equal(value, copy)
        if self._adapter is not None and _narrowed(value, copy):
            return False
        return not before.converted or _within(before.value, after.value)

    def gives_back(self, value: Any, copy: Any) -> bool:
        """Return whether a copy is equal to a value.

        Of values that are not equal to an equal one, such as NaN, types and JSON are compared.
        """
        if _equal(value, copy):
            return True
        before, after = _walk(value), _walk(copy)
        if before is None or after is None or not (before.not_finite or before.by_identity):
            return False
        return before.value == after.value and before.converted == after.converted


def _equal(value: Any, copy: Any) -> bool:
    try:
        return bool(copy == value)
    except Exception:  # noqa: BLE001 - anybody's __eq__, such as that of arrays
        return False


def _within(plain: Any, other: Any) -> bool:
    """Return whether a plain value is another one, which may have keys more."""
    if isinstance(plain, dict) and isinstance(other, dict):
        return all(key in other and _within(one, other[key]) for key, one in plain.items())
    if isinstance(plain, list) and isinstance(other, list) and len(plain) == len(other):
        return all(_within(one, two) for one, two in zip(plain, other, strict=True))
    return bool(plain == other)


def _narrowed(value: Any, copy: Any) -> bool:
    """Return whether a model within a value is one of a base class in its copy."""
    if isinstance(value, dict) and isinstance(copy, dict):
        return any(key in copy and _narrowed(one, copy[key]) for key, one in value.items())
    if isinstance(value, list | tuple) and isinstance(copy, list | tuple):
        return any(_narrowed(one, two) for one, two in zip(value, copy, strict=False))
    if not is_pydantic(type(value)) or not isinstance(value, type(copy)):
        return False
    return type(value) is not type(copy) or _narrowed(vars(value), vars(copy))


def _walk(value: Any) -> Walk | None:
    walk = Walk()
    try:
        walk.value = walk.plain(value)
    except (NotJson, RecursionError):
        return None
    return walk


def _decoder(kind: Any) -> Any:
    try:
        decoder = msgspec.json.Decoder(kind, dec_hook=_read)
        _check(msgspec.inspect.type_info(kind))
    except NameError as error:  # of an annotation within
        raise TypeError(str(error)) from error
    return decoder


def _check(info: Any) -> None:
    """Refuse classes that msgspec leaves to a hook, where `_read` makes none of them."""
    left, seen = [info], set()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, msgspec.inspect.CustomType):
            if not _readable(one.cls):
                raise TypeError(f"JSON has no {name_of(one.cls)}")
            if is_pydantic(one.cls):
                codec_of(one.cls)  # raises if pydantic cannot read it
        if isinstance(one, list | tuple):
            left += one
        elif isinstance(one, msgspec.inspect.Type | msgspec.inspect.Field):
            left += [getattr(one, name) for name in one.__struct_fields__]


def _readable(kind: Any) -> bool:
    return isinstance(kind, type) and (
        issubclass(kind, (PurePath, complex, *_SCALARS)) or _is_numpy(kind) or is_pydantic(kind)
    )


def _is_numpy(kind: type) -> bool:
    import sys

    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.generic)


def _read(kind: type, value: Any) -> Any:
    """Make a value of a class that msgspec does not know."""
    if is_pydantic(kind):
        return codec_of(kind).decode(encode(value)[0])
    wanted = (str,) if issubclass(kind, PurePath | complex | str) else (str, int, float)
    if not isinstance(value, wanted):
        raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
    return kind(value)


def _other(kind: Any, error: TypeError) -> Adapter:
    """Return pydantic's reader of a type that msgspec refuses."""
    try:
        return Adapter(kind)
    except ImportError:
        raise TypeError(f"{error}; with pydantic installed there may be a way") from error
    except TypeError as other:
        raise TypeError(str(other) if "JSON has no" in str(other) else str(error)) from error


@lru_cache(maxsize=512)
def _cached(kind: Any) -> TypeCodec:
    return TypeCodec(kind)


def codec_of(kind: Any) -> TypeCodec:
    """Return the codec of a type.

    Raises
    ------
    TypeError
        There is none.
    """
    try:
        hash(kind)
    except TypeError:
        return TypeCodec(kind)
    return _cached(kind)


def from_json(data: bytes, kind: Any = None) -> Any:
    """Return the value of JSON, as a type that `check_schema` takes; `MISFITS` if it is none.

    >>> from_json(b"[1, 2]"), from_json(b"[1, 2]", tuple[int, int])
    ([1, 2], (1, 2))
    """
    return decode(data) if kind is None else codec_of(kind).decode(data)


def convert(value: Any, kind: Any) -> Any:
    """Return a plain value as one of a type; `MISFITS` if it is none."""
    return codec_of(kind).decode(encode(value)[0])


def check_schema(schema: Any, service: str, name: str = "schema", subject: str = "") -> None:
    """Refuse a type that no JSON can be read as, before the first value is.

    Raises
    ------
    UsageError
        Nothing can be read as it.
    """
    if schema is None:
        return
    try:
        codec_of(schema)
    except TypeError as error:
        raise UsageError(
            f"{subject}{': ' if subject else ''}{name_of(schema)} is not a {_NOUNS[name]}: {error}",
            service=service,
            hint="a msgspec Struct, a dataclass, a TypedDict, a pydantic model, or lists and "
            "dicts of those",
        ) from error
