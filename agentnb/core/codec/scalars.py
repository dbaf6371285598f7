"""Single values of the standard library: their parts, and how they are made of them again."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentnb.core.codec.errors import UnreadableError, UnstorableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DUMPED_SCALARS", "SCALARS"]

_MOST_BITS = 100_000
_PATHS = ("PurePosixPath", "PosixPath", "PureWindowsPath", "WindowsPath")
_ADDRESSES = (
    *("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"),
    *("IPv4Interface", "IPv6Interface"),
)


def _dump_time(value: dt.time | dt.datetime) -> list[Any]:
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    return [naive, value.fold, value.tzinfo]


def _load_time(text: str, fold: int, zone: dt.tzinfo | None) -> dt.time:
    return dt.time.fromisoformat(text).replace(fold=fold, tzinfo=zone)


def _load_datetime(text: str, fold: int, zone: dt.tzinfo | None) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(fold=fold, tzinfo=zone)


def _dump_timezone(value: dt.timezone) -> list[Any]:
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]  # the stdlib's own
    return [offset, *name]


def _load_timezone(offset: dt.timedelta, *name: str) -> dt.timezone:
    return dt.timezone(offset, *name)


def _dump_zone(value: Any) -> list[Any]:
    if value.key is None:
        raise UnstorableError("the ZoneInfo has no name", hint="take the zone by name")
    return [value.key]


def _load_zone(key: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _dump_offset(value: Any) -> list[Any]:
    offset: dt.timedelta = value.utcoffset(None)
    return [offset.days * 86_400 + offset.seconds]


def _load_model_zone(offset: int) -> Any:
    from pydantic_core import TzInfo

    return TzInfo(offset)


def _load_dateutil_utc() -> Any:
    return import_module("dateutil.tz").tzutc()


def _load_dateutil_offset(name: str | None, offset: int) -> Any:
    return import_module("dateutil.tz").tzoffset(name, offset)


def _dump_fraction(value: Any) -> list[Any]:
    _check_fraction(value.numerator, value.denominator, UnstorableError)
    return [value.numerator, value.denominator]


def _check_fraction(numerator: int, denominator: int, error: type[Exception]) -> None:
    # It is reduced when it is made, which takes long for numbers that others have made up.
    if max(numerator.bit_length(), denominator.bit_length()) > _MOST_BITS:
        raise error("a fraction of more digits than are kept")


def _load_fraction(numerator: int, denominator: int) -> Any:
    from fractions import Fraction

    _check_fraction(numerator, denominator, UnreadableError)
    made = Fraction(numerator, denominator)
    if made.denominator != denominator:
        raise UnreadableError("a fraction is damaged")
    return made


def _load_uuid(data: bytes) -> Any:
    from uuid import UUID

    return UUID(bytes=data)


def _load_path(name: str, text: str) -> Any:
    import pathlib

    return getattr(pathlib, _PATHS[_PATHS.index(name)])(text)


def _load_address(name: str, text: str) -> Any:
    import ipaddress

    return getattr(ipaddress, _ADDRESSES[_ADDRESSES.index(name)])(text)


def _dump_address(value: Any) -> list[Any]:
    return [type(value).__name__, str(value)]


Dumper = tuple[str, "Callable[[Any], list[Any]]"]

# By the name of the class, so that no module is imported to ask.
DUMPED_SCALARS: dict[str, Dumper] = {
    "builtins.complex": ("complex", lambda value: [value.real, value.imag]),
    "builtins.bytearray": ("bytearray", lambda value: [bytes(value)]),
    "builtins.range": ("range", lambda value: [value.start, value.stop, value.step]),
    "datetime.date": ("date", lambda value: [value.toordinal()]),
    "datetime.time": ("time", _dump_time),
    "datetime.datetime": ("datetime", _dump_time),
    "datetime.timedelta": (
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
    ),
    "datetime.timezone": ("timezone", _dump_timezone),
    "zoneinfo.ZoneInfo": ("zone", _dump_zone),
    # The zones of times that pydantic and dateutil have read.
    "pydantic_core._pydantic_core.TzInfo": ("model-zone", _dump_offset),
    "dateutil.tz.tz.tzutc": ("dateutil-utc", lambda _: []),
    "dateutil.tz.tz.tzoffset": (
        "dateutil-offset",
        lambda value: [value.tzname(None), *_dump_offset(value)],
    ),
    "decimal.Decimal": ("decimal", lambda value: [str(value)]),
    "fractions.Fraction": ("fraction", _dump_fraction),
    "uuid.UUID": ("uuid", lambda value: [value.bytes]),
    **{
        f"{module}.{name}": ("path", lambda value: [type(value).__name__, str(value)])
        for name in _PATHS
        for module in ("pathlib", "pathlib._local")  # Python 3.13 defines them in the latter
    },
    **{f"ipaddress.{name}": ("address", _dump_address) for name in _ADDRESSES},
}
SCALARS: dict[str, Callable[..., Any]] = {
    "complex": complex,
    "bytearray": lambda data: bytearray(_bytes(data)),
    "range": range,
    "date": dt.date.fromordinal,
    "time": _load_time,
    "datetime": _load_datetime,
    "timedelta": dt.timedelta,
    "timezone": _load_timezone,
    "zone": _load_zone,
    "model-zone": _load_model_zone,
    "dateutil-utc": _load_dateutil_utc,
    "dateutil-offset": _load_dateutil_offset,
    "decimal": Decimal,
    "fraction": _load_fraction,
    "uuid": _load_uuid,
    "path": _load_path,
    "address": _load_address,
}


def _bytes(data: Any) -> bytes:
    if type(data) is not bytes:
        raise UnreadableError("bytes are expected")  # a number would be a size to allocate
    return data
