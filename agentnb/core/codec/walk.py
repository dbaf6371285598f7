"""A walk through a value that turns it into plain JSON values."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import math
import reprlib
import sys
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

__all__ = ["Misfit", "NotJson", "Walk"]

_NAMES = {True: "Infinity", False: "-Infinity"}
_SEQUENCES = (list, tuple, set, frozenset, deque)
_MASK = "**********"  # in pydantic's JSON of a secret
_TIMES = (dt.datetime, dt.date, dt.time)


class NotJson(ValueError):  # noqa: N818 - what the value is
    """A value without a JSON form; the text says where it is and what it is.

    Attributes
    ----------
    hint
        How to give it; None for the forms that JSON has.
    """

    hint: str | None = None

    def named(self, name: str) -> str:
        """Return the text, with the name that the caller has for the value.

        >>> NotJson("value['id'] is nan, which JSON has not").named("data")
        "data['id'] is nan, which JSON has not"
        """
        return str(self).replace("value", name, 1) if str(self).startswith("value") else str(self)


class Misfit(ValueError):  # noqa: N818 - what the value is
    """A value that is not of the declared type, or that this type does not carry."""


class Walk:
    """Turns a value into plain values, and notes what it had to convert.

    Attributes
    ----------
    converted
        Where each converted value is, and the name of its type.
    not_finite
        Where each NaN and infinity is, and which it is; they are texts in the plain value.
    by_identity
        Whether a converted value is equal to itself alone.
    value
        The plain value, where it was noted.
    """

    def __init__(self) -> None:
        self.converted: list[tuple[str, str]] = []
        self.not_finite: list[tuple[str, str]] = []
        self.by_identity = False
        self.value: Any = None

    def check(self) -> None:
        """Refuse NaN and infinity.

        Raises
        ------
        NotJson
            There is one; the error says where.
        """
        if self.not_finite:
            where, name = self.not_finite[0]
            raise NotJson(f"value{where} is {name}, which JSON has not")

    def plain(self, value: Any, where: str = "") -> Any:
        """Return a value as dicts, lists, texts, numbers, truth values and None.

        Raises
        ------
        NotJson
            It has no JSON form.
        """
        kind = type(value)
        if value is None or kind is bool or kind is int:
            return value
        if kind is str:
            return _text(value, where)
        if kind is float:
            return self._float(value, where)
        if kind is dict:
            return self._object(value, where)
        if kind is list:
            return [self.plain(one, f"{where}[{at}]") for at, one in enumerate(value)]
        self.converted.append((where, kind.__name__))
        if kind.__eq__ is object.__eq__:  # type: ignore[comparison-overlap]  # not a class's own
            self.by_identity = True
        return self._converted(value, where)

    def _float(self, value: float, where: str) -> Any:
        if math.isfinite(value):
            return value
        self.not_finite.append((where, str(value)))
        return "NaN" if math.isnan(value) else _NAMES[value > 0]

    def _object(self, value: Mapping[Any, Any], where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, one in value.items():
            name = key if type(key) is str else self._key(key, where)
            if name in found:
                raise NotJson(f"value{where} has two keys that become {reprlib.repr(name)}")
            found[_text(name, where)] = self.plain(one, f"{where}[{reprlib.repr(name)}]")
        return found

    def _key(self, key: Any, where: str) -> str:
        self.converted.append((where, f"dict with the key {reprlib.repr(key)}"))
        made = self.plain(key, where)
        good = isinstance(made, str | int | float) and not isinstance(made, bool)
        if not good:
            raise NotJson(
                f"value{where} has the key {reprlib.repr(key)} of type {type(key).__name__}"
            )
        return str(made)

    def _converted(self, value: Any, where: str) -> Any:
        if isinstance(value, enum.Enum):
            return self.plain(value.value, where)
        if isinstance(value, msgspec.Struct):
            return self._struct(value, where)
        if hasattr(type(value), "model_dump") and hasattr(type(value), "model_fields"):
            # Aliases, since a model reads what it has written by them.
            return self.plain(_dumped(value, where), where)
        if (names := _fields(value)) is not None:
            return {name: self.plain(getattr(value, name), f"{where}.{name}") for name in names}
        if isinstance(value, Mapping):
            return self._object(value, where)
        if isinstance(value, _SEQUENCES):
            return [self.plain(one, f"{where}[{at}]") for at, one in enumerate(value)]
        if isinstance(value, bytes | bytearray | memoryview):
            return base64.b64encode(value).decode()
        if type(value).__module__ == "numpy":
            return self._numpy(value, where)
        return self._scalar(value, where)

    def _scalar(self, value: Any, where: str) -> Any:
        if isinstance(value, _TIMES):
            return _time(value, where)
        if type(value) in {dt.timedelta, decimal.Decimal, uuid.UUID}:
            return msgspec.to_builtins(value)
        if isinstance(value, PurePath):
            return _text(str(value), where)
        if type(value) is complex:
            return str(value).strip("()")
        if type(value).__module__ == "ipaddress":
            return str(value)
        # A subclass may print itself as anything.
        if isinstance(value, str):
            return self.plain(str.__str__(value), where)
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return self.plain(float.__float__(value), where)
        raise _no_form(value, where)

    def _struct(self, value: msgspec.Struct, where: str) -> Any:
        config, kind = value.__struct_config__, type(value)
        pairs = [
            (name, self.plain(found, f"{where}.{field}"))
            for field, name in zip(
                kind.__struct_fields__, kind.__struct_encode_fields__, strict=True
            )
            if (found := getattr(value, field)) is not msgspec.UNSET
        ]
        if config.array_like:
            return [*([] if config.tag is None else [config.tag]), *(found for _, found in pairs)]
        tag = {} if config.tag is None else {str(config.tag_field): config.tag}
        return tag | dict(pairs)

    def _numpy(self, value: Any, where: str) -> Any:
        numpy = sys.modules["numpy"]
        if not isinstance(value, numpy.generic):
            raise NotJson(f"value{where} is an array of numpy: its .tolist() is JSON")
        if isinstance(value, numpy.datetime64):
            return str(value)
        found = value.item()
        # A longdouble is its own item, and a timedelta64 may be finer than a timedelta.
        if type(found) is type(value) or (
            isinstance(value, numpy.timedelta64) and not isinstance(found, dt.timedelta)
        ):
            raise _no_form(value, where)
        return self.plain(found, where)


def _fields(value: Any) -> list[str] | None:
    """Return the names of the fields of a dataclass or an attrs class; None for any other."""
    if dataclasses.is_dataclass(value):
        return [one.name for one in dataclasses.fields(value)]
    attributes = getattr(type(value), "__attrs_attrs__", None)
    return None if attributes is None else [one.name for one in attributes]


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise NotJson(f"value{where} is text that is not Unicode: {error.reason}") from error
    return value


def _time(value: dt.date | dt.time, where: str) -> str:
    kind = next(one for one in _TIMES if isinstance(value, one))
    text = value.isoformat()
    try:
        again = msgspec.convert(text, kind)
    except msgspec.ValidationError:
        again = None
    # pandas' NaT, nanoseconds, and offsets with seconds do not come back.
    if again != value:
        raise NotJson(f"value{where} is the {type(value).__name__} {text}, which has no exact text")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _dumped(model: Any, where: str) -> Any:
    try:
        found = model.model_dump(mode="json", by_alias=True, warnings=False)
    except ValueError as error:
        raise NotJson(f"value{where} is a {type(model).__name__} without JSON: {error}") from error
    if _any(found, _is_mask) and _any(model.model_dump(warnings=False), _is_secret):
        raise NotJson(f"value{where} is a {type(model).__name__} with a secret, which it masks")
    return found


def _any(value: Any, of: Callable[[Any], bool]) -> bool:
    if isinstance(value, dict):
        return any(_any(one, of) for pair in value.items() for one in pair)
    if isinstance(value, _SEQUENCES):
        return any(_any(one, of) for one in value)
    return of(value)


def _is_mask(value: Any) -> bool:
    return isinstance(value, str) and value == _MASK


def _is_secret(value: Any) -> bool:
    return hasattr(value, "get_secret_value")


def _no_form(value: Any, where: str) -> NotJson:
    error = NotJson(f"value{where} is of type {type(value).__name__}, which JSON has not")
    error.hint = (
        f"give data{where} as text, such as str(value), or as what JSON has: a model, "
        "a dataclass, a date, a Decimal, a UUID, a path, an enum or bytes"
    )
    return error
